"""Draw certified accuracy against radius, a figure for each dataset and certificate."""

from typing import Any

import pandas as pd

from certbd import plots
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``figures/{dataset}/certified_accuracy_{certificate}.svg`` and ``.pdf``."""
    with job_log(smk.log[0]):
        summary, curves = pd.read_csv(smk.input.summary), pd.read_csv(smk.input.curves)
        references = smk.params.settings["references"].values()
        for (dataset, certificate), path in zip(
            smk.params.settings["figures"], smk.output.figures, strict=True
        ):
            plots.certified_accuracy(
                curves[curves["dataset"] == dataset],
                summary[summary["dataset"] == dataset],
                certificate,
                path,
                [
                    r
                    for r in references
                    if (r["dataset"], r["certificate"]) == (dataset, certificate)
                ],
            )


if "snakemake" in globals():
    main(globals()["snakemake"])
