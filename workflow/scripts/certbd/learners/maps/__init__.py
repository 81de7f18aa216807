"""Feature maps, each in a file of its own; ``docs/extending.md`` says how to add one."""

KINDS = (
    "pixels",
    "dct",
    "random_conv",
    "encoder",
)
