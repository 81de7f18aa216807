"""Attacks, each in a module of its name (``docs/extending.md``)."""

KINDS = (
    "none",
    "one_pixel",
    "four_pixel",
    "blending",
)
