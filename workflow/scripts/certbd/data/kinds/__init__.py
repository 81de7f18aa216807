"""Kinds of datasets, each in a module of its name (``docs/datasets.md``, ``docs/extending.md``)."""

KINDS = (
    "digits",
    "mnist",
    "cifar10",
    "imagenette",
    "image_folder",
    "table",
    "npz",
)
