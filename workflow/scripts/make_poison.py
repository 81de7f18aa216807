"""Build the poisoned training set and the triggered test inputs of one attack."""

from typing import Any

import numpy as np

from certbd.artifacts import io
from certbd.artifacts.logs import job_log
from certbd.attacks.attack import read, simulated
from certbd.attacks.poison import add_trigger, simulate


def main(smk: Any) -> None:
    """Make ``poisoned.npz`` and ``triggered.npz``."""
    made = smk.params.inputs
    with job_log(smk) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        if attack := simulated(read(smk.params.settings["attack"])):
            poisoned, trigger = simulate(data.train_inputs, data.train_labels, attack)
            triggered = io.TriggeredInputs(
                add_trigger(data.test_inputs, trigger, attack), data.test_labels
            )
        else:
            none = np.array([], np.int64)
            poisoned = io.PoisonedSet(data.train_inputs, data.train_labels, none)
            triggered = io.TriggeredInputs(data.test_inputs[:0], data.test_labels[:0])
        log.info("%d of %d training inputs poisoned", len(poisoned.indices), len(poisoned.labels))
        origin = io.provenance(smk.params.settings, smk.params.code, made)
        io.write_arrays(smk.output.poisoned, poisoned, origin)
        io.write_arrays(smk.output.triggered, triggered, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
