"""Draw the heat map of a search for noise levels."""

from typing import Any

from certbd import io, plots, schemas
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``searches/{search}.svg`` and ``.pdf``."""
    settings = smk.params.settings
    with job_log(smk.log[0]):
        grid = io.read_table(smk.input.grid, schemas.NOISE_SEARCH)
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet)
        title = (
            f"{settings['search']}: trigger of norm {settings['attack_norm']:g} on "
            f"{len(poisoned.indices)} training inputs"
        )
        plots.noise_search(grid, title, smk.output.figure)


if "snakemake" in globals():
    main(globals()["snakemake"])
