"""The world of a run, read from its files, and what its models guarantee there."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from certbd.artifacts import io
from certbd.config.threats import Threat
from certbd.testing import side as testing
from certbd.testing.side import TestSide
from certbd.training import side as training
from certbd.training.world import Guarantee, Uncovered, World, largest_norm


class Given(NamedTuple):
    """What a run was made from, and what its certificates are."""

    data: io.DataSplits
    triggered: io.TriggeredInputs
    test: TestSide
    guarantee: Guarantee


def read(settings: Mapping[str, Any], files: Any, made: Mapping[str, str]) -> Given:
    """Read the world of a run.

    Parameters
    ----------
    settings : mapping
        Of the stage that certifies.
    files : mapping with attributes
        ``data``, ``poisoned``, ``triggered``, and ``sigma`` where noise was optimised.
    made : mapping
        The identities that they must have.

    Raises
    ------
    DataError
        If one of them is damaged or of another run.
    """
    data = io.read_arrays(files.data, io.DataSplits, made["data"])
    poisoned = io.read_arrays(files.poisoned, io.PoisonedSet, made["poison"])
    triggered = io.read_arrays(files.triggered, io.TriggeredInputs, made["poison"])
    side, test = training.read(settings["training"]), testing.read(settings["testing"])
    optimised = files.get("sigma"), made.get("sigma")
    threat, norm = asked_of(settings["threat"], data, poisoned, triggered)
    covered = threat is None or settings["threat"]["covered"]
    world = World(
        training=poisoned,
        test=test,
        n_classes=len(data.class_names),
        **settings["learner"],
        sigma_train=training.noise_of(side, len(poisoned.labels), *optimised),
        threat=threat if covered else None,
        norm=norm if covered else None,
        data=data,
        triggered=triggered,
    )
    guarantee = training.guarantee_of(side, world)
    return Given(data, triggered, test, guarantee if covered else Uncovered(guarantee))


def asked_of(
    settings: Mapping[str, Any] | None,
    data: io.DataSplits,
    given: io.PoisonedSet,
    triggered: io.TriggeredInputs | None = None,
) -> tuple[Threat | None, float | None]:
    """Return what must be covered, and the norm that a trigger radius must exceed for that.

    That is the norm of the threat's trigger; where an attack is simulated, of the longest trigger
    that there is (`largest_norm`). Both are None where nothing was asked.
    """
    if settings is None:
        return None, None
    threat = Threat(**{name: settings[name] for name in Threat._fields})
    if threat.trigger == "l0":
        return threat, None
    norm = threat.norm(data.train_inputs.shape[1:])
    if norm is not None and settings["simulated"]:
        norm = largest_norm(norm, data, given, triggered)
    return threat, norm
