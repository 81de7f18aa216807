"""Train one chunk of smoothed models, each on a random version of the poisoned set of its own."""

from typing import Any

from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.learners import features
from certbd.learners import learner as learners
from certbd.training import ensembles
from certbd.training.draws import Draw, Gaussian, NoisyStatistic, draw_of
from certbd.training.noise import sigma_of


def main(smk: Any) -> None:
    """Make ``models/chunk-{chunk}.safetensors``."""
    settings = smk.params.settings
    noise, n_classes = settings["noise"], settings["n_classes"]
    with job_log(smk.log[0]):
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, smk.resources.poison)
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        device = ensembles.pick_device(smk.resources.device)
        inputs = features.apply(learner.feature_map, poisoned.inputs, device)
        if noise is None:
            n_rows, file = len(poisoned.labels), smk.input.get("sigma")
            sigma = sigma_of(schemas.TRAIN, n_rows, None, file, smk.resources.sigma)
            draw: Draw | NoisyStatistic = Gaussian(sigma)
        else:
            draw = draw_of(noise, n_classes)
        ensemble = ensembles.train(
            poisoned._replace(inputs=inputs),
            draw,
            learner,
            n_classes,
            settings["seed"],
            range(*settings["models"]),
            device=device,
        )
        stacked = {name: parameter.cpu().numpy() for name, parameter in ensemble.items()}
        origin = io.provenance(settings, smk.params.code, {})
        io.write_models(smk.output.models, stacked, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
