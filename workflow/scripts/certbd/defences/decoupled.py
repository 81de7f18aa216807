"""Gaussian noise of one sigma on training inputs, and of another on test inputs."""

from certbd.config.defences import Defence

DEFENCE = Defence(
    training="gaussian",
    testing="noise",
    training_keys={"sigma": "sigma_train"},
    testing_keys={"level": "sigma_test"},
    needs=("sigma_train", "sigma_test"),
    curves=("trigger", "joint"),
    colour="#009e73",
    features="lipschitz",
)
