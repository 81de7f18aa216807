"""A small table of certificates, changed only on purpose.

To change it: python tests/golden/test_certificate_table.py > tests/golden/certificates.csv
"""

import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd

FILE = Path(__file__).with_name("certificates.csv")


def table() -> pd.DataFrame:
    """Every bound on the same votes of 1000 models, 13 of 271 training inputs poisoned."""
    from certbd.certify.certify import Paper, VotedSplit, certify_split
    from certbd.certify.tally import Tally
    from certbd.config.axes import Certification
    from certbd.training.gaussian.guarantee import GaussianTraining

    votes = np.array([[1000, 0], [10, 990], [900, 90], [300, 700], [553, 447], [552, 448]])
    tally = Tally(votes, votes * 0.98)
    split = VotedSplit("benign", None, votes.argmax(1), tally, np.full(len(votes), 0.4))
    training = GaussianTraining(np.full(271, 1.0), np.array([147.0, 124.0]), 13, 0.5)
    tables = []
    for bound in ("majority", "clopper_pearson", "hoeffding", "kl"):
        certification = Certification(1000, bound, 0.001, "per_input")
        orders = np.random.default_rng(0)
        certified = certify_split(split, training, certification, 6, Paper(False, False), orders)
        tables.append(certified.assign(bound=bound))
    columns = ["bound", "prediction", "votes", "p_lower", "radius_joint", "radius_trigger"]
    columns += ["radius_trigger_general", "radius_trigger_statistic", "covers_attack"]
    return pd.concat(tables, ignore_index=True)[columns]


def test_certificates_are_as_committed():
    text = table().to_csv(index=False)
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), pd.read_csv(FILE), rtol=1e-9)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))
    print(table().to_csv(index=False), end="")
