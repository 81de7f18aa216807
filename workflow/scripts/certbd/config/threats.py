"""Threats: what an attacker may have done to training rows, and may do to a test input.

A threat is stated in the configuration, or posed by an attack that the workflow simulates. A table
of certificates says of each input whether it stands under one threat (``docs/theory.md``, sections
1 and 9).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from certbd.config.fields import Entry, Positive

How = Literal["triggered", "replaced", "added", "removed"]
Trigger = Literal["none", "l2", "linf", "pixels", "patch", "l0"]
SIZES: Mapping[str, Trigger] = {"norm": "l2", "linf": "linf", "pixels": "pixels", "patch": "patch"}
"""Key of a trigger's size -> kind of trigger."""
ROW_COLUMNS: Mapping[How, str] = {
    "replaced": "radius_rows",
    "added": "radius_rows_added",
    "removed": "radius_rows_removed",
}
"""What may have happened to rows -> column of certificates: how many such rows are covered."""
OF_IMAGES = ("pixels", "patch")
"""Triggers that only images can bear."""
N_AXES_OF_IMAGES = 3
ROUNDED_UP = 1 + 1e-15
"""Relative, on a product of three numbers in float64 and its root."""
Whole = Annotated[int, Field(ge=1)]


class ThreatEntry(Entry):
    """Rows that are not to be trusted, a trigger that a test input may carry, or both."""

    rows: Whole | None = Field(
        None, description="number r of training rows that are not to be trusted"
    )
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="the same as a share of the training rows after selection, rounded up; above "
        "0, at most 1",
    )
    how: How = Field(
        "replaced",
        description="what may have happened to those rows. replaced: anything, inputs and labels; "
        "triggered: their inputs bear the trigger, their labels are as given; added: the attacker "
        "added them; removed: the attacker took so many others out",
    )
    norm: Positive | None = Field(None, description="l2 norm of the trigger")
    linf: Positive | None = Field(None, description="largest change of a single value (l_inf)")
    pixels: Whole | None = Field(
        None, description="number of pixels that may take any value in [0, 1], wherever they are"
    )
    patch: Whole | None = Field(
        None, description="side of one square patch of any values in [0, 1], wherever it is"
    )


class Threat(NamedTuple):
    """A threat to one dataset, in numbers: what a table of certificates must cover."""

    rows: int
    """Training rows that are not to be trusted; 0 for a threat to test inputs alone."""
    how: How
    trigger: Trigger
    size: float
    """Of the trigger: a norm, or a number of pixels, of coordinates, or of a patch's side."""

    def norm(self, shape: tuple[int, ...]) -> float | None:
        """Return the largest l2 change that the trigger makes to an input of this shape.

        It is rounded up, and None without a trigger. Inputs and patches have values in [0, 1]
        (``docs/theory.md``, section 9).

        Raises
        ------
        ValueError
            If no l2 norm follows from its kind.
        """
        if self.trigger == "none":
            return None
        if self.trigger == "l2":
            return self.size
        channels = shape[0] if len(shape) == N_AXES_OF_IMAGES else 1
        squared = {
            "linf": self.size**2 * math.prod(shape),
            "pixels": self.size * channels,
            "patch": self.size**2 * channels,
        }
        if self.trigger not in squared:
            raise ValueError(f"trigger {self.trigger!r}: its l2 norm is not known")
        root = math.sqrt(squared[self.trigger])
        return root if self.trigger in OF_IMAGES and root.is_integer() else root * ROUNDED_UP

    def describe(self) -> str:
        """Say in a few words what may have happened."""
        said = f"{self.rows} row{'' if self.rows == 1 else 's'} {self.how}" if self.rows else ""
        if self.trigger == "none":
            return said
        size = f"{self.size:g}"
        trigger = {
            "l2": f"trigger of l2 norm {size}",
            "linf": f"trigger of up to {size} in each value",
            "pixels": f"any {size} pixels",
            "patch": f"any patch of {size} x {size} pixels",
            "l0": f"{size} coordinates changed",
        }[self.trigger]
        return f"{said}, {trigger}" if said else trigger


def counted_as(how: How) -> How:
    """Return which count of rows answers for what happened: a triggered row is a replaced one."""
    return "replaced" if how == "triggered" else how


def posed(entry: Mapping[str, Any], n_rows: int) -> Threat:
    """Return the threat that an entry poses to a training set of `n_rows` rows."""
    rows = entry.get("rows", 0)
    if "share" in entry:
        rows = math.ceil(entry["share"] * n_rows * (1 - 1e-12))
    triggers: list[tuple[Trigger, float]] = [(SIZES[k], entry[k]) for k in SIZES if k in entry]
    trigger, size = triggers[0] if triggers else ("none", 0.0)
    return Threat(rows, entry["how"], trigger, size)


def describe(entry: Mapping[str, Any]) -> str:
    """Say in a few words what an entry means, before it is known of how many rows."""
    threat = posed(entry, 1)
    if "share" not in entry:
        return threat.describe()
    alone = threat._replace(rows=0).describe()
    rows = f"{100 * entry['share']:g} % of the rows {threat.how}"
    return f"{rows}, {alone}" if alone else rows


def mistakes(entry: Mapping[str, Any]) -> Iterator[str]:
    """Say what a schema cannot refuse of an entry of `threats`."""
    sizes = [key for key in SIZES if key in entry]
    if len(sizes) > 1:
        yield f"{' and '.join(sizes)}; allowed: one of {', '.join(SIZES)}, or none"
    if "rows" in entry and "share" in entry:
        yield "rows and share; allowed: one of them"
    has_rows = "rows" in entry or "share" in entry
    if not (has_rows or sizes):
        yield f"no rows and no trigger; allowed: rows or share, one of {', '.join(SIZES)}, or both"
    if has_rows and entry["how"] == "triggered" and not sizes:
        yield f"how triggered without a trigger; allowed: one of {', '.join(SIZES)} beside it"
