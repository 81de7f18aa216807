"""Try pairs of a training parameter and test noise on held-out training inputs."""

import sys
import textwrap
from typing import Any

from certbd.artifacts import io, products, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import search, search_words, worlds
from certbd.learners import learner as learners
from certbd.training import ensembles


def main(smk: Any) -> None:
    """Make the grid of certified accuracy, twice: as Parquet and as CSV."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, made["poison"])
        device = ensembles.pick_device(smk.resources.device)
        threat, norm = worlds.asked_of(settings["threat"], data, poisoned)
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        n_classes = len(data.class_names)
        trusted = None
        if "trusted" in made:
            trusted = io.read_arrays(smk.input.trusted, io.PoisonedSet, made["trusted"])
        grid = search.search_pairs(
            trusted or poisoned,
            threat,
            norm,
            learner,
            n_classes,
            settings["search"],
            device,
            given=poisoned,
        )
        wanted = "no threat" if threat is None else threat.describe()
        said = [f"noise search {smk.wildcards.search}", search_words.table(grid)]
        said += [search_words.describe(grid, wanted), search_words.provenance(settings["search"])]
        log.info("%s", "\n".join(said))
        said[2:] = [textwrap.fill(text, 80) for text in said[2:]]
        print("\n".join(said), file=sys.stderr)
        origin = io.provenance(settings, smk.params.code, made)
        searched = search_words.searched_on(settings["search"])
        products.write_csv(smk.output.spreadsheet, grid.assign(searched_on=searched))
        io.write_table(smk.output.grid, grid, schemas.SEARCH, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
