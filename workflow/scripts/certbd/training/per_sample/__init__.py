"""Gaussian noise of a level of its own on each input, optimised first.

``docs/theory.md``, section 4.
"""
