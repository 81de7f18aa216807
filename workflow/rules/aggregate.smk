"""Stage aggregate, without torch. From: all tables of certificates. To: results/summary.csv (a row an
experiment), results/curves.csv (certified accuracy against radius) and results/figures/.
"""

ATTACKED = list(
    dict.fromkeys(
        run.dataset for run in RUNS if CONFIG.attacks[run.attack]["kind"] != "none"
    )
)
SEARCHED = [run for run in RUNS if run.defense == "cert_ssb"]
EXTERNAL_CURVES = [
    (run.dataset, certificate)
    for run, entry in CONFIG.external.items()
    for certificate in ("trigger", "joint", "paper")
    if certificate == "paper"
    or ("sigma_train" in entry and (certificate == "joint" or "attack" in entry))
]
CURVE_FIGURES = list(
    dict.fromkeys(
        EXTERNAL_CURVES
        + [(run.dataset, certificate) for run in RUNS for certificate in curves_of(run)]
    )
)
CURVE_FILES = [
    f"results/figures/{dataset}/certified_accuracy_{certificate}.svg"
    for dataset, certificate in CURVE_FIGURES
]
SIGMA_FILES = [
    f"results/figures/{dataset}/sigma_distribution.svg"
    for dataset in dict.fromkeys(run.dataset for run in SEARCHED)
]
SUCCESS_FILES = [
    f"results/figures/{dataset}/attack_success.svg" for dataset in ATTACKED
]
FIGURES = CURVE_FILES + SIGMA_FILES + SUCCESS_FILES
FIGURES += papers(FIGURES)


rule make_summary:
    """Needs every experiment's certificates; makes the summary, the curves and a count of failed models."""
    input:
        certificates=[path_of(*row) for row in CONFIG.rows],
        undefended=UNDEFENDED_INPUTS,
        faults=[faults_of(*row) for row in CONFIG.rows if row[0] not in CONFIG.external],
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
    params:
        settings={
            "rows": [summary_row(*row) for row in CONFIG.rows],
            "grids": dict(CONFIG.curves),
        },
        inputs=lambda w: summary_inputs(),
        code=code("make_summary.py"),
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
            CURVE_FILES,
            caption="../report/certified_accuracy.rst",
            category="Certified accuracy",
        ),
        papers=papers(CURVE_FILES),
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
        settings={"figures": CURVE_FIGURES, "references": dict(CONFIG.references)},
        code=code("plot_certified_accuracy.py"),
    script:
        "../scripts/plot_certified_accuracy.py"


rule plot_sigma_distribution:
    """Needs the noise that cert_ssb optimised; makes its distribution."""
    input:
        sigma=[f"{RUN}/sigma.parquet".format(**run._asdict()) for run in SEARCHED],
    output:
        figures=report(
            SIGMA_FILES,
            caption="../report/sigma_distribution.rst",
            category="Noise",
        ),
        papers=papers(SIGMA_FILES),
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
        settings={"runs": [run._asdict() for run in SEARCHED]},
        inputs=lambda w: {"sigma": sigma_identities()},
        code=code("plot_sigma_distribution.py"),
    script:
        "../scripts/plot_sigma_distribution.py"


rule plot_attack_success:
    """Needs the summary; makes attack success with and without each defence."""
    input:
        summary="results/summary.csv",
        sums="results/provenance.json",
    output:
        figures=report(
            SUCCESS_FILES,
            caption="../report/attack_success.rst",
            category="Attack success",
        ),
        papers=papers(SUCCESS_FILES),
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
        settings={"datasets": ATTACKED},
        code=code("plot_attack_success.py"),
    script:
        "../scripts/plot_attack_success.py"
