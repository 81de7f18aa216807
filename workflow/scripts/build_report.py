"""Build the page that shows a run: coverage, curves, noise, single inputs, provenance."""

from pathlib import Path
from typing import Any

import pandas as pd

from certbd import explorer, io, report, schemas
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``report.html``."""
    rows = smk.params.settings["rows"]
    with job_log(smk.log[0]) as log:
        summary, curves = pd.read_csv(smk.input.summary), pd.read_csv(smk.input.curves)
        tables = [io.read_table(path, schemas.CERTIFICATES) for path in smk.input.certificates]
        names = list(dict.fromkeys(row["dataset"] for row in rows))
        datasets = {
            name: explorer.dataset_of(
                [table for row, table in zip(rows, tables, strict=True) if row["dataset"] == name],
                len(rows),
                len(names),
                *_inputs(smk, name),
            )
            for name in names
        }
        experiments = report.experiments(rows, summary)
        for row, table, path in zip(experiments, tables, smk.input.certificates, strict=True):
            samples = datasets[row["dataset"]]["samples"]
            row["certificates"] = explorer.certificates_of(table, samples)
            row["origin"] = report.origin_of(path)
            row["path"] = str(path)
            if row["undefended"] is not None:
                answers = io.read_table(
                    smk.input.undefended[row["undefended"]], schemas.PREDICTIONS
                )
                row["undefended"] = explorer.predictions_of(answers, samples)
            if row["sigma"] is not None:
                sigma = io.read_table(smk.input.sigma[row["sigma"]], schemas.SIGMA)
                row["sigma"] = explorer.sigma_quantiles(sigma)
                row["start"] = float(sigma["start"].iloc[0])
        audit = pd.read_csv(smk.input.audit[0]) if smk.input.get("audit") else None
        page = {
            "experiments": experiments,
            "lines": report.lines(curves),
            "datasets": datasets,
            "audit": report.audits(audit),
        }
        html = report.render(page, Path(smk.input.templates[0]).parent)
        with io.atomic(smk.output.page) as temporary:
            temporary.write_text(html)
        log.info("%d experiments, %d bytes", len(experiments), len(html))


def _inputs(smk: Any, dataset: str) -> tuple[Any, dict[str, Any]]:
    """Return the arrays of a dataset and its triggered inputs by attack, if they are known."""
    settings = smk.params.settings
    if dataset not in settings["datasets"]:
        return None, {}
    path = smk.input.data[settings["datasets"].index(dataset)]
    triggered = {
        attack: io.read_arrays(file, io.TriggeredInputs).inputs
        for (name, attack), file in zip(settings["attacks"], smk.input.triggered, strict=True)
        if name == dataset
    }
    return io.read_arrays(path, io.DataSplits), triggered


if "snakemake" in globals():
    main(globals()["snakemake"])
