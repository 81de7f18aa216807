"""Gaussian noise of one level on training inputs, labels as they are.

``docs/theory.md``, section 2.
"""
