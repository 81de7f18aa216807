"""Target plan. From: the configuration, and how fast this machine is. To: the terminal,
results/plan.csv, and results/rates.json with what was measured (20 s at most, once per machine).
"""


rule plan:
    """Needs no file; says what a run costs and what it can certify at most. It has no output that
    Snakemake knows of, so that it speaks whenever it is asked.
    """
    log:
        "results/logs/plan.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
        cores=workflow.cores or 1,
        table=modify_path("results/plan.csv"),
        rates=modify_path("results/rates.json"),
    params:
        entries=every_entry(),
        code=PLAN.code("show_plan.py"),
    script:
        "../scripts/show_plan.py"
