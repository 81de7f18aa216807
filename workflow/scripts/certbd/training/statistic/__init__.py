"""A bounded statistic of the training set under Gaussian noise. ``docs/theory.md``, section 7."""
