"""Read one dataset, say what it holds and write it as arrays."""

import sys
from pathlib import Path
from typing import Any

from certbd.artifacts import io
from certbd.artifacts.logs import job_log
from certbd.data import datasets


def main(smk: Any) -> None:
    """Make ``data.npz``."""
    with job_log(smk) as log:
        data = datasets.load(smk.params.settings["dataset"], Path(smk.resources.path))
        line = f"{smk.wildcards.dataset}: {datasets.describe(data)}"
        log.info("%s", line)
        print(line, file=sys.stderr)
        origin = io.provenance(smk.params.settings, smk.params.code, {})
        io.write_arrays(smk.output.data, data, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
