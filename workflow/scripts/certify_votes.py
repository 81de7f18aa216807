"""Count the votes of a run and certify every test input."""

from collections.abc import Mapping
from typing import Any

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import certify
from certbd.certify.claims import is_scored
from certbd.certify.tally import count_votes
from certbd.config.axes import Certification
from certbd.config.threats import Threat
from certbd.testing import side as testing
from certbd.training import side as training
from certbd.training.world import Uncovered, World, largest_norm


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
        threat, norm, covered = _threat(settings["threat"], data, poisoned, triggered)
        world = World(
            training=poisoned,
            test=test,
            n_classes=len(data.class_names),
            **settings["learner"],
            sigma_train=training.noise_of(side, len(poisoned.labels), *optimised),
            threat=threat if covered else None,
            norm=norm,
            data=data,
            triggered=triggered,
        )
        guarantee = training.guarantee_of(side, world)
        guarantee = guarantee if covered else Uncovered(guarantee)
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


def _threat(
    settings: Mapping[str, Any] | None,
    data: io.DataSplits,
    given: io.PoisonedSet,
    triggered: io.TriggeredInputs,
) -> tuple[Threat | None, float | None, bool]:
    """Return what must be covered, the norm of its trigger, and whether it can be."""
    if settings is None:
        return None, None, True
    threat = Threat(**{name: settings[name] for name in Threat._fields})
    if threat.trigger == "l0":
        return threat, None, settings["covered"]
    norm = threat.norm(data.train_inputs.shape[1:])
    if norm is not None and settings["simulated"]:
        norm = largest_norm(norm, data, given, triggered)
    return threat, norm, settings["covered"]


if "snakemake" in globals():
    main(globals()["snakemake"])
