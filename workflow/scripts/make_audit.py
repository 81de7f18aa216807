"""Add up the audits of all experiments."""

from typing import Any

import pandas as pd

from certbd import io, outcomes, products, randomness
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``audit.csv`` and ``noise_audit.csv``."""
    settings, made = smk.params.settings, smk.params.inputs
    rows = settings["rows"]
    with job_log(smk.log[0]) as log:
        tables = [
            io.read_table(file, outcomes.TRIALS, identity)
            for file, identity in zip(smk.input.trials, made["audit"], strict=True)
        ]
        summary = outcomes.summarise(list(zip(rows, tables, strict=True)))
        inside = summary.loc[outcomes.inside(summary), ["violations", "trials"]].sum()
        found = outcomes.describe(tuple(inside), max(row["alpha"] for row in rows))
        products.write_csv(smk.output.audit, summary)
        checks = [
            io.read_table(file, randomness.CHECKS, identity).assign(
                **{axis: row[axis] for axis in randomness.AXES}
            )
            for row, file, identity in zip(rows, smk.input.checks, made["audit"], strict=True)
        ]
        checked = randomness.judge(pd.concat(checks).drop_duplicates(randomness.KEY))
        products.write_csv(smk.output.noise, checked[[*randomness.NOISE_AUDIT]])
        origin = io.provenance(settings, smk.params.code, made)
        products.write_sums(smk.output.sums, [smk.output.audit, smk.output.noise], origin)
        for line in (found, randomness.describe(checked)):
            log.info("%s", line)
            print(line)


if "snakemake" in globals():
    main(globals()["snakemake"])
