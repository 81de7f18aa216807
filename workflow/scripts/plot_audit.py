"""Draw certified against broken, one figure per dataset."""

from typing import Any

import pandas as pd

from certbd.artifacts import io, products
from certbd.artifacts.logs import job_log
from certbd.report import audit_plots


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/audit.svg`` and ``.pdf``."""
    settings = smk.params.settings
    with job_log(smk):
        products.check_sums(smk.input.sums)
        audit = pd.read_csv(smk.input.audit)
        for dataset, path in zip(settings["datasets"], smk.output.figures, strict=True):
            here = audit[audit["dataset"] == dataset]
            audit_plots.certified_against_broken(here, path, settings["colours"])
            products.sign_figure(path, io.provenance(settings, smk.params.code, {}))


if "snakemake" in globals():
    main(globals()["snakemake"])
