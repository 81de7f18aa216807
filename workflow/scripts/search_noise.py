"""Try pairs of a training parameter and test noise on held-out training inputs."""

from typing import Any

from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import search, worlds
from certbd.learners import learner as learners
from certbd.training import ensembles


def main(smk: Any) -> None:
    """Make the grid of certified accuracy."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, made["poison"])
        device = ensembles.pick_device(smk.resources.device)
        threat, norm = worlds.asked_of(settings["threat"], data, poisoned)
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        n_classes = len(data.class_names)
        grid = search.search_pairs(
            poisoned, threat, norm, learner, n_classes, settings["search"], device
        )
        log.info("%s", search.describe(search.best(grid)))
        origin = io.provenance(settings, smk.params.code, made)
        io.write_table(smk.output.grid, grid, schemas.SEARCH, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
