"""Count the votes of a run and certify every test input."""

from typing import Any

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.certify import certify, predictions, worlds
from certbd.certify.claims import is_scored
from certbd.certify.tally import count_votes
from certbd.config.axes import Certification


def main(smk: Any) -> None:
    """Make ``certificates.parquet``, predictions, and ``faults.parquet``: models that failed."""
    settings, made = smk.params.settings, smk.params.inputs
    certification = Certification(**settings["certification"])
    with job_log(smk) as log:
        data, triggered, test, guarantee = worlds.read(settings, smk.input, made)
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
        optimised = smk.input.get("sigma"), made.get("sigma")
        voted = [
            certify.VotedSplit(
                split, *splits[split], tallies[split], test.sigma(split, size, *optimised)
            )
            for split, size in sizes.items()
        ]
        paper = certify.Paper(**settings["paper"])
        orders = rng.generator(settings["seed"], rng.Purpose.QUERY_ORDERS)
        table = certify.certify_splits(voted, guarantee, certification, paper, orders)
        log.info("%s", certify.describe(table))
        for fault, models in faults.groupby("fault")["model"]:
            log.warning("%d models %s, counted in N: %s", len(models), fault, models.tolist())
        sources = io.read_table(smk.input.sources, schemas.SOURCES, made["data"])
        sources = sources[sources["split"] == schemas.BENIGN]
        names, note = data.class_names.tolist(), smk.params.note
        named = predictions.predictions(table, names, sources, settings["threat"], note)
        origin = io.provenance(settings, smk.params.code, made)
        io.write_table(smk.output.faults, faults, schemas.FAULTS, origin)
        predictions.write(smk.output, named, origin)
        io.write_table(smk.output.certificates, table, schemas.CERTIFICATES, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
