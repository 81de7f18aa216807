"""Stage reach, on its own. From: the key `reach` of the configuration alone. To: results/reach.csv
and results/figures/reach.svg, what discrete noise can cover at most, if all models cast one vote.
"""


rule reach:
    """Needs results/reach.csv and its figure; makes nothing more: it is the name of a target."""
    input:
        "results/reach.csv",
        "results/figures/reach.svg",
        "results/figures/reach.pdf",


rule tabulate_reach:
    """Needs no file; makes the largest number of changed coordinates for each beta, K and N."""
    output:
        table=report(
            "results/reach.csv", caption="../report/reach.rst", category="Reach"
        ),
        figure=report(
            "results/figures/reach.svg",
            caption="../report/reach.rst",
            category="Reach",
        ),
        sums="results/reach.provenance.json",
        paper="results/figures/reach.pdf",
    log:
        "results/logs/tabulate_reach.log",
    benchmark:
        "results/benchmarks/tabulate_reach.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **PLAN.params("reach"),
    script:
        "../scripts/tabulate_reach.py"
