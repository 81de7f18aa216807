"""Stage report, without torch. From: all tables of a run, its inputs, and the audit if there is one of
these very certificates. To: results/report.html, one page that opens offline.
"""

TRAINED_ON = list(dict.fromkeys(run.dataset for run in RUNS))
PAGE = SCRIPTS.parent / "report" / "page"
ATTACKED_BY = list(dict.fromkeys((run.dataset, run.attack) for run in RUNS))


PAGE_INPUTS = {
    "summary": "results/summary.csv",
    "curves": "results/curves.csv",
    "sums": "results/provenance.json",
    "certificates": [path_of(*row) for row in CONFIG.rows],
    "undefended": UNDEFENDED_INPUTS,
    "sigma": [f"{RUN}/sigma.parquet".format(**run._asdict()) for run in SEARCHED],
    "data": expand(f"{DATASET}/data.npz", dataset=TRAINED_ON),
    "triggered": [
        f"{ATTACK}/triggered.npz".format(dataset=dataset, attack=attack)
        for dataset, attack in ATTACKED_BY
    ],
}


onsuccess:
    print(where_to_look())


rule report:
    """Needs results/report.html; makes nothing more: the name of a target."""
    input:
        "results/report.html",


rule build_report:
    """Needs summary, curves, certificates, noise and inputs of every experiment; makes the page.

    The audit is no input, or every later run would audit, too. The script shows the one in
    results/ if its provenance names exactly these certificates.
    """
    input:
        **PAGE_INPUTS,
    output:
        page="results/report.html",
    log:
        "results/logs/build_report.log",
    benchmark:
        "results/benchmarks/build_report.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=memory.of_page(
            [size_of(name) for name in TRAINED_ON], len(ATTACKED_BY), len(CONFIG.rows)
        ),
        runtime=30,
    params:
        settings={
            "rows": [page_row(*row) for row in CONFIG.rows],
            "datasets": TRAINED_ON,
            "attacks": ATTACKED_BY,
        },
        inputs=lambda w: page_inputs(),
        code=code("build_report.py"),
        templates={file.name: checksum(file) for file in sorted(PAGE.iterdir())},
    script:
        "../scripts/build_report.py"
