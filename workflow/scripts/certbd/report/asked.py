"""What was asked of the certificates behind a curve: an attack, a threat; for figures and the page.

A world is an attack and the name of a threat, NaN where none was given: then certificates are under
the attack's own, or do not depend on any.
"""

import pandas as pd

from certbd.config.threats import Threat

NUMBERS = ["threat_how", "threat_trigger", "threat_size"]


def of_world(curves: pd.DataFrame, attack: str, threat: str | float) -> pd.DataFrame:
    """Return the curves of a world."""
    own = curves["threat"].isna() if pd.isna(threat) else curves["threat"] == threat
    return curves[(curves["attack"] == attack) & own]


def _rows(summary: pd.DataFrame, attack: str, threat: str | float) -> pd.DataFrame:
    """Return the rows of the summary that a world's curves belong to."""
    rows = summary[summary["attack"] == attack]
    return rows if pd.isna(threat) else rows[rows["threat"] == threat]


def title(summary: pd.DataFrame, attack: str, threat: str | float) -> str:
    """Return the title of a panel: the attack with its poisoned rows, and the threat."""
    rows = _rows(summary, attack, threat)
    poisoned, norm = rows[["n_poisoned", "attack_norm"]].iloc[0]
    simulated = "" if pd.isna(norm) else f"{attack}, {poisoned:.0f} poisoned"
    if pd.isna(threat):
        return simulated or "data as they come"
    said = of_row(rows.iloc[0]).describe()
    return "\n".join(part for part in (simulated, f"{threat}: {said}") if part)


def of_row(row: pd.Series) -> Threat:
    """Return the threat of a row of the summary that has one."""
    how, trigger, size = row[NUMBERS]
    return Threat(int(row["threat_rows"]), how, trigger, 0.0 if pd.isna(size) else float(size))


def marks(
    summary: pd.DataFrame, attack: str, threat: str | float, certificate: str
) -> dict[float, str]:
    """Return where a curve passes what was asked, and the words for it.

    That is the norm of a trigger, or the number of rows of a threat of rows alone.
    """
    rows = _rows(summary, attack, threat)
    if certificate == "trigger":
        norms = rows.loc[rows["threat_trigger"] == "l2", "threat_size"]
        words = "attack's norm" if norms.eq(rows["attack_norm"]).all() else "norm asked"
        return {float(norm): words for norm in norms.unique()}
    if certificate == "rows":
        counted = rows["threat_how"].isin(["replaced", "triggered"])
        numbers = rows.loc[counted & (rows["threat_trigger"] == "none"), "threat_rows"]
        return {float(number): f"{number:.0f} asked" for number in numbers.unique()}
    return {}
