"""Train one network on the poisoned set without noise, and predict every test input with it."""

from typing import Any

import numpy as np
import pandas as pd

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.learners import learner as learners
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training.draws import Gaussian


def main(smk: Any) -> None:
    """Make the network and its ``predictions.parquet``."""
    settings, made = smk.params.settings, smk.params.inputs
    seed = settings["seed"]
    with job_log(smk.log[0]):
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, made["poison"])
        triggered = io.read_arrays(smk.input.triggered, io.TriggeredInputs, made["poison"])
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        device = ensembles.pick_device(smk.resources.device)
        n_classes = len(data.class_names)
        one = range(1)
        ensemble = ensembles.train(
            poisoned, Gaussian(0.0), learner, n_classes, seed, one, rng.UNDEFENDED, device
        )
        module = learner.module(data.test_inputs.shape[1:], n_classes)
        parts = []
        for split, inputs, labels in (
            (schemas.BENIGN, data.test_inputs, data.test_labels),
            (schemas.TRIGGERED, triggered.inputs, triggered.true_labels),
        ):
            unused = rng.generators(seed, rng.UNDEFENDED.noise, one)
            (predictions,), _ = vote(module, ensemble, inputs, 0.0, unused)
            columns = {"sample": np.arange(len(labels)), "label": labels, "prediction": predictions}
            parts.append(pd.DataFrame({"split": split, **columns}))
        origin = io.provenance(settings, smk.params.code, made)
        table = pd.concat(parts, ignore_index=True)
        io.write_models(
            smk.output.model, {name: p.cpu().numpy() for name, p in ensemble.items()}, origin
        )
        io.write_table(smk.output.predictions, table, schemas.PREDICTIONS, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
