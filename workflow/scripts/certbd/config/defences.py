"""What a defence is: a named pair of a training side and a test side, with its constraints.

``docs/theory.md``, section 9. A pair with a name of its own has a file in ``defences/``; a
training side that says so in its ``entry.py`` makes a defence of its own name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from certbd.config import entries
from certbd.config.threats import Threat

Features = Literal["none", "lipschitz", "any"]


@dataclass(frozen=True, kw_only=True)
class Defence:
    """A training side and a test side, the keys of a noise entry that they read, and facts."""

    training: str
    """Folder of the training side."""
    testing: str
    """Module of the test side."""
    training_keys: Mapping[str, str]
    """Field of the training side -> key of an entry of `noises`."""
    testing_keys: Mapping[str, str]
    """The same for the test side."""
    needs: tuple[str, ...]
    """Keys that an entry of `noises` must have."""
    curves: tuple[str, ...]
    """Certificates that are drawn."""
    colour: str
    """In every figure."""
    features: Features = "none"
    """Maps that a learner may see inputs through: none, those of Lipschitz constant 1, or any."""
    without_test_noise: bool = False
    """Whether models may vote on inputs as they are."""
    publishes: bool = False
    """Whether there is a published radius: test noise times the margin."""
    stores: bool = False
    """Whether the published radius goes through storage-update."""

    def training_side(self, noise: Mapping[str, Any]) -> Any:
        """Return the training side that an entry of `noises` gives."""
        given = _given(self.training, self.training_keys, noise)
        return entries.read(entries.TRAINING, given, "entry")

    def test_side(self, noise: Mapping[str, Any]) -> Any:
        """Return the test side that an entry of `noises` gives."""
        return entries.read(entries.TESTING, _given(self.testing, self.testing_keys, noise))

    @property
    def side(self) -> Any:
        """The type of its training side, which has the facts."""
        return entries.module(entries.TRAINING, self.training, "entry").KIND

    @property
    def searched(self) -> str | None:
        """The key of `searches` for what is searched on the training side; None if nothing is."""
        module = entries.module(entries.TRAINING, self.training, "entry")
        if not hasattr(module, "Searched"):
            return None
        fields = module.Searched.model_fields
        keys = [key for key in self.training_keys.values() if key in fields]
        if len(keys) != 1:
            raise ValueError(
                f"training side {self.training}: Searched has {keys} of the keys of its defence; "
                "allowed: one"
            )
        return keys[0]

    def covers_rows(self, threat: Threat) -> bool:
        """Return whether certificates can cover what happened to training rows.

        Triggers on rows need a bound on their size; with none given, nothing follows.
        """
        hows = self.side.hows
        if not threat.rows:
            return bool(hows)
        return threat.how in hows and (threat.how != "triggered" or threat.trigger != "none")

    def covers(self, test: Any, threat: Threat) -> bool:
        """Return whether certificates can cover a threat, with votes of this test side."""
        if threat.trigger == "l0":  # counts rows and inputs together
            return "l0" in test.triggers
        return self.covers_rows(threat) and threat.trigger in test.triggers

    @property
    def has_levels(self) -> bool:
        """Whether test noise has a level of its own, which a search tries beside that."""
        return "sigma_test" in self.testing_keys.values()


def _given(kind: str, keys: Mapping[str, str], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind} | {field: entry[key] for field, key in keys.items() if key in entry}


def names() -> tuple[str, ...]:
    """Return the names of all defences."""
    own = [side for side in entries.names(entries.TRAINING) if _of_its_own_name(side)]
    return (*entries.names(entries.DEFENCES), *own)


def module_of(name: str) -> str:
    """Return the name of the module that has a defence.

    Raises
    ------
    ValueError
        If none has that name.
    """
    if name in entries.names(entries.DEFENCES):
        return entries.name_of(entries.DEFENCES, name)
    if name in entries.names(entries.TRAINING) and _of_its_own_name(name):
        return entries.name_of(entries.TRAINING, name, "entry")
    raise ValueError(f"defense {name!r}: there is none of that name; known: {', '.join(names())}")


def read(name: str) -> Defence:
    """Return a defence; errors as `module_of`."""
    defence: Defence = import_module(module_of(name)).DEFENCE
    return defence


def _of_its_own_name(side: str) -> bool:
    return hasattr(entries.module(entries.TRAINING, side, "entry"), "DEFENCE")
