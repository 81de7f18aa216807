"""Count the votes of a run and certify every test input."""

from typing import Any

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import certify
from certbd.certify.coverage import guarantee_of
from certbd.certify.guarantees import DiscreteNoise, Guarantee, largest_norm
from certbd.certify.tally import count_votes
from certbd.config.axes import ROWS, SCORE_BOUNDS, Certification
from certbd.training.noise import sigma_of


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
            by_rows, norm = settings["defense"] in ROWS, settings["attack_norm"]
            guarantee = guarantee_of(
                settings["defense"],
                settings["noise"],
                settings["learner"],
                poisoned.labels,
                len(data.class_names),
                None if by_rows else sigma(schemas.TRAIN, len(poisoned.labels)),
                (len(poisoned.indices), norm and largest_norm(norm, data, poisoned, triggered)),
            )
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


if "snakemake" in globals():
    main(globals()["snakemake"])
