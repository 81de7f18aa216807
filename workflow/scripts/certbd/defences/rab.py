"""Gaussian noise, one sigma, on training set and test input. Weber et al., arXiv 2003.08904."""

from certbd.config.defences import Defence

DEFENCE = Defence(
    training="gaussian",
    testing="noise",
    training_keys={"sigma": "sigma"},
    testing_keys={"level": "sigma"},
    needs=("sigma",),
    curves=("trigger", "joint", "paper"),
    colour="#0072b2",
    publishes=True,
)
