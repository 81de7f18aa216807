"""Draw attack success with and without each defence, a figure for each dataset."""

from typing import Any

import pandas as pd

from certbd.artifacts import io, products
from certbd.artifacts.logs import job_log
from certbd.report import plots


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/attack_success.svg`` and ``.pdf``."""
    settings = smk.params.settings
    with job_log(smk.log[0]):
        products.check_sums(smk.input.sums)
        summary = pd.read_csv(smk.input.summary)
        for dataset, path in zip(settings["datasets"], smk.output.figures, strict=True):
            plots.attack_success(summary[summary["dataset"] == dataset], path)
            products.sign_figure(path, io.provenance(settings, smk.params.code, {}))


if "snakemake" in globals():
    main(globals()["snakemake"])
