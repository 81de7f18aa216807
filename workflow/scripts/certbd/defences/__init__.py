"""Named pairs of a training side and a test side, one file each.

A training side whose defence has its own name (``bagging``, ``statistic``) needs none here.
"""

KINDS = (
    "rab",
    "cert_ssb",
    "decoupled",
    "discrete",
)
