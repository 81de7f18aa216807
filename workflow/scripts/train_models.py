"""Train one chunk of smoothed models on noisy copies of the poisoned set."""

from typing import Any

from certbd import ensembles, io, models, schemas
from certbd.draws import Gaussian
from certbd.logs import job_log
from certbd.noise import sigma_of


def main(smk: Any) -> None:
    """Make ``models/chunk-{chunk}.safetensors``."""
    settings = smk.params.settings
    with job_log(smk.log[0]):
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet)
        sigma = sigma_of(
            schemas.TRAIN, len(poisoned.labels), settings["noise"], smk.input.get("sigma")
        )
        ensemble = ensembles.train(
            poisoned,
            Gaussian(sigma),
            models.with_pretrained(settings["learner"], smk.resources.pretrained),
            settings["n_classes"],
            settings["seed"],
            range(*settings["models"]),
            device=ensembles.pick_device(smk.resources.device),
        )
        stacked = {name: parameter.cpu().numpy() for name, parameter in ensemble.items()}
        io.write_models(smk.output.models, stacked, io.provenance(settings, smk.params.code))


if "snakemake" in globals():
    main(globals()["snakemake"])
