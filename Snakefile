"""certbd: certified predictions for a training set that may be poisoned.

The stages, one file each in workflow/rules: data, poison, sigma, train, votes, certify, aggregate,
report. `snakemake --cores N` makes everything that config/config.yaml (or --configfile) lists under
experiments; `snakemake --cores N figures` redraws the figures from cached results. Other targets:
noise_search tries a defence's parameters on training inputs, reach tabulates what discrete noise can cover at most,
audit tries to falsify the certificates.
"""

from snakemake.utils import min_version

min_version("9.8")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/poison.smk"
include: "workflow/rules/sigma.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/votes.smk"
include: "workflow/rules/certify.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/reach.smk"
include: "workflow/rules/audit.smk"


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
        FIGURES,


rule figures:
    input:
        FIGURES,


rule noise_search:
    input:
        SEARCHES,
