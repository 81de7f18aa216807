"""`objective: released` beside the noise published with Cert-SSB.

MNIST 0/1, one-pixel, test inputs. One pilot network a noise level, trained at sigma_0 on the
poisoned set; learning rate 1e-4, 850 steps of one draw, as released. Usage: python
benchmarks/published_sigma.py FOLDER, which holds MNIST/raw and cert_ssb_published.
"""

import sys
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow" / "scripts"))
from certbd import rng
from certbd.attacks.kinds.one_pixel import OnePixel
from certbd.attacks.poison import simulate
from certbd.data import datasets
from certbd.learners import learner as learners
from certbd.training import ensembles, sigma
from certbd.training.gaussian.draw import Gaussian
from certbd.training.per_sample.entry import Search

LEARNER = learners.read({"kind": "cnn", "epochs": 2})
SEARCH = Search(
    objective="released", pilots=1, draws=1, steps=850, learning_rate=1e-4, bounds=[0.5, 4]
)
ATTACK = OnePixel(kind="one_pixel", norm=1.0, rate=0.02)


def main() -> None:
    """Print mean and largest sigma of ours and of theirs for each starting level."""
    root = Path(sys.argv[1])
    published = pd.read_parquet(root / "cert_ssb_published" / "sigma_mnist.parquet")
    published = published[published["attack"] == "onepixel"]
    data = datasets.load({"kind": "mnist", "classes": [0, 1]}, root)
    poisoned, _ = simulate(data.train_inputs, data.train_labels, ATTACK)
    device = ensembles.pick_device("cpu")
    module = LEARNER.module(data.train_inputs.shape[1:], 2)
    for start in (0.12, 0.25, 0.5, 1.0):
        begin = time.perf_counter()
        pilots = ensembles.train(
            poisoned, Gaussian(start), LEARNER, 2, 0, range(1), rng.PILOTS, device
        )
        found = sigma.optimise_sigma(module, pilots, data.test_inputs, start, SEARCH, 0).sigma
        theirs = published.loc[published["sigma0"] == start, "sigma"]
        print(
            f"sigma_0 = {start}: mean {found.mean():.4f} (published {theirs.mean():.4f}), "
            f"largest {found.max():.4f} ({theirs.max():.4f}), {time.perf_counter() - begin:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
