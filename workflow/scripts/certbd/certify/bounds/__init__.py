"""Confidence bounds on the probability of the predicted class, one file each.

Each has ``SCORED`` (whether it bounds mean scores rather than votes), ``COLOUR`` in figures of
votes from elsewhere, ``claim(tally, n_models, alpha)`` and, where it bounds the predicted class
alone, ``unanimous(n_models, alpha)``, the bound on votes that all agree. The mathematics is in
`theory`.
"""

KINDS = (
    "majority",
    "clopper_pearson",
    "runner_up",
    "hoeffding",
    "kl",
)
