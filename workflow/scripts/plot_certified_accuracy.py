"""Draw certified accuracy against radius, a figure for each dataset and certificate."""

from typing import Any

import pandas as pd

from certbd.artifacts import io, products
from certbd.artifacts.logs import job_log
from certbd.report import plots
from certbd.report.looks import Looks


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/certified_accuracy_{certificate}.svg`` and ``.pdf``."""
    settings = smk.params.settings
    with job_log(smk):
        products.check_sums(smk.input.sums)
        summary, curves = pd.read_csv(smk.input.summary), pd.read_csv(smk.input.curves)
        references, looks = settings["references"].values(), Looks(**settings["looks"])
        for (dataset, certificate), path in zip(
            settings["figures"], smk.output.figures, strict=True
        ):
            plots.certified_accuracy(
                curves[curves["dataset"] == dataset],
                summary[summary["dataset"] == dataset],
                certificate,
                path,
                looks,
                [
                    r
                    for r in references
                    if (r["dataset"], r["certificate"]) == (dataset, certificate)
                ],
            )
            products.sign_figure(path, io.provenance(settings, smk.params.code, {}))


if "snakemake" in globals():
    main(globals()["snakemake"])
