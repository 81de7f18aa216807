"""Add up the audits of all experiments."""

from typing import Any

import pandas as pd

from certbd import io, outcomes, randomness
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``audit.csv`` and ``noise_audit.csv``."""
    rows = smk.params.settings["rows"]
    with job_log(smk.log[0]) as log:
        tables = [io.read_table(file, outcomes.TRIALS) for file in smk.input.trials]
        summary = outcomes.summarise(list(zip(rows, tables, strict=True)))
        inside = summary.loc[outcomes.inside(summary), ["violations", "trials"]].sum()
        found = outcomes.describe(tuple(inside), max(row["alpha"] for row in rows))
        io.write_csv(smk.output.audit, summary)
        checks = [
            pd.read_csv(file).assign(**{axis: row[axis] for axis in randomness.AXES})
            for row, file in zip(rows, smk.input.checks, strict=True)
        ]
        checked = randomness.judge(pd.concat(checks).drop_duplicates(randomness.KEY))
        io.write_csv(smk.output.noise, checked[[*randomness.NOISE_AUDIT]])
        for line in (found, randomness.describe(checked)):
            log.info("%s", line)
            print(line)


if "snakemake" in globals():
    main(globals()["snakemake"])
