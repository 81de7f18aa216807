"""What noise of its own on each input certifies: as Gaussian noise does, with the noise frozen."""

from certbd.training.gaussian.guarantee import guarantee_of as guarantee_of
