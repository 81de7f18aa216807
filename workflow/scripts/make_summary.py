"""Aggregate all certificates into one row an experiment, and into curves."""

from pathlib import Path
from typing import Any

import pandas as pd

from certbd.artifacts import io, products, schemas
from certbd.artifacts.logs import job_log
from certbd.report import metrics


def main(smk: Any) -> None:
    """Make ``summary.csv``, ``curves.csv``, ``models.csv`` and their ``provenance.json``."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk) as log:
        rows: list[dict[str, Any]] = []
        points: list[dict[str, Any]] = []
        lines: set[tuple[Any, ...]] = set()
        for row, certificates, identity in zip(
            settings["rows"], smk.input.certificates, made["certificates"], strict=True
        ):
            certified = io.read_table(certificates, schemas.CERTIFICATES, identity)
            undefended = None
            if row["undefended"] is not None:
                path = smk.input.undefended[row["undefended"]]
                identity = made["undefended"][row["undefended"]]
                undefended = io.read_table(path, schemas.PREDICTIONS, identity)
            rows.append(metrics.summarise(row, certified, undefended))
            for line, drawn in metrics.curves(row, certified, settings["grids"]):
                if line not in lines:  # of several N or multiplicities, the one listed first
                    points.extend(drawn)
                lines.add(line)
        trained = [
            (row, identity)
            for row, identity in zip(settings["rows"], made["certificates"], strict=True)
            if row["trained"]
        ]
        failed = [
            metrics.count_faults(row, io.read_table(file, schemas.FAULTS, identity))
            for (row, identity), file in zip(trained, smk.input.faults, strict=True)
        ]
        summary = pd.DataFrame(rows, columns=metrics.SUMMARY)
        summary = summary.astype(dict.fromkeys(metrics.COUNTS, "Int64"))
        products.write_csv(smk.output.summary, summary)
        products.write_csv(smk.output.curves, pd.DataFrame(points, columns=metrics.CURVES))
        products.write_csv(smk.output.models, pd.DataFrame(failed, columns=metrics.MODELS))
        tables = [smk.output.summary, smk.output.curves, smk.output.models]
        products.write_sums(smk.output.sums, tables, io.provenance(settings, smk.params.code, made))
        if smk.resources.replace:
            kept = {Path(file).resolve() for file in smk.resources.figures.split()}
            for file in products.remove_figures(Path(smk.output.summary).parent / "figures", kept):
                log.info("%s removed: the new tables do not draw it", file)
        log.info("%d experiments", len(rows))


if "snakemake" in globals():
    main(globals()["snakemake"])
