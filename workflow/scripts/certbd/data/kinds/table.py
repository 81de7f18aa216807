"""Tables of one's own: CSV or Parquet."""

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.artifacts.logs import LOGGER
from certbd.config.fields import Classes, File, Range
from certbd.data import table_files, tables
from certbd.data.dataset import OwnFiles
from certbd.data.sources import Inputs, Part, Source, label_names, require, rows_of

Column = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)]


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
        description="[low, high] for all columns, or {column: [low, high]}: constants that become "
        "0 and 1; other columns must be in [0, 1]",
    )

    def open(self, path: Path) -> Source:
        """Read names of columns, labels and identifiers."""
        files = [require(path)]
        if path.is_dir():
            files = [_file_of(path, split) for split in ("train", "test")]
        apart, header = (self.label_column, self.id_column), self.header
        columns = tables.feature_columns(files[0], self.label_column, header, self.id_column)
        for file in files:
            if left := set(table_files.index_levels(file)) - set(apart):
                LOGGER.info("%s: the index of the data frame is not read: %s", file, sorted(left))

        @cache
        def read(file: Path) -> Inputs:
            return tables.read_inputs(file, columns, apart, header, self.ranges)

        values = [
            (
                tables.read_labels(file, self.label_column, header),
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

    def _identifiers(self, file: Path) -> list[str] | None:
        if self.id_column is None:
            return None
        return tables.read_ids(file, self.id_column, self.header)

    def head_shape(self, file: Path) -> tuple[int, ...]:
        """Return the number of columns that are features."""
        columns = tables.feature_columns(file, self.label_column, self.header, self.id_column)
        return (len(columns),)

    def contradictions(self, path: str) -> Iterator[str]:
        """Say which ranges have no extent, and which columns have the wrong kind of name."""
        yield from tables.empty_ranges(self.ranges, f"{path}.ranges")
        for key, column in (("label_column", self.label_column), ("id_column", self.id_column)):
            if column is not None and isinstance(column, str) != self.header:
                allowed = "the column's name" if self.header else "its number from 0"
                header = str(self.header).lower()
                yield f"{path}.{key}: {column!r}; allowed with header {header}: {allowed}"
        if self.label_column == self.id_column:
            yield f"{path}.id_column: {self.id_column!r} is label_column, too; allowed: another"


KIND = Table


def _file_of(folder: Path, split: str) -> Path:
    allowed = [f"{split}{suffix}" for suffix in tables.SUFFIXES]
    found = [file for file in sorted(folder.iterdir()) if file.name.lower() in allowed]
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} files of {' or '.join(allowed)}; allowed: one")
    return require(found[0])
