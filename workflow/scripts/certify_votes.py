"""Count the votes of a run and certify every test input."""

from collections.abc import Callable, Mapping
from typing import Any

from certbd import certificates, certify, io, rng, schemas
from certbd.axes import SCORE_BOUNDS, Certification
from certbd.guarantees import DiscreteNoise, GaussianTraining, Guarantee
from certbd.logs import job_log
from certbd.noise import sigma_of
from certbd.rows import BaggedRows, StatisticRows, class_sums_bound
from certbd.tally import count_votes


def main(smk: Any) -> None:
    """Make ``certificates.parquet``, and ``faults.parquet`` with the models that failed."""
    settings, made = smk.params.settings, smk.params.inputs
    certification = Certification(**settings["certification"])
    with job_log(smk.log[0]) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, made["poison"])
        triggered = io.read_arrays(smk.input.triggered, io.TriggeredInputs, made["poison"])

        def sigma(split: str, n_inputs: int) -> Any:
            file = smk.input.get("sigma")
            return sigma_of(split, n_inputs, settings["noise"], file, made.get("sigma"))

        splits = {
            schemas.BENIGN: (data.test_inputs, data.test_labels),
            schemas.TRIGGERED: (triggered.inputs, triggered.true_labels),
        }
        sizes = {split: len(labels) for split, (_, labels) in splits.items()}
        tallies, faults = count_votes(
            smk.input.votes,
            sizes,
            certification.n_models,
            len(data.class_names),
            certification.bound in SCORE_BOUNDS,
            made["votes"],
        )
        if settings["defense"] == "discrete":
            guarantee: Guarantee = DiscreteNoise.of(settings["noise"], data, poisoned, triggered)
        else:
            guarantee = _guarantee(settings, poisoned, len(data.class_names), sigma)
        orders = rng.generator(settings["seed"], rng.Purpose.QUERY_ORDERS)
        voted = [
            certify.VotedSplit(split, *splits[split], tallies[split], sigma(split, size))
            for split, size in sizes.items()
        ]
        table = certify.certify_splits(voted, guarantee, certification, settings["defense"], orders)
        log.info("%s", certify.describe(table))
        origin = io.provenance(settings, smk.params.code, made)
        for fault, models in faults.groupby("fault")["model"]:
            log.warning("%d models %s, counted in N: %s", len(models), fault, models.tolist())
        io.write_table(smk.output.faults, faults, schemas.FAULTS, origin)
        io.write_table(smk.output.certificates, table, schemas.CERTIFICATES, origin)


def _guarantee(
    settings: Mapping[str, Any],
    poisoned: io.PoisonedSet,
    n_classes: int,
    sigma: Callable[[str, int], Any],
) -> Guarantee:
    """Return what the certificates of a run's defence cover."""
    noise, learner, n_rows = settings["noise"], settings["learner"], len(poisoned.labels)
    attack = (len(poisoned.indices), settings["attack_norm"])
    if settings["defense"] == "bagging":
        return BaggedRows(n_rows, noise["n_drawn"], *attack)
    if settings["defense"] == "statistic":
        bound = class_sums_bound(n_classes, learner["features"])
        return StatisticRows(n_rows, noise["sigma_statistic"], bound, *attack)
    sigma_train = sigma(schemas.TRAIN, n_rows)
    by_means = learner["kind"] == "nearest_class_mean"
    variance = certificates.class_variance(poisoned.labels, sigma_train) if by_means else None
    return GaussianTraining(sigma_train, variance, *attack)


if "snakemake" in globals():
    main(globals()["snakemake"])
