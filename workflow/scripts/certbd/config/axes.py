"""The axes along which experiments differ: names of result folders and of summary rows."""

from typing import Any, NamedTuple

OWN = ""
"""In the place of a threat: that of the attack which is simulated, none where there is none."""
NO_NETWORK = "none"
"""In the place of the undefended network, where none is trained."""
NO_ATTACK = "none"
"""In the place of an attack: an experiment that lists threats alone takes data as they come."""


class Run(NamedTuple):
    """One trained ensemble: the axes of a folder of models and votes."""

    dataset: str
    attack: str
    defense: str
    noise: str
    learner: str
    seed: int


class Certification(NamedTuple):
    """How the votes of a run are certified: the axes of a table of certificates."""

    n_models: int
    bound: str
    alpha: float
    multiplicity: str
    threat: str = OWN
    """A name under `threats`, or `OWN`."""

    def settings(self) -> dict[str, Any]:
        """Return all but the name of the threat, on which nothing depends."""
        return {name: value for name, value in self._asdict().items() if name != "threat"}


EXTERNAL = "external"
"""In the place of the defence: models that were trained elsewhere."""
CHANGES = ("rows", "l0")
"""Certificates whose radius is a number of rows or coordinates; -1 where not even 0 is covered."""


def alpha_of_certificate(certification: Certification, n_certificates: int) -> float:
    """Return the error probability of one certificate: alpha, or its share of it."""
    shared = certification.multiplicity == "simultaneous"
    return certification.alpha / (n_certificates if shared else 1)
