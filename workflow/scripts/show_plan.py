"""Say what a configuration costs and what it can certify at most, before anything is trained."""

import sys
from pathlib import Path
from typing import Any

from certbd.artifacts import products
from certbd.artifacts.logs import job_log
from certbd.plan.forecast import forecast, words
from certbd.plan.plan import Plan
from certbd.plan.targets import Targets


def main(smk: Any) -> None:
    """Print the forecast, and make ``plan.csv`` and ``rates.json``."""
    with job_log(smk) as log:
        plan = Plan.read(smk.config, scripts=Path(smk.scriptdir))
        targets, places = Targets(plan), smk.resources
        rates, cores = Path(places.rates), int(places.cores)
        table = forecast.forecast(plan, targets.rows, rates, cores)
        classes = {
            name: ", ".join(
                f"{label} {count}"
                for label, count in zip(known.classes, known.training_counts, strict=True)
            )
            for name, known in plan.outlines.items()
        }
        classes = {
            name: f"training rows per class: {text}{forecast.units(plan, name)}"
            for name, text in classes.items()
        }
        seconds = table["seconds"].sum() + forecast.ending(rates, cores)
        said = words.describe(table, classes, seconds, cores)
        log.info("%s", said)
        print(said, file=sys.stderr)
        products.write_csv(places.table, table)


if "snakemake" in globals():
    main(globals()["snakemake"])
