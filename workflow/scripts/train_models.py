"""Train one chunk of smoothed models, each on a random version of the poisoned set of its own."""

from typing import Any

from certbd.artifacts import io
from certbd.artifacts.logs import job_log
from certbd.learners import features
from certbd.learners import learner as learners
from certbd.training import ensembles
from certbd.training import side as training


def main(smk: Any) -> None:
    """Make ``models/chunk-{chunk}.safetensors``."""
    settings = smk.params.settings
    n_classes = settings["n_classes"]
    with job_log(smk):
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, smk.resources.poison)
        learner = learners.read(settings["learner"]).with_weights(smk.resources.pretrained)
        device = ensembles.pick_device(smk.resources.device)
        inputs = features.apply(learner.feature_map, poisoned.inputs, device)
        side, n_rows = training.read(settings["training"]), len(poisoned.labels)
        sigma = training.noise_of(side, n_rows, smk.input.get("sigma"), smk.resources.sigma)
        ensemble = ensembles.train(
            poisoned._replace(inputs=inputs),
            training.draw_of(side, n_classes, sigma),
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
