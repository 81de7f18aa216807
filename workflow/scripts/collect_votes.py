"""Let one chunk of models vote on every benign and triggered test input, under test noise."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from certbd import ensembles, io, models, rng, schemas
from certbd.logs import job_log
from certbd.noise import sigma_of


def main(smk: Any) -> None:
    """Make ``votes/chunk-{chunk}.parquet``."""
    settings = smk.params.settings
    indices = range(*settings["models"])
    with job_log(smk.log[0]) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits)
        triggered = io.read_arrays(smk.input.triggered, io.TriggeredInputs)
        device = ensembles.pick_device(smk.resources.device)
        stacked = io.read_models(smk.input.models)
        ensemble = {name: torch.from_numpy(stacked[name]).to(device) for name in stacked}
        module = models.build(
            settings["learner"], data.test_inputs.shape[1:], len(data.class_names)
        )
        parts = []
        for split, inputs in (
            (schemas.BENIGN, data.test_inputs),
            (schemas.TRIGGERED, triggered.inputs),
        ):
            sigma = sigma_of(split, len(inputs), settings["noise"], smk.input.get("sigma"))
            generators = rng.generators(settings["seed"], rng.Purpose.TEST_NOISE, indices)
            votes, scores = ensembles.vote(module, ensemble, inputs, sigma, generators)
            model, sample = np.indices(votes.shape).reshape(2, -1)
            columns = {"model": model + indices.start, "split": split, "sample": sample}
            columns["vote"] = votes.ravel()
            if settings["scores"]:
                columns["score"] = list(scores.reshape(votes.size, scores.shape[-1]))
            parts.append(pd.DataFrame(columns))
        table = pd.concat(parts, ignore_index=True).sort_values(
            ["model", "split", "sample"], ignore_index=True
        )
        diverged = table.loc[table["vote"] == schemas.ABSTAIN, "model"].unique().tolist()
        log.info("%d models voted; diverged: %s", len(indices), diverged or "none")
        schema = schemas.VOTES
        if settings["scores"]:
            schema = schemas.scored_votes(len(data.class_names))
        io.write_table(smk.output.votes, table, schema, io.provenance(settings, smk.params.code))


if "snakemake" in globals():
    main(globals()["snakemake"])
