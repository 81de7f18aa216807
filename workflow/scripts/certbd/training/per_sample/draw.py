"""Noisy copies of the training set, with the noise that was optimised for each input."""

from certbd.training.gaussian.draw import draw_of as draw_of
