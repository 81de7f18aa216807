"""Read one dataset, say what it holds and write it as arrays."""

import sys
from pathlib import Path
from typing import Any

from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.data import datasets


def main(smk: Any) -> None:
    """Make ``data.npz``, and ``sources.parquet`` with the file or row of each input."""
    with job_log(smk) as log:
        settings, path = smk.params.settings["dataset"], Path(smk.resources.path)
        data, sources = datasets.load_with_sources(settings, path)
        line = f"{smk.wildcards.dataset}: {datasets.describe(data)}"
        log.info("%s", line)
        print(line, file=sys.stderr)
        origin = io.provenance(smk.params.settings, smk.params.code, {})
        io.write_table(smk.output.sources, sources, schemas.SOURCES, origin)
        io.write_arrays(smk.output.data, data, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
