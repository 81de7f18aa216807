"""Aggregate all certificates into one row an experiment, and into curves."""

from typing import Any

import pandas as pd

from certbd import io, metrics, schemas
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``summary.csv``, ``curves.csv`` and ``models.csv``."""
    settings = smk.params.settings
    with job_log(smk.log[0]) as log:
        rows: list[dict[str, Any]] = []
        points: list[dict[str, Any]] = []
        lines: set[tuple[Any, ...]] = set()
        for row, certificates in zip(settings["rows"], smk.input.certificates, strict=True):
            certified = io.read_table(certificates, schemas.CERTIFICATES)
            undefended = None
            if row["undefended"] is not None:
                path = smk.input.undefended[row["undefended"]]
                undefended = io.read_table(path, schemas.PREDICTIONS)
            rows.append(metrics.summarise(row, certified, undefended))
            line = tuple(row[axis] for axis in metrics.LINE)
            if line not in lines:  # of several N or multiplicities, the one listed first
                points.extend(metrics.curves(row, certified, settings["grids"]))
            lines.add(line)
        summary = pd.DataFrame(rows, columns=metrics.SUMMARY)
        summary = summary.astype(dict.fromkeys(metrics.COUNTS, "Int64"))
        io.write_csv(smk.output.summary, summary)
        io.write_csv(smk.output.curves, pd.DataFrame(points, columns=metrics.CURVES))
        trained = [row for row in settings["rows"] if row["undefended"] is not None]
        failed = [
            metrics.count_faults(row, io.read_table(file, schemas.FAULTS))
            for row, file in zip(trained, smk.input.faults, strict=True)
        ]
        io.write_csv(smk.output.models, pd.DataFrame(failed, columns=metrics.MODELS))
        log.info("%d experiments", len(rows))


if "snakemake" in globals():
    main(globals()["snakemake"])
