"""Try to falsify the certificates of a run, and check its random numbers."""

from collections.abc import Mapping
from typing import Any

from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.audit import audit, outcomes, randomness, streams, trials
from certbd.audit.worlds import Procedure
from certbd.certify import worlds
from certbd.certify.claims import is_scored
from certbd.config.axes import Certification, alpha_of_certificate
from certbd.data.domains import Replacement
from certbd.learners import features
from certbd.learners import learner as learners
from certbd.testing import side as testing
from certbd.training import ensembles
from certbd.training import side as training
from certbd.training.world import largest_norm


def main(smk: Any) -> None:
    """Make ``audit.parquet``, a row per trial, and ``noise_audit.parquet``, a row per check."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk) as log:
        case = read_case(settings, smk.input, made, smk.resources)
        noisy = case.noise is not None or bool((case.table["sigma"] > 0).any())
        checks = streams.check_run(case.procedure, case.given.inputs.shape, noisy)
        log.info("%s", randomness.describe(randomness.judge(checks)))
        table = audit.audit(case)
        log.info("%d rows; %s", len(table), outcomes.describe_trials(table, case.alpha))
        origin = io.provenance(settings, smk.params.code, made)
        io.write_table(smk.output.checks, checks, randomness.CHECKS, origin)
        io.write_table(smk.output.trials, table, outcomes.TRIALS, origin)


def read_case(
    settings: Mapping[str, Any], files: Any, made: Mapping[str, str], resources: Any
) -> trials.Case:
    """Read a run's certificates, its worlds and its procedure."""
    data = io.read_arrays(files.data, io.DataSplits, made["data"])
    given = io.read_arrays(files.poisoned, io.PoisonedSet, made["poison"])
    triggered = io.read_arrays(files.triggered, io.TriggeredInputs, made["poison"])
    table = io.read_table(files.certificates, schemas.CERTIFICATES, made["certificates"])
    certification = Certification(**settings["certification"])
    n_classes, norm = len(data.class_names), settings["attack_norm"]
    threat, _ = worlds.asked_of(settings["threat"], data, given, triggered)
    side, test = training.read(settings["training"]), testing.read(settings["testing"])
    sigma = training.noise_of(side, len(given.labels), files.get("sigma"), made.get("sigma"))
    noise = test.noise(table["sigma"].to_numpy())
    learner = learners.read(settings["learner"]).with_weights(resources.pretrained)
    mapped = learner.feature_map
    procedure = Procedure(
        learner,
        side,
        training.draw_of(side, n_classes, sigma),
        n_classes,
        settings["seed"],
        certification.n_models,
        is_scored(certification.bound),
        ensembles.pick_device(resources.device),
    )
    benign = features.apply(mapped, data.test_inputs)
    points = {schemas.BENIGN: benign}
    if len(triggered.inputs):
        points[schemas.TRIGGERED] = features.apply(mapped, triggered.inputs)
    return trials.Case(
        procedure=procedure,
        alpha=alpha_of_certificate(certification, len(table)),
        threat=threat,
        attack_norm=norm and largest_norm(norm, data, given, triggered),
        given=given._replace(inputs=features.apply(mapped, given.inputs)),
        clean=io.PoisonedSet(
            features.apply(mapped, data.train_inputs), data.train_labels, given.indices
        ),
        points=points,
        twins=dict.fromkeys(points, benign),
        table=table,
        sigma_train=sigma,
        noise=noise if isinstance(noise, Replacement) else None,
        budget=trials.Budget(**settings["budget"]),
    )


if "snakemake" in globals():
    main(globals()["snakemake"])
