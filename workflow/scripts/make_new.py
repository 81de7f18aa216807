"""Read new inputs without labels, as a dataset's own are read."""

import sys
from pathlib import Path
from typing import Any

from certbd.artifacts import io, schemas
from certbd.artifacts.logs import job_log
from certbd.data import new_inputs


def main(smk: Any) -> None:
    """Make ``new/inputs.npz``, and ``new/sources.parquet`` with the file or row of each."""
    settings, places = smk.params.settings, smk.resources
    with job_log(smk) as log:
        inputs, sources, remark = new_inputs.load_new(
            settings["dataset"], Path(places.path), Path(places.predict)
        )
        line = f"{smk.wildcards.dataset}: {len(sources)} new inputs"
        line += f"; {remark}" if remark else ""
        log.info("%s", line)
        print(line, file=sys.stderr)
        origin = io.provenance(settings, smk.params.code, {})
        io.write_table(smk.output.sources, sources, schemas.SOURCES, origin)
        io.write_arrays(smk.output.inputs, inputs, origin)


if "snakemake" in globals():
    main(globals()["snakemake"])
