"""Check that no file of a results folder is damaged. Usage: check_results.py FOLDER."""

import sys
from pathlib import Path

from certbd.artifacts import io, products

SEALED = (".npz", ".parquet", ".safetensors", ".svg")


def check(folder: Path) -> tuple[int, list[str]]:
    """Return the number of files that were checked, and a message for each that is damaged."""
    count, damaged = 0, []
    for file in sorted(folder.rglob("*")):
        sums = file.name.endswith("provenance.json")
        if sums or file.suffix in SEALED:
            count += 1
            try:
                (products.check_sums if sums else io.check_seal)(file)
            except io.DataError as error:
                damaged.append(str(error))
    return count, damaged


def main() -> None:
    """Name the damaged files of the folder on the command line; exit with 1 if there are any."""
    folder = Path(sys.argv[1])
    count, damaged = check(folder)
    if not count:
        sys.exit(f"error: {folder}: no results")
    print(*damaged, f"{count} files checked, {len(damaged)} damaged", sep="\n")
    sys.exit(1 if damaged else 0)


if __name__ == "__main__":
    main()
