"""Train one chunk of smoothed models, each on a random version of the poisoned set of its own."""

from collections.abc import Mapping
from typing import Any

from certbd import ensembles, features, io, models, schemas
from certbd.domains import Replacement
from certbd.draws import Bagging, Draw, Gaussian, NoisyStatistic, Replaced
from certbd.logs import job_log
from certbd.noise import sigma_of


def main(smk: Any) -> None:
    """Make ``models/chunk-{chunk}.safetensors``."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk.log[0]):
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, made["poison"])
        poisoned = poisoned._replace(
            inputs=features.apply(settings["learner"].get("features"), poisoned.inputs)
        )
        ensemble = ensembles.train(
            poisoned,
            _draw(settings, len(poisoned.labels), smk.input.get("sigma"), made.get("sigma")),
            models.with_pretrained(settings["learner"], smk.resources.pretrained),
            settings["n_classes"],
            settings["seed"],
            range(*settings["models"]),
            device=ensembles.pick_device(smk.resources.device),
        )
        stacked = {name: parameter.cpu().numpy() for name, parameter in ensemble.items()}
        origin = io.provenance(settings, smk.params.code, made)
        io.write_models(smk.output.models, stacked, origin)


def _draw(
    settings: Mapping[str, Any], n_rows: int, sigma_file: str | None, identity: str | None
) -> Draw | NoisyStatistic:
    """Return the randomness on the training side that a noise entry stands for."""
    levels = settings["noise"]
    if levels and "beta" in levels:
        replacement = Replacement(levels["beta"], levels["values"])
        return Replaced(replacement, levels["beta_labels"], settings["n_classes"])
    if levels and "n_drawn" in levels:
        return Bagging(int(levels["n_drawn"]))
    if levels and "sigma_statistic" in levels:
        return NoisyStatistic(levels["sigma_statistic"])
    return Gaussian(sigma_of(schemas.TRAIN, n_rows, levels, sigma_file, identity))


if "snakemake" in globals():
    main(globals()["snakemake"])
