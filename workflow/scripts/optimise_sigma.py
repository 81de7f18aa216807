"""Optimise the noise of every training, benign and triggered test input with pilot models."""

from typing import Any

import numpy as np
import pandas as pd

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.learners import learner as learners
from certbd.training import ensembles, sigma
from certbd.training.draws import Gaussian


def main(smk: Any) -> None:
    """Make ``sigma.parquet``."""
    settings, made = smk.params.settings, smk.params.inputs
    seed, start = settings["seed"], settings["noise"]["sigma"]
    search = settings["noise"]["search"]
    with job_log(smk.log[0]) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, made["poison"])
        triggered = io.read_arrays(smk.input.triggered, io.TriggeredInputs, made["poison"])
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        device = ensembles.pick_device(smk.resources.device)
        n_classes = len(data.class_names)
        pilots = ensembles.train(
            poisoned,
            Gaussian(start),
            learner,
            n_classes,
            seed,
            range(search["pilots"]),
            rng.PILOTS,
            device,
        )
        module = learner.module(data.test_inputs.shape[1:], n_classes)
        parts = []
        for split, inputs in (
            (schemas.TRAIN, poisoned.inputs),
            (schemas.BENIGN, data.test_inputs),
            (schemas.TRIGGERED, triggered.inputs),
        ):
            if len(inputs):
                log.info("%s: %d inputs", split, len(inputs))
                found = sigma.optimise_sigma(module, pilots, inputs, start, search, seed)
                columns = {"sigma": found.sigma, "start": start, "radius": found.radius}
                part = {"split": split, "sample": np.arange(len(inputs)), **columns}
                parts.append(pd.DataFrame(part))
        table = pd.concat(parts, ignore_index=True)
        origin = io.provenance(settings, smk.params.code, made)
        io.write_table(smk.output.sigma, table, schemas.SIGMA, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
