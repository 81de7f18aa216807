"""Columns of every Parquet file that passes between stages."""

import pyarrow as pa

BENIGN, TRIGGERED, TRAIN, NEW = "benign", "triggered", "train", "new"
ABSTAIN = -1
"""The prediction of an input for which no class is certified, and the vote of a diverged model."""

_SPLIT = pa.field("split", pa.dictionary(pa.int8(), pa.string()), nullable=False)
_SAMPLE = pa.field("sample", pa.int32(), nullable=False)

SIGMA = pa.schema(
    [
        _SPLIT,
        _SAMPLE,
        pa.field("sigma", pa.float64(), nullable=False),
        pa.field("start", pa.float64(), nullable=False),
        pa.field("radius", pa.float64(), nullable=False),
    ]
)

VOTES = pa.schema(
    [
        pa.field("model", pa.int32(), nullable=False),
        _SPLIT,
        _SAMPLE,
        pa.field("vote", pa.int16(), nullable=False),
    ]
)


def scored_votes(n_classes: int) -> pa.Schema:
    """Return the columns of votes with one score per class, for bounds on mean scores."""
    return VOTES.append(pa.field("score", pa.list_(pa.float32(), n_classes), nullable=False))


CERTIFICATES = pa.schema(
    [
        _SPLIT,
        _SAMPLE,
        pa.field("label", pa.int16(), nullable=False),
        pa.field("prediction", pa.int16(), nullable=False),
        pa.field("prediction_storage", pa.int16(), nullable=False),
        pa.field("votes", pa.int32(), nullable=False),
        pa.field("p_lower", pa.float64(), nullable=False),
        pa.field("margin", pa.float64(), nullable=False),
        pa.field("sigma", pa.float64()),
        pa.field("radius_paper", pa.float64()),
        pa.field("radius_joint", pa.float64()),
        pa.field("radius_trigger", pa.float64()),
        pa.field("radius_trigger_general", pa.float64()),
        pa.field("radius_trigger_statistic", pa.float64()),
        pa.field("radius_rows", pa.int32()),
        pa.field("radius_rows_added", pa.int32()),
        pa.field("radius_rows_removed", pa.int32()),
        pa.field("radius_l0", pa.int32()),
        pa.field("covers_attack", pa.bool_()),
        pa.field("storage_action", pa.string()),
        pa.field("storage_order_sensitivity", pa.float64()),
    ]
)

SOURCES = pa.schema(
    [
        _SPLIT,
        _SAMPLE,
        pa.field("source", pa.string(), nullable=False),
        pa.field("id", pa.string()),
    ]
)

PREDICTED = pa.schema(
    [
        pa.field("split", pa.string(), nullable=False),
        _SAMPLE,
        pa.field("source", pa.string(), nullable=False),
        pa.field("id", pa.string()),
        pa.field("true_class", pa.string()),
        pa.field("predicted_class", pa.string(), nullable=False),
        pa.field("certified", pa.bool_()),
        pa.field("rows", pa.int32()),
        pa.field("radius", pa.float64()),
        pa.field("radius_unit", pa.string()),
        pa.field("votes", pa.int32(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
    ]
)

SEARCH = pa.schema(
    [pa.field("parameter", pa.string(), nullable=False)]
    + [
        pa.field(name, pa.float64(), nullable=name == "sigma_test")
        for name in ("value", "sigma_test", "accuracy", "certified", "worst_class", "agreement")
    ]
    + [pa.field(name, pa.bool_(), nullable=False) for name in ("possible", "unpredicted", "best")]
)

FAULTS = pa.schema(
    [
        pa.field("model", pa.int32(), nullable=False),
        pa.field("fault", pa.string(), nullable=False),
    ]
)

PREDICTIONS = pa.schema(
    [
        _SPLIT,
        _SAMPLE,
        pa.field("label", pa.int16(), nullable=False),
        pa.field("prediction", pa.int16(), nullable=False),
    ]
)
