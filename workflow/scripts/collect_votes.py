"""Let one chunk of models vote on every benign and triggered test input, under test noise."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.learners import features
from certbd.learners import learner as learners
from certbd.testing import side as testing
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
        votes, scores = {}, {}
        for split, (inputs, encode) in splits.items():
            noise = test.noise(test.sigma(split, len(inputs), optimised, made.get("sigma")))
            generators = rng.generators(settings["seed"], rng.Purpose.TEST_NOISE, indices)
            votes[split], scores[split] = vote(
                module, ensemble, inputs, noise, generators, settings["scores"], encode
            )
        table = _table(votes, indices)
        schema = schemas.VOTES
        if settings["scores"]:
            schema = schemas.scored_votes(n_classes)
            table["score"] = list(np.concatenate([*scores.values()], 1).reshape(-1, n_classes))
        log.info("%d models voted", len(indices))
        origin = io.provenance(settings, smk.params.code, made)
        io.write_table(smk.output.votes, table, schema, origin)


def _table(votes: dict[str, NDArray[np.int16]], indices: range) -> pd.DataFrame:
    """Return one row per vote, sorted by model, split and sample, from votes (models, inputs)."""
    sizes = [part.shape[1] for part in votes.values()]
    split = np.repeat(range(len(votes)), sizes)
    sample = np.concatenate([np.arange(size) for size in sizes])
    columns = {
        "model": np.repeat(np.arange(indices.start, indices.stop, dtype=np.int32), sum(sizes)),
        "split": pd.Categorical.from_codes(np.tile(split, len(indices)), list(votes)),
        "sample": np.tile(sample.astype(np.int32), len(indices)),
        "vote": np.concatenate([*votes.values()], axis=1).ravel(),
    }
    return pd.DataFrame(columns)


if "snakemake" in globals():
    main(globals()["snakemake"])
