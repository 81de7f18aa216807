"""Rows drawn without replacement for each model. ``docs/theory.md``, section 7."""
