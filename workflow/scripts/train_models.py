"""Train one chunk of smoothed models, each on a random version of the poisoned set of its own."""

from collections.abc import Mapping
from typing import Any

from certbd import ensembles, features, io, schemas
from certbd.draws import Bagging, Draw, Gaussian, NoisyStatistic
from certbd.logs import job_log
from certbd.noise import sigma_of


def main(smk: Any) -> None:
    """Make ``models/chunk-{chunk}.safetensors``."""
    settings = smk.params.settings
    with job_log(smk.log[0]):
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet)
        poisoned = poisoned._replace(
            inputs=features.apply(settings["learner"].get("features"), poisoned.inputs)
        )
        ensemble = ensembles.train(
            poisoned,
            _draw(settings["noise"], len(poisoned.labels), smk.input.get("sigma")),
            settings["learner"],
            settings["n_classes"],
            settings["seed"],
            range(*settings["models"]),
            device=ensembles.pick_device(smk.resources.device),
        )
        stacked = {name: parameter.cpu().numpy() for name, parameter in ensemble.items()}
        io.write_models(smk.output.models, stacked, io.provenance(settings, smk.params.code))


def _draw(
    levels: Mapping[str, float] | None, n_rows: int, file: str | None
) -> Draw | NoisyStatistic:
    """Return the randomness on the training side that a noise entry stands for."""
    if levels and "n_drawn" in levels:
        return Bagging(int(levels["n_drawn"]))
    if levels and "sigma_statistic" in levels:
        return NoisyStatistic(levels["sigma_statistic"])
    return Gaussian(sigma_of(schemas.TRAIN, n_rows, levels, file))


if "snakemake" in globals():
    main(globals()["snakemake"])
