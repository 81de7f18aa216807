"""Let one chunk of models vote on every benign and triggered test input, under test noise."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.learners import features
from certbd.learners import learner as learners
from certbd.testing import side as testing
from certbd.testing.tables import votes_table
from certbd.testing.votes import vote
from certbd.training import ensembles


def main(smk: Any) -> None:
    """Make ``votes/chunk-{chunk}.parquet``."""
    settings, made = smk.params.settings, smk.params.inputs
    indices = range(*settings["models"])
    with job_log(smk) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        triggered = io.read_arrays(smk.input.triggered, io.TriggeredInputs, made["poison"])
        device = ensembles.pick_device(smk.resources.device)
        stacked = io.read_models(smk.input.models, made["models"])
        ensemble = {name: torch.from_numpy(stacked[name]).to(device) for name in stacked}
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        test, optimised = testing.read(settings["testing"]), smk.input.get("sigma")
        splits = {
            split: features.before_noise(learner.feature_map, inputs, test.is_noisy, device)
            for split, inputs in (
                (schemas.BENIGN, data.test_inputs),
                (schemas.TRIGGERED, triggered.inputs),
            )
        }
        n_classes = len(data.class_names)
        inputs, encode = splits[schemas.BENIGN]
        one = torch.from_numpy(inputs[:1]).to(device)
        shape = (encode(one) if encode else one).shape[1:]
        module = learner.module(shape, n_classes)
        votes: dict[str, NDArray[np.int16]] = {}
        scores: dict[str, NDArray[np.float32]] = {}
        for split, (inputs, encode) in splits.items():
            noise = test.noise(test.sigma(split, len(inputs), optimised, made.get("sigma")))
            generators = rng.generators(settings["seed"], rng.Purpose.TEST_NOISE, indices)
            votes[split], scored = vote(
                module, ensemble, inputs, noise, generators, settings["scores"], encode
            )
            scores |= {} if scored is None else {split: scored}
        table, schema = votes_table(votes, scores, indices, n_classes)
        log.info("%d models voted", len(indices))
        origin = io.provenance(settings, smk.params.code, made)
        io.write_table(smk.output.votes, table, schema, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
