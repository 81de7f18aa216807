"""Draw certified against broken, a figure a dataset."""

from typing import Any

import pandas as pd

from certbd import audit_plots
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/audit.svg``."""
    with job_log(smk.log[0]):
        audit = pd.read_csv(smk.input.audit)
        for dataset, path in zip(smk.params.settings["datasets"], smk.output, strict=True):
            audit_plots.certified_against_broken(audit[audit["dataset"] == dataset], path)


if "snakemake" in globals():
    main(globals()["snakemake"])
