"""Draw attack success with and without each defence, a figure for each dataset."""

from typing import Any

import pandas as pd

from certbd import plots
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/attack_success.svg`` and ``.pdf``."""
    with job_log(smk.log[0]):
        summary = pd.read_csv(smk.input.summary)
        for dataset, path in zip(smk.params.settings["datasets"], smk.output.figures, strict=True):
            plots.attack_success(summary[summary["dataset"] == dataset], path)


if "snakemake" in globals():
    main(globals()["snakemake"])
