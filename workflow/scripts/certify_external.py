"""Certify votes or scores of models that were trained elsewhere."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import certify, external, predictions
from certbd.certify.claims import is_scored
from certbd.config.axes import Certification
from certbd.config.threats import Threat
from certbd.training.bagging.guarantee import BaggedRows
from certbd.training.gaussian.guarantee import GaussianTraining
from certbd.training.statistic.guarantee import StatisticRows
from certbd.training.world import Guarantee


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
        training = _guarantee(settings)
        paper = certify.Paper(published=not settings["rows"], stored=False)
        orders = rng.generator(0, rng.Purpose.QUERY_ORDERS)
        table = certify.certify_splits(splits, training, certification, paper, orders)
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


def _guarantee(settings: Mapping[str, Any]) -> Guarantee | None:
    """Return what the training side guarantees, as the experiment says it was."""
    threat = settings["threat"] and Threat(**settings["threat"])
    norm, rows = threat and threat.norm(()), settings["rows"]
    if "n_drawn" in rows:
        return BaggedRows(rows["n_rows"], rows["n_drawn"], threat, norm)
    if "sigma_statistic" in rows:
        noise, bound = rows["sigma_statistic"], rows["statistic_norm"]
        return StatisticRows(rows["n_rows"], noise, bound, threat, norm)
    if settings["sigma_train"] is None:
        return None
    sigma = np.asarray(settings["sigma_train"])
    return GaussianTraining(sigma, None, threat and threat.rows, norm)


if "snakemake" in globals():
    main(globals()["snakemake"])
