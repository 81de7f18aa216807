"""Certify votes or scores of models that were trained elsewhere."""

from typing import Any

import numpy as np

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import certify, external, predictions
from certbd.certify.claims import is_scored
from certbd.config.axes import Certification
from certbd.training.gaussian.guarantee import GaussianTraining

PAPER = certify.Paper(published=True, stored=False)


def main(smk: Any) -> None:
    """Make ``certificates.parquet``, and ``predictions``."""
    settings = smk.params.settings
    certification = Certification(**settings["certification"])
    with job_log(smk) as log:
        for key in ("votes", "labels"):
            if settings[key] is not None:
                changed = "has changed since this run was planned; run again"
                io.check_sum(smk.resources[key], settings[key], changed)
        splits = external.read_votes(
            smk.resources.votes,
            smk.resources.labels or None,
            settings["sigma_test"],
            certification.n_models,
            settings["n_classes"],
            is_scored(certification.bound),
            settings["sigma_train"],
        )
        training, threat = None, settings["threat"]
        if settings["sigma_train"] is not None:
            sigma = np.asarray(settings["sigma_train"])
            asked = (threat["rows"], threat["size"]) if threat else (None, None)
            training = GaussianTraining(sigma, None, *asked)
        orders = rng.generator(0, rng.Purpose.QUERY_ORDERS)
        table = certify.certify_splits(splits, training, certification, PAPER, orders)
        log.info("%s", certify.describe(table))
        origin = io.provenance(settings, smk.params.code, {})
        named = predictions.predictions(
            table,
            list(map(str, range(settings["n_classes"]))),
            predictions.numbered(table),
            settings["threat"],
        )
        predictions.write(smk.output, named, origin)
        io.write_table(smk.output.certificates, table, schemas.CERTIFICATES, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
