"""Stage report, without torch. From: all tables of a run, its inputs, and the audit if there is one
of these very certificates. To: results/report.html, one page that opens offline.
"""

PAGE = SCRIPTS.parent / "report" / "page"


PAGE_INPUTS = {
    "summary": "results/summary.csv",
    "curves": "results/curves.csv",
    "sums": "results/provenance.json",
    "certificates": [certificates_of(*row) for row in TARGETS.rows],
    "undefended": TARGETS.undefended,
    "sigma": [PLAN.sigma_of(run) for run in TARGETS.searched],
    "data": expand(f"{DATASET}/data.npz", dataset=TARGETS.datasets),
    "sources": expand(f"{DATASET}/sources.parquet", dataset=TARGETS.datasets),
    "triggered": [
        f"{ATTACK}/triggered.npz".format(dataset=dataset, attack=attack)
        for dataset, attack in TARGETS.attacks
    ],
}


onsuccess:
    files = []
    for job in sorted(workflow.dag.targetjobs, key=str):
        asked = [file for file in job.output if file in workflow.dag.targetfiles]
        files += map(str, asked or job.output or job.input)
    print(where_to_look(files))


rule report:
    """Needs results/report.html; makes nothing more, because it is the name of a target."""
    input:
        "results/report.html",


rule build_report:
    """Needs summary, curves, certificates, noise and inputs of every experiment; makes the page.

    The audit is no input, because otherwise every later run would audit, too. The script shows the
    one in results/ if its provenance names exactly these certificates.
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
            [sizes.size_of(PLAN, name) for name in TARGETS.datasets],
            len(TARGETS.attacks),
            len(CONFIG.rows),
        ),
        runtime=30,
    params:
        settings={
            "rows": [TARGETS.page_row(*row) for row in TARGETS.rows],
            "datasets": TARGETS.datasets,
            "attacks": TARGETS.attacks,
            "looks": TARGETS.looks(),
        },
        inputs=lambda w: TARGETS.page_inputs(),
        code=PLAN.code("build_report.py"),
        templates={file.name: checksum(file) for file in sorted(PAGE.iterdir())},
    script:
        "../scripts/build_report.py"
