"""How much memory a job needs at most, in MB, from what is known before anything is read.

Each estimate is a base (the libraries) and a number of copies of what the job holds; the copies are
counted from the code and the sums compared with measured peaks (``docs/cluster.md``). Reading an
artifact takes it twice: its seal is checked on the mapped file.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from certbd.data.size import MB, Size
from certbd.learners.footprint import SURROGATE, Footprint

LIBRARIES, TORCH, CUDA = 400, 700, 3000
"""Of the libraries without torch, with it, and of a GPU's driver on the host."""
CACHE, EVALUATED, VOTING = 17, 135, 269
"""MB of `networks.CACHE_BYTES`, `descent.EVALUATION_BYTES` and `worlds.ENSEMBLE_BYTES`."""
PILOTS = 64
Entry = Mapping[str, Any]


def of_data(size: Size, files: Sequence[Path]) -> int:
    """Memory of the job that reads raw files.

    Those of one input each are read one by one; a larger one is whole in memory, as text or as
    numbers of 8 bytes first, whatever is chosen of it.
    """
    if len(files) >= size.training:
        return _sum(LIBRARIES, 2 * size.stored)
    whole = sum(file.stat().st_size for file in files) / MB
    return _sum(LIBRARIES, 5 * size.stored, 6 * whole)


def of_poison(size: Size) -> int:
    """Memory of the job that poisons."""
    return _sum(LIBRARIES, 2 * size.stored, 2 * size.mb(size.training), 2 * size.mb(size.test))


def of_training(size: Size, learner: Footprint, n_models: int, device: str) -> int:
    """Memory of a job that trains some models: a noisy copy of the training set and its batch."""
    seen = 4 * size.training * learner.features / MB
    copies = 3 * max(seen, CACHE)
    own = (3 * n_models * learner.model + 2 * learner.batch + 2 * learner.mapping) / MB
    return _sum(TORCH, _driver(device), 2 * size.mb(size.training), copies, own)


def of_undefended(size: Size, learner: Footprint, device: str) -> int:
    """Memory of the job that trains one network, and lets it answer."""
    return of_training(size, learner, 1, device) + _sum(2 * size.stored, 2 * size.mb(size.test))


def of_sigma(size: Size, learner: Footprint, search: Any, device: str) -> int:
    """Memory of the job that optimises noise: what all pilots keep of an input and its draws."""
    kept = max(EVALUATED, search.pilots * search.draws * learner.kept / MB)
    training = of_training(size, learner, search.pilots, device)
    return training + _sum(2 * size.stored, 2 * size.mb(size.test), 2 * kept)


def of_voting(size: Size, learner: Footprint, n_models: int, scored: bool, device: str) -> int:
    """Memory of a job in which some models vote; a score is kept as one list per vote."""
    votes = 2 * size.test * n_models * (60 + (200 + 12 * size.n_classes) * scored) / MB
    seen = 3 * 4 * 2 * size.test * learner.features / MB
    models = (3 * n_models * learner.model + 2 * learner.mapping) / MB
    stored = 2 * size.stored + 2 * size.mb(size.test)
    return _sum(TORCH, _driver(device), stored, seen, models, votes, VOTING)


def of_certificates(size: Size, n_models: int, scored: bool) -> int:
    """Memory of the job that certifies: one file of votes, of so many models, at a time."""
    votes = 2 * size.test * n_models * (60 + (200 + 24 * size.n_classes) * scored) / MB
    arrays = 2 * size.stored + 2 * size.mb(size.training) + 2 * size.mb(size.test)
    return _sum(LIBRARIES, arrays, votes)


def of_search(size: Size, learner: Footprint, search: Mapping[str, Any], device: str) -> int:
    """Memory of the job that tries pairs of noise: all models, and their votes."""
    n_inputs = min(search["n_inputs"], size.training)
    models = search["n_models"] * (3 * learner.model + n_inputs * (4 + size.n_classes)) / MB
    return of_training(size, learner, 0, device) + _sum(2 * size.stored, models, VOTING)


def of_audit(size: Size, learner: Footprint, device: str) -> int:
    """Memory of the job that tries certificates: worlds, pilots, and what these keep."""
    worlds = 4 * size.mb(size.training) + 2 * size.stored + 6 * size.mb(size.test)
    searched = learner.searched * 4 * size.training * learner.features / MB
    gram = 6 * 4 * learner.features**2 / MB if learner.searched == SURROGATE else 0
    pilots = PILOTS * 2 * learner.model / MB
    kept = 4 * max(EVALUATED, learner.kept / MB) + 2 * (learner.batch + learner.mapping) / MB
    return _sum(TORCH, _driver(device), worlds, searched, gram, pilots, kept, VOTING)


def of_page(sizes: Sequence[Size], n_attacks: int, n_rows: int) -> int:
    """Memory of the job that builds the page; datasets are read one after the other."""
    largest = max(
        (2 * size.stored + n_attacks * 2 * size.mb(size.test) for size in sizes), default=0
    )
    return _sum(LIBRARIES, 200, largest, 10 * n_rows)


def of_external(n_bytes: int) -> int:
    """Memory of the job that certifies votes from a file of so many bytes, which unfolds."""
    return _sum(LIBRARIES, 500, 100 * n_bytes / MB)


def _driver(device: str) -> int:
    return 0 if device == "cpu" else CUDA


def _sum(*parts: float) -> int:
    return 100 * math.ceil(sum(parts) / 100)
