"""Add up the audits of all experiments."""

from typing import Any

import pandas as pd

from certbd.artifacts import io, products
from certbd.artifacts.logs import job_log
from certbd.audit import outcomes, randomness


def main(smk: Any) -> None:
    """Make ``audit.csv`` and ``noise_audit.csv``."""
    settings, made = smk.params.settings, smk.params.inputs
    rows = settings["rows"]
    with job_log(smk) as log:
        tables = [
            io.read_table(file, outcomes.TRIALS, identity)
            for file, identity in zip(smk.input.trials, made["audit"], strict=True)
        ]
        others = [(row, pd.DataFrame(columns=outcomes.TRIALS.names)) for row in settings["others"]]
        summary = outcomes.summarise([*zip(rows, tables, strict=True), *others])
        products.write_csv(smk.output.audit, summary)
        checks = [
            io.read_table(file, randomness.CHECKS, identity).assign(
                **{axis: row[axis] for axis in randomness.AXES}
            )
            for row, file, identity in zip(rows, smk.input.checks, made["audit"], strict=True)
        ]
        none = pd.DataFrame(columns=[*randomness.KEY, *randomness.CHECKS.names])
        every = pd.concat(checks) if checks else none.loc[:, ~none.columns.duplicated()]
        checked = randomness.judge(every.drop_duplicates(randomness.KEY))
        products.write_csv(smk.output.noise, checked[[*randomness.NOISE_AUDIT]])
        origin = io.provenance(settings, smk.params.code, made)
        products.write_sums(smk.output.sums, [smk.output.audit, smk.output.noise], origin)
        for line in (*_told(summary, rows), randomness.describe(checked)):
            log.info("%s", line)
            print(line)


def _told(summary: pd.DataFrame, rows: list[dict[str, Any]]) -> list[str]:
    """Say what broke inside the certificates, and which experiments were not tried."""
    own = summary[outcomes.inside(summary)]
    violations, trials, without_votes = (
        int(own[name].sum()) for name in ("violations", "trials", "without_votes")
    )
    alpha = max((row["alpha"] for row in rows), default=1.0)
    found = outcomes.describe((violations, trials), alpha, without_votes)
    return [found, *(f"not tried: {name}" for name in outcomes.untried(summary))]


if "snakemake" in globals():
    main(globals()["snakemake"])
