"""Draw attack success with and without each defence, a figure for each dataset."""

from typing import Any

import pandas as pd

from certbd.artifacts import io, products
from certbd.artifacts.logs import job_log
from certbd.report import plots
from certbd.report.looks import Looks


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/attack_success.svg`` and ``.pdf``."""
    settings = smk.params.settings
    with job_log(smk):
        products.check_sums(smk.input.sums)
        summary, looks = pd.read_csv(smk.input.summary), Looks(**settings["looks"])
        for dataset, path in zip(settings["datasets"], smk.output.figures, strict=True):
            plots.attack_success(summary[summary["dataset"] == dataset], path, looks)
            products.sign_figure(path, io.provenance(settings, smk.params.code, {}))


if "snakemake" in globals():
    main(globals()["snakemake"])
