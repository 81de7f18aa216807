"""Draw the distribution of cert_ssb's optimised noise, a figure for each dataset."""

from typing import Any

import pandas as pd

from certbd.artifacts import io, products, schemas
from certbd.artifacts.logs import job_log
from certbd.report import plots


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/sigma_distribution.svg`` and ``.pdf``."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk):
        runs = pd.DataFrame(settings["runs"])
        tables = [
            io.read_table(path, schemas.SIGMA, identity)
            for path, identity in zip(smk.input.sigma, made["sigma"], strict=True)
        ]
        sigmas = pd.concat(
            [
                table.assign(**run)
                for table, run in zip(tables, runs.to_dict("records"), strict=True)
            ]
        )
        for dataset, path in zip(runs["dataset"].unique(), smk.output.figures, strict=True):
            here = runs[runs["dataset"] == dataset]
            plots.sigma_distribution(
                sigmas[sigmas["dataset"] == dataset],
                here["attack"].unique().tolist(),
                here["noise"].unique().tolist(),
                path,
            )
            products.sign_figure(path, io.provenance(settings, smk.params.code, made))


if "snakemake" in globals():
    main(globals()["snakemake"])
