"""The audit of a run: its claim, and the worst of its certified sets. ``docs/audit.md``.

Sides: ``claim``, the world without the attack; ``test``, ``train`` and ``both``, searches on the
test input, the training set, or the two; ``order``, an attacked input that comes before its twin.
The ``audit.py`` of a training side says which of them there are.
"""

import pandas as pd

from certbd.audit.outcomes import TRIALS
from certbd.audit.trials import Case
from certbd.config import entries


def audit(case: Case) -> pd.DataFrame:
    """Try the certificates of a run; return one row per trial, the columns of `outcomes.TRIALS`."""
    part = entries.module(entries.TRAINING, case.side.kind, "audit")
    found = [trials for side in part.SIDES for trials in side(case) if len(trials)]
    if not found:
        return pd.DataFrame(columns=TRIALS.names)
    keys = ["certificate", "side", "scale", "split", "sample"]
    return pd.concat(found, ignore_index=True).sort_values(keys)
