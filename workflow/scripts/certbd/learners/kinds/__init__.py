"""Learners, each in a file of its own; ``docs/extending.md`` says how to add one."""

KINDS = (
    "nearest_class_mean",
    "ridge",
    "class_sums",
    "mlp",
    "cnn",
    "preact_resnet",
    "resnet18",
)
