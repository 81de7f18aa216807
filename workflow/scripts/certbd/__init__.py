"""Certified backdoor defence by randomized smoothing: the library behind the workflow's scripts."""

__version__ = "0.1.0"
