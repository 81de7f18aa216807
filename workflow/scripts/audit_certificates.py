"""Try to falsify the certificates of a run, and check its random numbers."""

from collections.abc import Mapping
from typing import Any

from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.audit import audit, outcomes, randomness, streams, trials
from certbd.audit.worlds import Procedure
from certbd.certify.guarantees import largest_norm
from certbd.config.axes import SCORE_BOUNDS, Certification, alpha_of_certificate
from certbd.data.domains import Replacement
from certbd.learners import features
from certbd.learners import learner as learners
from certbd.training import ensembles
from certbd.training.draws import Gaussian, draw_of
from certbd.training.noise import sigma_of


def main(smk: Any) -> None:
    """Make ``audit.parquet``, one row a trial, and ``noise_audit.parquet``, one row a check."""
    settings, made = smk.params.settings, smk.params.inputs
    with job_log(smk.log[0]) as log:
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
    levels, n_classes = settings["noise"], len(data.class_names)
    sigma_train: Any = None  # an array for the defences that have it
    if levels is None or "train" in levels:
        sigma_train = sigma_of(
            schemas.TRAIN, len(given.labels), levels, files.get("sigma"), made.get("sigma")
        )
    noise = None
    if levels and "beta" in levels:
        noise = Replacement(levels["beta"], levels["values"])
    norm, learner = settings["attack_norm"], learners.read(settings["learner"])
    mapped = learner.feature_map
    procedure = Procedure(
        learner.with_weights(resources.pretrained),
        Gaussian(sigma_train) if levels is None else draw_of(levels, n_classes),
        n_classes,
        settings["seed"],
        certification.n_models,
        certification.bound in SCORE_BOUNDS,
        ensembles.pick_device(resources.device),
    )
    benign = features.apply(mapped, data.test_inputs)
    points = {schemas.BENIGN: benign}
    if len(triggered.inputs):
        points[schemas.TRIGGERED] = features.apply(mapped, triggered.inputs)
    return trials.Case(
        procedure=procedure,
        defense=settings["defense"],
        alpha=alpha_of_certificate(certification, len(table)),
        attack_norm=norm and largest_norm(norm, data, given, triggered),
        given=given._replace(inputs=features.apply(mapped, given.inputs)),
        clean=io.PoisonedSet(
            features.apply(mapped, data.train_inputs), data.train_labels, given.indices
        ),
        points=points,
        twins=dict.fromkeys(points, benign),
        table=table,
        sigma_train=sigma_train,
        noise=noise,
        search=settings["search"],
        budget=trials.Budget(**settings["budget"]),
    )


if "snakemake" in globals():
    main(globals()["snakemake"])
