"""Storage-update against the plain sequential loop, in one run.

The plain loop measures every distance to every stored ball. It is timed on every STEP-th query of
the same data, in the same memory, and its time multiplied by STEP; its answers there must be equal.
Usage: python benchmarks/storage.py [--queries 10000] [--features 3072] [--step 100]
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow" / "scripts"))
from certbd.theory.storage import storage_update


def plain_answer(point, label, radius, points, labels, radii):
    """Answer one query as section 4 of docs/theory.md is written."""
    distances = np.linalg.norm(points - point, axis=1)
    inside = distances < radii
    inner = np.max((radii - distances)[inside], initial=0.0)
    if inside.any() and (radius == 0 or labels[inside][0] != label):
        return labels[inside][0], np.nextafter(inner, -np.inf)
    if radius == 0:
        return label, 0.0
    overlapping = (labels != label) & (distances < radius + radii) & (radii > 0)
    if overlapping.any():
        gap = np.min((distances - radii)[overlapping])
        radius = max(0.0, np.nextafter(gap, -np.inf))
    return label, np.nextafter(inner, -np.inf) if inner > radius else radius


def main() -> None:
    """Print both times, their ratio and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=3072)
    parser.add_argument("--step", type=int, default=100)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, options.queries)
    centres = generator.random((10, options.features))
    inputs = np.clip(
        centres[labels] + generator.normal(0, 0.1, (options.queries, options.features)), 0, 1
    )
    wrong = generator.random(options.queries) < 0.05
    labels = np.where(wrong, generator.integers(0, 10, options.queries), labels)
    radii = generator.uniform(3, 9, options.queries) * (generator.random(options.queries) < 0.95)

    start = time.perf_counter()
    fast = storage_update(inputs, labels, radii)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    queries = range(options.step // 2, options.queries, options.step)
    start = time.perf_counter()
    answers = []
    for query in queries:
        earlier = (inputs[:query], fast.labels[:query], fast.radii[:query])
        answers.append(plain_answer(inputs[query], labels[query], radii[query], *earlier))
    plain = (time.perf_counter() - start) * options.step
    equal = [
        label == fast.labels[query] and np.isclose(radius, fast.radii[query], rtol=1e-12)
        for query, (label, radius) in zip(queries, answers, strict=True)
    ]
    actions = dict(zip(*np.unique(fast.actions, return_counts=True), strict=True))
    print(f"{options.queries} queries of {options.features} features:", *actions.items())
    print(f"storage_update: {seconds:.1f} s, peak memory of the process {memory:.2f} GiB")
    print(f"plain loop: {plain:.0f} s (every {options.step}th query timed)")
    print(f"equal answers: {sum(equal)} of {len(equal)}")
    print(f"ratio: {plain / seconds:.0f}")
    if not all(equal):
        sys.exit("answers differ")


if __name__ == "__main__":
    main()
