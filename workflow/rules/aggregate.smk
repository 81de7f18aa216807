"""Stage aggregate, without torch. From: all tables of certificates. To: results/summary.csv (one
row per experiment), results/curves.csv (certified accuracy against radius) and results/figures/.
"""


onstart:
    makes_tables = any(
        set(job.output) & {modify_path("results/summary.csv")}
        for job in workflow.dag.needrun_jobs()
    )
    if makes_tables and not CONFIG.replace_tables:
        try:
            check_tables(Path(modify_path("results/provenance.json")), TARGETS)
        except PlanError as error:
            raise WorkflowError(str(error))
    if makes_tables:
        from certbd.plan.forecast import advice

        if said := advice.warning(PLAN, TARGETS.rows):
            print(said, file=sys.stderr)


rule make_summary:
    """Needs every experiment's certificates; makes summary, curves and a count of failed models."""
    input:
        certificates=[certificates_of(*row) for row in TARGETS.rows],
        undefended=TARGETS.undefended,
        faults=[
            beside(certificates_of(*row), "faults.parquet") for row in TARGETS.own_rows
        ],
    output:
        summary=report(
            "results/summary.csv",
            caption="../report/summary.rst",
            category="Summary",
        ),
        curves=report(
            "results/curves.csv", caption="../report/curves.rst", category="Summary"
        ),
        models=report(
            "results/models.csv", caption="../report/models.rst", category="Summary"
        ),
        sums="results/provenance.json",
    log:
        "results/logs/make_summary.log",
    benchmark:
        "results/benchmarks/make_summary.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
        replace=int(CONFIG.replace_tables),
        figures=" ".join(TARGETS.figures),
    params:
        settings={
            "rows": [TARGETS.summary_row(*row) for row in TARGETS.rows],
            "grids": dict(CONFIG.curves),
        },
        inputs=lambda w: TARGETS.summary_inputs(),
        code=PLAN.code("make_summary.py"),
    script:
        "../scripts/make_summary.py"


rule plot_certified_accuracy:
    """Needs the curves; makes certified accuracy against radius."""
    input:
        summary="results/summary.csv",
        curves="results/curves.csv",
        sums="results/provenance.json",
    output:
        figures=report(
            TARGETS.curve_figures,
            caption="../report/certified_accuracy.rst",
            category="Certified accuracy",
        ),
        papers=papers(TARGETS.curve_figures),
    log:
        "results/logs/plot_certified_accuracy.log",
    benchmark:
        "results/benchmarks/plot_certified_accuracy.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings={
            "figures": TARGETS.curves,
            "references": dict(CONFIG.references),
            "looks": TARGETS.looks(),
        },
        code=PLAN.code("plot_certified_accuracy.py"),
    script:
        "../scripts/plot_certified_accuracy.py"


rule plot_sigma_distribution:
    """Needs the noise that cert_ssb optimised; makes its distribution."""
    input:
        sigma=[PLAN.sigma_of(run) for run in TARGETS.searched],
    output:
        figures=report(
            TARGETS.sigma_figures,
            caption="../report/sigma_distribution.rst",
            category="Noise",
        ),
        papers=papers(TARGETS.sigma_figures),
    log:
        "results/logs/plot_sigma_distribution.log",
    benchmark:
        "results/benchmarks/plot_sigma_distribution.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings={"runs": [run._asdict() for run in TARGETS.searched]},
        inputs=lambda w: {"sigma": TARGETS.sigma_identities()},
        code=PLAN.code("plot_sigma_distribution.py"),
    script:
        "../scripts/plot_sigma_distribution.py"


rule plot_attack_success:
    """Needs the summary; makes attack success with and without each defence."""
    input:
        summary="results/summary.csv",
        sums="results/provenance.json",
    output:
        figures=report(
            TARGETS.success_figures,
            caption="../report/attack_success.rst",
            category="Attack success",
        ),
        papers=papers(TARGETS.success_figures),
    log:
        "results/logs/plot_attack_success.log",
    benchmark:
        "results/benchmarks/plot_attack_success.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings={"datasets": TARGETS.attacked, "looks": TARGETS.looks()},
        code=PLAN.code("plot_attack_success.py"),
    script:
        "../scripts/plot_attack_success.py"
