"""certbd: certified predictions for a training set that may be poisoned.

The stages, one file each in workflow/rules: data, poison, sigma, train, votes, certify, aggregate,
report. `snakemake --cores N` makes everything that config/config.yaml (or --configfile) lists under
experiments; `snakemake --cores N figures` redraws the figures from cached results. Other targets:
noise_search tries a defence's parameters on training inputs, reach tabulates what discrete noise
can cover at most, audit tries to falsify the certificates.
"""

import os
import sys

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, update_config

min_version("9.8")

if not workflow.current_basedir.is_local:
    raise WorkflowError(
        "certbd runs from a clone of its repository, because a job reads its modules and settings "
        "there: clone it and name the Snakefile of the clone"
    )
if set(sys.executable) & set(" \t\n'\"\\$&;|<>()`"):
    raise WorkflowError(
        f"Python is {sys.executable}: Snakemake does not quote its path, so every job would fail. "
        "Allowed: a path without spaces, quotes and other signs that a shell reads; move the folder "
        "that .venv is in and make it again (remove .venv, then make setup)"
    )

# Later settings win: those of the clone, of the working directory, of --configfile, of --config.
BASE = os.path.join(workflow.current_basedir, "config", "config.yaml")
OWN = "config/config.yaml"
IS_MODULE = not workflow.modifier.is_main_snakefile()


configfile: BASE


if IS_MODULE:  # the clone's settings, and on top of them those given with `config:`
    base = load_configfile(BASE)
    update_config(base, config)
    config = base
elif os.path.exists(OWN) and not os.path.samefile(OWN, BASE):

    configfile: OWN


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/poison.smk"
include: "workflow/rules/sigma.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/votes.smk"
include: "workflow/rules/certify.smk"
include: "workflow/rules/new.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/reach.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/audit.smk"


# A module's rules have other names. Rules that run nothing are local without this, too.
if not IS_MODULE:

    localrules:
        all,
        figures,
        noise_search,
        reach,
        report,
        audit,


rule all:
    default_target: True
    input:
        "results/summary.csv",
        "results/curves.csv",
        "results/report.html",
        TARGETS.figures,
        TARGETS.new,


rule figures:
    input:
        TARGETS.figures,


rule noise_search:
    input:
        SEARCHES,
