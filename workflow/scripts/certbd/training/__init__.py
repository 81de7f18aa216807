"""What a model gets to see of the training set, and how N of them are trained.

A training side is a folder: ``entry.py`` with its keys and facts, ``draw.py`` with what a model
sees, ``guarantee.py`` with what follows for its votes, and ``audit.py``, which the audit alone
reads, with how that is tried. Test inputs have no part in what trains models.
"""

KINDS = (
    "gaussian",
    "per_sample",
    "flips",
    "bagging",
    "statistic",
)
