"""Count the votes of a run on new inputs, and certify each prediction."""

from typing import Any

import numpy as np

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import certify, predictions, worlds
from certbd.certify.claims import is_scored
from certbd.certify.tally import count_votes
from certbd.config.axes import Certification


def main(smk: Any) -> None:
    """Make ``new/certificates.parquet`` and predictions: a table, and a family, of their own."""
    settings, made = smk.params.settings, smk.params.inputs
    certification = Certification(**settings["certification"])
    with job_log(smk) as log:
        data, _, test, guarantee = worlds.read(settings, smk.input, made)
        new = io.read_arrays(smk.input.new, io.NewInputs, made["new"]).inputs
        tallies, _ = count_votes(
            smk.input.votes,
            {schemas.NEW: len(new)},
            certification.n_models,
            len(data.class_names),
            is_scored(certification.bound),
            made["new_votes"],
        )
        unknown = np.full(len(new), schemas.ABSTAIN, np.int64)
        sigma = test.sigma(schemas.NEW, len(new), None, None)
        voted = certify.VotedSplit(schemas.NEW, new, unknown, tallies[schemas.NEW], sigma)
        paper = certify.Paper(**settings["paper"])
        orders = rng.generator(settings["seed"], rng.Purpose.QUERY_ORDERS)
        table = certify.certify_splits([voted], guarantee, certification, paper, orders)
        log.info("%s", certify.describe(table))
        sources = io.read_table(smk.input.sources, schemas.SOURCES, made["new"])
        names, note = data.class_names.tolist(), smk.params.note
        named = predictions.predictions(table, names, sources, settings["threat"], note)
        origin = io.provenance(settings, smk.params.code, made)
        predictions.write(smk.output, named, origin)
        io.write_table(smk.output.certificates, table, schemas.CERTIFICATES, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
