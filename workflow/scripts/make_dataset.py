"""Read one dataset and write it as arrays."""

from pathlib import Path
from typing import Any

from certbd import datasets, io
from certbd.logs import job_log


def main(smk: Any) -> None:
    """Make ``data.npz``."""
    with job_log(smk.log[0]) as log:
        data = datasets.load(smk.params.settings["dataset"], Path(smk.resources.path))
        log.info("%d training and %d test inputs", len(data.train_labels), len(data.test_labels))
        origin = io.provenance(smk.params.settings, smk.params.code, {})
        io.write_arrays(smk.output.data, data, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
