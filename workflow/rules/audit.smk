"""Target audit. From: certificates, and the world that they were made in. To: results/audit.csv
(how often certified predictions were broken inside and outside their certificates),
results/noise_audit.csv (the random numbers used, checked), results/figures/{dataset}/audit.svg and
the page that shows it.
"""

AUDITED = TARGETS.audited
NOT_AUDITED = [row for row in TARGETS.rows if row not in AUDITED]
AUDITED_DATASETS = list(dict.fromkeys(run.dataset for run, certification in AUDITED))
AUDIT_FIGURES = [f"results/figures/{dataset}/audit.svg" for dataset in AUDITED_DATASETS]


rule audit:
    """Needs the tables and figures of the audit, and the page with it; makes nothing more, because
    it is the name of a target.
    """
    input:
        "results/audit.csv",
        "results/noise_audit.csv",
        "results/audit.shown",
        AUDIT_FIGURES + papers(AUDIT_FIGURES),


rule audit_certificates:
    """Needs a table of certificates; makes a table of trials, each an attempt to falsify one, and
    checks of the random numbers behind it.
    """
    input:
        data=f"{DATASET}/data.npz",
        poisoned=f"{ATTACK}/poisoned.npz",
        triggered=f"{ATTACK}/triggered.npz",
        sigma=sigma_file,
        certificates=f"{CERTIFICATION}/certificates.parquet",
    output:
        trials=f"{CERTIFICATION}/audit.parquet",
        checks=f"{CERTIFICATION}/noise_audit.parquet",
    log:
        f"{CERTIFICATION}/audit_certificates.log",
    benchmark:
        f"{CERTIFICATION}/audit_certificates.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_audit(*sizes.sizes_of(PLAN, w), CONFIG.device),
        runtime=240,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PLAN.pretrained[w.learner],
    params:
        **PLAN.params("audit"),
    script:
        "../scripts/audit_certificates.py"


use rule audit_certificates as audit_threat with:
    input:
        data=f"{DATASET}/data.npz",
        poisoned=f"{ATTACK}/poisoned.npz",
        triggered=f"{ATTACK}/triggered.npz",
        sigma=sigma_file,
        certificates=f"{THREAT}/certificates.parquet",
    output:
        trials=f"{THREAT}/audit.parquet",
        checks=f"{THREAT}/noise_audit.parquet",
    log:
        f"{THREAT}/audit_certificates.log",
    benchmark:
        f"{THREAT}/audit_certificates.tsv"


rule make_audit:
    """Needs the trials and checks of every experiment; makes the two tables of the audit.

    It waits for the page, because the page reads the tables that lie in results/ while it is made.
    """
    input:
        page=ancient("results/report.html"),
        trials=[beside(certificates_of(*row), "audit.parquet") for row in AUDITED],
        checks=[beside(certificates_of(*row), "noise_audit.parquet") for row in AUDITED],
    output:
        audit=report(
            "results/audit.csv", caption="../report/audit.rst", category="Audit"
        ),
        noise=report(
            "results/noise_audit.csv",
            caption="../report/noise_audit.rst",
            category="Audit",
        ),
        sums="results/audit.provenance.json",
    log:
        "results/logs/make_audit.log",
    benchmark:
        "results/benchmarks/make_audit.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings={
            "rows": [
                run._asdict()
                | certification._asdict()
                | {"untried": TARGETS.untried(run, certification)}
                for run, certification in AUDITED
            ],
            "others": [
                run._asdict() | certification._asdict()
                for run, certification in NOT_AUDITED
            ],
        },
        inputs=lambda w: {
            "certificates": TARGETS.identities("certificates", TARGETS.rows),
            "audit": TARGETS.identities("audit", AUDITED),
        },
        code=PLAN.code("make_audit.py"),
    script:
        "../scripts/make_audit.py"


rule plot_audit:
    """Needs the table of the audit; makes its figures, certified against broken."""
    input:
        audit="results/audit.csv",
        sums="results/audit.provenance.json",
    output:
        figures=report(
            AUDIT_FIGURES, caption="../report/audit_figure.rst", category="Audit"
        ),
        papers=papers(AUDIT_FIGURES),
    log:
        "results/logs/plot_audit.log",
    benchmark:
        "results/benchmarks/plot_audit.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings={
            "datasets": AUDITED_DATASETS,
            "colours": TARGETS.audit_colours(),
        },
        code=PLAN.code("plot_audit.py"),
    script:
        "../scripts/plot_audit.py"


use rule build_report as show_audit with:
    input:
        **PAGE_INPUTS,
        page=ancient("results/report.html"),
        audit="results/audit.csv",
        audit_sums="results/audit.provenance.json",
    output:
        shown=touch("results/audit.shown"),
    log:
        "results/logs/show_audit.log",
    benchmark:
        "results/benchmarks/show_audit.tsv"
