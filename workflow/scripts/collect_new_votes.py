"""Let one chunk of models vote on new inputs, each by itself, under test noise of its own."""

from functools import partial
from typing import Any

import torch

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.learners import features
from certbd.learners import learner as learners
from certbd.testing import side as testing
from certbd.testing.tables import votes_table
from certbd.testing.votes import vote_alone
from certbd.training import ensembles


def main(smk: Any) -> None:
    """Make ``new/votes/chunk-{chunk}.parquet``."""
    settings, made = smk.params.settings, smk.params.inputs
    indices = range(*settings["models"])
    with job_log(smk) as log:
        new = io.read_arrays(smk.input.new, io.NewInputs, made["new"])
        device = ensembles.pick_device(smk.resources.device)
        stacked = io.read_models(smk.input.models, made["models"])
        ensemble = {name: torch.from_numpy(stacked[name]).to(device) for name in stacked}
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        test, n_classes = testing.read(settings["testing"]), settings["n_classes"]
        inputs, encode = features.each_before_noise(
            learner.feature_map, new.inputs, test.is_noisy, device
        )
        one = torch.from_numpy(inputs[:1]).to(device)
        module = learner.module((encode(one) if encode else one).shape[1:], n_classes)
        noise = test.noise(test.sigma(schemas.NEW, len(inputs), None, None))
        generator_of = partial(rng.input_generator, settings["seed"])
        votes, scores = vote_alone(
            module, ensemble, inputs, noise, generator_of, indices, settings["scores"], encode
        )
        known = {} if scores is None else {schemas.NEW: scores}
        table, schema = votes_table({schemas.NEW: votes}, known, indices, n_classes)
        log.info("%d models voted on %d new inputs", len(indices), len(inputs))
        io.write_table(
            smk.output.votes, table, schema, io.provenance(settings, smk.params.code, made)
        )


if "snakemake" in globals():
    main(globals()["snakemake"])
