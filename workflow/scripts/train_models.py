"""Train one chunk of smoothed models on noisy copies of the poisoned set."""

from collections.abc import Mapping
from typing import Any

from certbd import ensembles, io, models, schemas
from certbd.domains import Replacement
from certbd.draws import Draw, Gaussian, Replaced
from certbd.logs import job_log
from certbd.noise import sigma_of


def main(smk: Any) -> None:
    """Make ``models/chunk-{chunk}.safetensors``."""
    settings = smk.params.settings
    with job_log(smk.log[0]):
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet)
        ensemble = ensembles.train(
            poisoned,
            _draw(settings, len(poisoned.labels), smk.input.get("sigma")),
            models.with_pretrained(settings["learner"], smk.resources.pretrained),
            settings["n_classes"],
            settings["seed"],
            range(*settings["models"]),
            device=ensembles.pick_device(smk.resources.device),
        )
        stacked = {name: parameter.cpu().numpy() for name, parameter in ensemble.items()}
        io.write_models(smk.output.models, stacked, io.provenance(settings, smk.params.code))


def _draw(settings: Mapping[str, Any], n_inputs: int, sigma_file: str | None) -> Draw:
    noise = settings["noise"]
    if noise is not None and "beta" in noise:
        features = Replacement(noise["beta"], noise["values"])
        return Replaced(features, noise["beta_labels"], settings["n_classes"])
    return Gaussian(sigma_of(schemas.TRAIN, n_inputs, noise, sigma_file))


if "snakemake" in globals():
    main(globals()["snakemake"])
