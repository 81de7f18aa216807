"""Flips of features and labels. Wang et al., arXiv 2002.11750; ``docs/theory.md``, section 6."""

from certbd.config.defences import Defence

DEFENCE = Defence(
    training="flips",
    testing="flips",
    training_keys={"beta": "beta", "beta_labels": "beta_labels", "values": "values"},
    testing_keys={"beta": "beta", "values": "values"},
    needs=("beta",),
    curves=("l0",),
    colour="#882255",
)
