"""Count the votes of a run and certify every test input."""

from typing import Any

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import certify
from certbd.certify.claims import is_scored
from certbd.certify.tally import count_votes
from certbd.config.axes import Certification
from certbd.testing import side as testing
from certbd.training import side as training
from certbd.training.world import World, largest_norm


def main(smk: Any) -> None:
    """Make ``certificates.parquet``, and ``faults.parquet`` with the models that failed."""
    settings, made = smk.params.settings, smk.params.inputs
    certification = Certification(**settings["certification"])
    with job_log(smk) as log:
        data = io.read_arrays(smk.input.data, io.DataSplits, made["data"])
        poisoned = io.read_arrays(smk.input.poisoned, io.PoisonedSet, made["poison"])
        triggered = io.read_arrays(smk.input.triggered, io.TriggeredInputs, made["poison"])

        side, test = training.read(settings["training"]), testing.read(settings["testing"])
        optimised = smk.input.get("sigma"), made.get("sigma")
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
            is_scored(certification.bound),
            made["votes"],
        )
        norm = settings["attack_norm"]
        world = World(
            training=poisoned,
            test=test,
            n_classes=len(data.class_names),
            **settings["learner"],
            sigma_train=training.noise_of(side, len(poisoned.labels), *optimised),
            attack_norm=norm and largest_norm(norm, data, poisoned, triggered),
            data=data,
            triggered=triggered,
        )
        guarantee = training.guarantee_of(side, world)
        orders = rng.generator(settings["seed"], rng.Purpose.QUERY_ORDERS)
        voted = [
            certify.VotedSplit(
                split, *splits[split], tallies[split], test.sigma(split, size, *optimised)
            )
            for split, size in sizes.items()
        ]
        paper = certify.Paper(**settings["paper"])
        table = certify.certify_splits(voted, guarantee, certification, paper, orders)
        log.info("%s", certify.describe(table))
        origin = io.provenance(settings, smk.params.code, made)
        for fault, models in faults.groupby("fault")["model"]:
            log.warning("%d models %s, counted in N: %s", len(models), fault, models.tolist())
        io.write_table(smk.output.faults, faults, schemas.FAULTS, origin)
        io.write_table(smk.output.certificates, table, schemas.CERTIFICATES, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
