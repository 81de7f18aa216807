"""Build the page that shows a run: coverage, curves, noise, single inputs, provenance."""

from pathlib import Path
from typing import Any

import pandas as pd

from certbd.artifacts import io, products, schemas
from certbd.artifacts.logs import job_log
from certbd.report import explorer, report
from certbd.report.looks import Looks


def main(smk: Any) -> None:
    """Make ``report.html``, or make it again where it is an input: after the audit."""
    rows, made = smk.params.settings["rows"], smk.params.inputs
    with job_log(smk) as log:
        products.check_sums(smk.input.sums)
        summary, curves = pd.read_csv(smk.input.summary), pd.read_csv(smk.input.curves)
        tables = [
            io.read_table(path, schemas.CERTIFICATES, identity)
            for path, identity in zip(smk.input.certificates, made["certificates"], strict=True)
        ]
        looks = Looks(**smk.params.settings["looks"])
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
        experiments = report.experiments(rows, summary, looks)
        for name, page_of in datasets.items():
            page_of["sources"] = _sources(smk, name, page_of["samples"])
        for row, table, path in zip(experiments, tables, smk.input.certificates, strict=True):
            samples = datasets[row["dataset"]]["samples"]
            row["certificates"] = explorer.certificates_of(table, samples)
            row["origin"] = io.read_provenance(path)
            row["path"] = str(path)
            if row["undefended"] is not None:
                place = row["undefended"]
                path, identity = smk.input.undefended[place], made["undefended"][place]
                answers = io.read_table(path, schemas.PREDICTIONS, identity)
                row["undefended"] = explorer.predictions_of(answers, samples)
            if row["sigma"] is not None:
                place = row["sigma"]
                path, identity = smk.input.sigma[place], made["sigma"][place]
                sigma = io.read_table(path, schemas.SIGMA, identity)
                row["sigma"] = explorer.sigma_quantiles(sigma)
                row["start"] = float(sigma["start"].iloc[0])
        audit = _audit(Path(smk.input.sums).with_name("audit.csv"), made["certificates"])
        page = {
            "experiments": experiments,
            "lines": report.lines(curves, summary, looks),
            "datasets": datasets,
            "audit": report.audits(audit),
            "tries": report.tries(audit),
        }
        html = report.render(page)
        with io.atomic(smk.output.get("page") or smk.input.page) as temporary:
            temporary.write_text(html)
        log.info("%d experiments, %d bytes", len(experiments), len(html))


def _audit(table: Path, certificates: list[str]) -> pd.DataFrame | None:
    """Return the table of the audit if there is one, and of exactly these certificates."""
    sums = table.with_name("audit.provenance.json")
    if not sums.exists():
        return None
    tried = products.read_sums(sums).get("inputs", {}).get("certificates", [])
    if sorted(tried) != sorted(certificates):
        return None
    products.check_sums(sums)
    return pd.read_csv(table)


def _sources(smk: Any, dataset: str, samples: list[int]) -> list[str]:
    """Return where the inputs that are shown come from; nothing for votes from elsewhere."""
    if dataset not in smk.params.settings["datasets"]:
        return []
    place = smk.params.settings["datasets"].index(dataset)
    identity = smk.params.inputs["data"][place]
    known = io.read_table(smk.input.sources[place], schemas.SOURCES, identity)
    test = known[known["split"] == schemas.BENIGN]
    named = test["source"].where(test["id"].isna(), test["source"] + " (" + test["id"] + ")")
    return list(named.iloc[samples])


def _inputs(smk: Any, dataset: str) -> tuple[Any, dict[str, Any]]:
    """Return the arrays of a dataset and its triggered inputs by attack, if they are known."""
    settings, made = smk.params.settings, smk.params.inputs
    if dataset not in settings["datasets"]:
        return None, {}
    place = settings["datasets"].index(dataset)
    triggered = {
        attack: io.read_arrays(file, io.TriggeredInputs, identity).inputs
        for (name, attack), file, identity in zip(
            settings["attacks"], smk.input.triggered, made["triggered"], strict=True
        )
        if name == dataset
    }
    return io.read_arrays(smk.input.data[place], io.DataSplits, made["data"][place]), triggered


if "snakemake" in globals():
    main(globals()["snakemake"])
