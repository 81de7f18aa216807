"""Print candidates for ranges, center and scale of a table, from a file that you vouch for.

Constants must not be fitted on data that may be poisoned, so name another file of the same columns:
an earlier one, or a published one. Read what is printed, and round as you see fit.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import yaml

from certbd.artifacts.io import DataError
from certbd.data.files import tables
from certbd.data.files.scaling import Scaling


def candidates(path: Path, layout: tables.Layout) -> dict[str, dict[str, object]]:
    """Return candidates by key, then column: smallest and largest value, median and spread.

    Raises
    ------
    DataError
        If the file is no table of this layout, or holds text or NaN.
    """
    columns = tables.feature_columns(path, layout)
    free = Scaling(center=dict.fromkeys(map(str, columns), 0.0))
    values = tables.scaled_columns(path, columns, columns, layout.header, free).astype(float)
    found: dict[str, dict[str, object]] = {"ranges": {}, "center": {}, "scale": {}}
    for name, column in zip(map(str, columns), values.T, strict=True):
        low, high = _outward(column.min(), -1), _outward(column.max(), 1)
        found["ranges"][name] = [low, high if high > low else low + 1]
        found["center"][name] = float(f"{np.median(column):.3g}")
        spread = float(f"{column.std():.3g}")
        found["scale"][name] = spread if spread > 0 else 1.0
    return found


def _outward(value: float, sign: int) -> float:
    """Return a number with two digits that is no nearer to 0's other side than `value`."""
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = (math.ceil if sign > 0 else math.floor)(value / step) * step
    return float(f"{rounded:.6g}")


def main() -> None:
    """Print the candidates of the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="a table that is not under attack")
    parser.add_argument("--label-column", required=True, help="its name, or its number from 0")
    parser.add_argument("--id-column", help="the same of a column of identifiers")
    parser.add_argument("--no-header", action="store_true", help="the first line is a row")
    asked = parser.parse_args()
    kind = int if asked.no_header else str
    try:
        named = None if asked.id_column is None else kind(asked.id_column)
        layout = tables.Layout(not asked.no_header, kind(asked.label_column), named)
        found = candidates(asked.file, layout)
    except (DataError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(yaml.safe_dump(found, sort_keys=False, default_flow_style=None, width=100), end="")


if __name__ == "__main__":
    main()
