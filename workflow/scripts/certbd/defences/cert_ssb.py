"""Gaussian noise, a sigma of its own for each input, with storage-update.

Qiao et al., arXiv 2504.21730; ``docs/theory.md``, section 4.
"""

from certbd.config.defences import Defence

DEFENCE = Defence(
    training="per_sample",
    testing="noise",
    training_keys={"sigma": "sigma", "search": "search"},
    testing_keys={},
    needs=("sigma",),
    curves=("trigger", "joint", "paper"),
    colour="#d55e00",
    publishes=True,
    stores=True,
)
