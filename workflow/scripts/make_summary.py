"""Aggregate all certificates into one row an experiment, and into curves."""

from typing import Any

import pandas as pd

from certbd import io, metrics, schemas
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``summary.csv`` and ``curves.csv``."""
    settings = smk.params.settings
    with job_log(smk.log[0]) as log:
        rows: list[dict[str, Any]] = []
        points: list[dict[str, Any]] = []
        for row, certificates, undefended in zip(
            settings["rows"], smk.input.certificates, smk.input.undefended, strict=True
        ):
            certified = io.read_table(certificates, schemas.CERTIFICATES)
            plain = io.read_table(undefended, schemas.PREDICTIONS)
            rows.append(metrics.summarise(row, certified, plain))
            points.extend(metrics.curves(row, certified, settings["grids"]))
        io.write_csv(smk.output.summary, pd.DataFrame(rows, columns=metrics.SUMMARY))
        io.write_csv(smk.output.curves, pd.DataFrame(points, columns=metrics.CURVES))
        log.info("%d experiments", len(rows))


if "snakemake" in globals():
    main(globals()["snakemake"])
