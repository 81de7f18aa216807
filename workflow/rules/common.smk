"""What every stage shares: the plan of the configuration (`certbd.plan`), and its paths."""

import sys
from pathlib import Path

WORKFLOW = Path(workflow.current_basedir).parent
SCRIPTS = WORKFLOW / "scripts"
sys.path.insert(0, str(SCRIPTS))

from certbd.artifacts import io
from certbd.artifacts.io import DataError
from certbd.config.config import ConfigError
from certbd.plan import memory, paths, sizes
from certbd.plan.files import PlanError, checksum, dataset_path, predict_path
from certbd.plan.paths import ATTACK, CERTIFICATION, DATASET, EXTERNAL, EXTERNAL_THREAT
from certbd.plan.paths import MODELS, NEW, RUN, SIGMA, THREAT, TRAINED, UNDEFENDED
from certbd.plan.paths import beside, certificates_of, papers
from certbd.plan.places import external_run_of, run_of
from certbd.plan.plan import Plan
from certbd.plan.targets import Targets, check_tables, where_to_look
from certbd.plan.used import every_entry
from snakemake.exceptions import WorkflowError

modify_path = workflow.modifier.modify_path  # where this is a module with a prefix


wildcard_constraints:
    **paths.WILDCARDS,


try:
    PLAN = Plan.read(config, scripts=SCRIPTS)
except ConfigError as error:
    raise WorkflowError(f"The configuration cannot be run.\n{error}")
except PlanError as error:
    raise WorkflowError(str(error))
CONFIG, TARGETS = PLAN.config, Targets(PLAN)


def sigma_file(wildcards):
    """The file of sample-specific noise, for runs that have it."""
    return PLAN.trained(wildcards, SIGMA) if PLAN.optimises(wildcards) else []


def for_training(wildcards, file):
    """A file that training reads. Where the chunk is one of this configuration its time is ignored.

    With more test inputs it is made again, with the same training set in it. (Ignored always, and
    Snakemake would not look at the settings of a chunk that comes after a job that reruns.)
    """
    chunk = MODELS.format(**dict(wildcards.items()))
    try:
        made = io.read_provenance(modify_path(chunk))["identity"]
    except (DataError, KeyError):
        return file
    return ancient(file) if made == PLAN.identity("models", wildcards) else file
