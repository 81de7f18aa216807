"""Draw the heat map of a search."""

from typing import Any

from certbd.artifacts import io, products, schemas
from certbd.artifacts.logs import job_log
from certbd.report import search_plots


def main(smk: Any) -> None:
    """Make ``searches/{search}.svg`` and ``.pdf``."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk):
        grid = io.read_table(smk.input.grid, schemas.SEARCH, made["grid"])
        title = f"{settings['search']}: {settings['threat']}"
        search_plots.noise_search(grid, title, settings["parameter"], smk.output.figure)
        products.sign_figure(smk.output.figure, io.provenance(settings, smk.params.code, made))


if "snakemake" in globals():
    main(globals()["snakemake"])
