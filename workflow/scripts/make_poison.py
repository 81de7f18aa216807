"""Build the poisoned training set and the triggered test inputs of one attack."""

from typing import Any

import numpy as np

from certbd import rng
from certbd.artifacts import io
from certbd.artifacts.logs import job_log
from certbd.attacks import attacks


def main(smk: Any) -> None:
    """Make ``poisoned.npz`` and ``triggered.npz``."""
    attack, made = smk.params.settings["attack"], smk.params.inputs
    with job_log(smk) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        if attack["kind"] == "none":
            none = np.array([], np.int64)
            poisoned = io.PoisonedSet(data.train_inputs, data.train_labels, none)
            triggered = io.TriggeredInputs(data.test_inputs[:0], data.test_labels[:0])
        else:
            trigger = attacks.make_trigger(
                attack["kind"],
                attack["norm"],
                data.train_inputs.shape[1:],
                rng.generator(attack["seed"], rng.Purpose.PATTERN),
            )
            poisoned = attacks.poison(
                data.train_inputs,
                data.train_labels,
                attack,
                trigger,
                rng.generator(attack["seed"], rng.Purpose.POISON),
            )
            triggered = io.TriggeredInputs(
                attacks.add_trigger(data.test_inputs, trigger, attack["kind"]), data.test_labels
            )
        log.info("%d of %d training inputs poisoned", len(poisoned.indices), len(poisoned.labels))
        origin = io.provenance(smk.params.settings, smk.params.code, made)
        io.write_arrays(smk.output.poisoned, poisoned, origin)
        io.write_arrays(smk.output.triggered, triggered, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
