"""Tables of one's own: CSV or Parquet."""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.artifacts.logs import LOGGER
from certbd.config.fields import Classes, File, Range
from certbd.data.dataset import OwnFiles
from certbd.data.files import table_files, tables
from certbd.data.files.scaling import Scaling
from certbd.data.sources import Inputs, Part, Rows, Source, label_names, require, rows_of

Column = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)]
Named = Annotated[list[Column], Field(min_length=1)]


class Table(OwnFiles):
    """CSV or Parquet, one row per input."""

    stored_values: ClassVar[int | None] = None
    channels: ClassVar[int] = 1
    kind: Literal["table"]
    path: File = Field(
        description="a .csv, .tsv, .data (each plain or .gz) or .parquet file that is split, or a "
        "folder with train.* and test.*; relative to data_root unless absolute"
    )
    header: bool = Field(True, description="whether a CSV file's first row names the columns")
    label_column: Column = Field(
        description="name of the column of labels; with header false its number from 0"
    )
    id_column: Column | None = Field(
        None,
        description="name of a column that names each row, so that the split stays where rows are "
        "added or removed; with header false its number from 0; default the row's position",
    )
    classes: Classes | None = Field(
        None, description="every label that is allowed, in label order; default all found, sorted"
    )
    ranges: Range | dict[str, Range] | None = Field(
        None,
        description="[low, high] for all columns, or {column: [low, high]}, with '*' for the rest: "
        "constants that become 0 and 1; other columns must be in [0, 1]",
    )
    clip: bool | Named | None = Field(
        None,
        description="true, or a list of columns: values outside their range become its nearer end, "
        "rather than being refused",
    )
    log: bool | Named | None = Field(
        None,
        description="true, or a list of columns: the logarithm of 1 + x is taken first; ranges are "
        "of x",
    )
    center: dict[str, float] | None = Field(
        None,
        description="{column: constant}: with scale, x becomes (x - center) / scale, of no fixed "
        "range; behind log, of its logarithm",
    )
    scale: dict[str, float] | None = Field(
        None, description="{column: constant above 0}; see center"
    )
    ignore: list[Column] | None = Field(None, description="columns that are not read")
    columns: list[Column] | None = Field(
        None, min_length=1, description="columns that are features, in this order; default all"
    )

    @property
    def layout(self) -> tables.Layout:
        """What the columns are."""
        apart = (self.label_column, self.id_column)
        return tables.Layout(self.header, *apart, self.ignore or (), self.columns)

    @property
    def scaling(self) -> Scaling:
        """What becomes of the values of features."""
        clip, log = (
            chosen if isinstance(chosen, bool) else [str(name) for name in chosen or ()]
            for chosen in (self.clip, self.log)
        )
        return Scaling(self.ranges, clip, log, self.center or {}, self.scale or {})

    def open(self, path: Path) -> Source:
        """Read names of columns, labels and identifiers."""
        files = [require(path)]
        if path.is_dir():
            files = [_file_of(path, split) for split in ("train", "test")]
        columns, layout = tables.feature_columns(files[0], self.layout), self.layout
        for file in files:
            if left := set(table_files.index_levels(file)) - {layout.label, layout.id}:
                LOGGER.info("%s: the index of the data frame is not read: %s", file, sorted(left))

        @cache
        def read(file: Path) -> Inputs:
            return tables.read_inputs(file, columns, layout, self.scaling)

        values = [
            (
                tables.read_labels(file, layout),
                f"{file}: column {self.label_column}",
            )
            for file in files
        ]
        labels_of, classes = label_names(values, self.classes)
        parts = [
            Part(file, named, partial(rows_of, read, file), self._identifiers(file))
            for file, named in zip(files, labels_of, strict=True)
        ]
        return Source(parts, files, classes, False)

    def open_new(self, path: Path, training: Sequence[Path]) -> Part:
        """Find the columns of the training table, with or without labels."""
        columns, names, unread = tables.new_columns(require(path), training[0], self.layout)
        ids = self._identifiers(path) if self.id_column in unread else None
        rest = ", ".join(repr(name) for name in unread if ids is None or name != self.id_column)

        def read(rows: Rows) -> Inputs:
            return tables.scaled_columns(path, columns, names, self.header, self.scaling)[rows]

        n_rows = table_files.count_rows(path, columns[0], self.header)
        remark = f"columns that are not read: {rest}" if rest else ""
        if not self.header and columns != names:
            remark = f"read without the label: column {columns[-1]} here is {names[-1]} there"
        return Part(path, np.full(n_rows, ""), read, ids, remark=remark)

    def _identifiers(self, file: Path) -> list[str] | None:
        if self.id_column is None:
            return None
        return tables.read_ids(file, self.id_column, self.header)

    def head_shape(self, file: Path) -> tuple[int, ...]:
        """Return the number of columns that are features."""
        return (len(tables.feature_columns(file, self.layout)),)

    def source_units(self, files: Sequence[Path], change: float) -> str:
        """Scale back column by column; behind a logarithm it depends on the value."""
        columns = [str(name) for name in tables.feature_columns(files[0], self.layout)]
        steps = {name: self.scaling.step(name, change) for name in columns}
        known = {name: step for name, step in steps.items() if step is not None}
        if not known:
            factor = max(self.scaling.growth(name, change) for name in columns)
            return f"a factor of at most {factor:.3g} on 1 + x, x as it stands in the file"
        least, most = (choose(known, key=lambda name: known[name]) for choose in (min, max))
        if known[least] == known[most]:
            return f"{known[most]:.3g} as it stands in the file"
        return f"from {known[least]:.3g} (column {least}) to {known[most]:.3g} (column {most})"

    def contradictions(self, path: str) -> Iterator[str]:
        """Say which ranges have no extent, and which columns have the wrong kind of name."""
        yield from self.scaling.mistakes(path)
        if self.ignore and self.columns:
            yield f"{path}: ignore and columns; allowed: one of them"
        named = [("label_column", self.label_column), ("id_column", self.id_column)]
        named += [("ignore", name) for name in self.ignore or ()]
        named += [("columns", name) for name in self.columns or ()]
        for key, column in named:
            if column is not None and isinstance(column, str) != self.header:
                allowed = "the column's name" if self.header else "its number from 0"
                header = str(self.header).lower()
                yield f"{path}.{key}: {column!r}; allowed with header {header}: {allowed}"
        if self.label_column == self.id_column:
            yield f"{path}.id_column: {self.id_column!r} is label_column, too; allowed: another"
        for name in {self.label_column, self.id_column} & set(self.columns or ()):
            yield f"{path}.columns: {name!r} is label_column or id_column; allowed: features"


KIND = Table


def _file_of(folder: Path, split: str) -> Path:
    allowed = [f"{split}{suffix}" for suffix in tables.SUFFIXES]
    found = [file for file in sorted(folder.iterdir()) if file.name.lower() in allowed]
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} files of {' or '.join(allowed)}; allowed: one")
    return require(found[0])
