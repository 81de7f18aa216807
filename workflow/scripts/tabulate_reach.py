"""Tabulate and draw what discrete noise can cover at most."""

from itertools import product
from typing import Any

import pandas as pd

from certbd.artifacts import io, products
from certbd.artifacts.logs import job_log
from certbd.config import entries
from certbd.report import plots
from certbd.theory import discrete


def main(smk: Any) -> None:
    """Make ``reach.csv`` and ``figures/reach.svg``, and the table's provenance."""
    settings = smk.params.settings
    alpha, bound = settings["alpha"], settings["bound"]
    unanimous = entries.module(entries.BOUNDS, bound).unanimous
    with job_log(smk) as log:
        rows = []
        for values, beta, n_models in product(
            settings["values"], settings["betas"], settings["n_models"]
        ):
            agreed = unanimous(n_models, alpha)
            reach = int(discrete.certified_flips(agreed, beta, values))
            one, four = discrete.poisoned_images(reach, [1, 4]).tolist()
            rows.append((values, beta, n_models, bound, alpha, reach, one, four))
        columns = "values beta n_models bound alpha reach images_one_pixel images_four_pixel"
        table = pd.DataFrame(rows, columns=columns.split())
        products.write_csv(smk.output.table, table)
        plots.reach(table, smk.output.figure)
        origin = io.provenance(settings, smk.params.code, {})
        products.write_sums(smk.output.sums, [smk.output.table], origin)
        products.sign_figure(smk.output.figure, origin)
        log.info("%d rows", len(table))


if "snakemake" in globals():
    main(globals()["snakemake"])
