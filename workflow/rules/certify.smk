"""Stage certify, without torch. From: all votes of a run, or votes from elsewhere. To:
{run}/{certification}/certificates.parquet, a prediction with its radii for every test input.
"""


rule certify_votes:
    """Needs all votes of a run and the noise of its inputs; makes its table of certificates, the
    same for people (predictions), and a list of the models that diverged or predict one class.
    """
    input:
        data=f"{DATASET}/data.npz",
        sources=f"{DATASET}/sources.parquet",
        poisoned=f"{ATTACK}/poisoned.npz",
        triggered=f"{ATTACK}/triggered.npz",
        sigma=sigma_file,
        votes=lambda w: expand(
            f"{RUN}/votes/chunk-{{chunk}}.parquet",
            chunk=CONFIG.chunks(int(w.n_models)),
            allow_missing=True,
        ),
    output:
        certificates=f"{CERTIFICATION}/certificates.parquet",
        predictions=f"{CERTIFICATION}/predictions.parquet",
        spreadsheet=f"{CERTIFICATION}/predictions.csv",
        faults=f"{CERTIFICATION}/faults.parquet",
    log:
        f"{CERTIFICATION}/certify_votes.log",
    benchmark:
        f"{CERTIFICATION}/certify_votes.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_certificates(
            sizes.size_of(PLAN, w.dataset),
            min(int(w.n_models), CONFIG.chunk_size),
            run_of(w) in PLAN.scored,
        ),
        runtime=60,
    params:
        **PLAN.params("certificates"),
        note=lambda w: PLAN.note(run_of(w)),
    script:
        "../scripts/certify_votes.py"


use rule certify_votes as certify_threat with:
    output:
        certificates=f"{THREAT}/certificates.parquet",
        predictions=f"{THREAT}/predictions.parquet",
        spreadsheet=f"{THREAT}/predictions.csv",
        faults=f"{THREAT}/faults.parquet",
    log:
        f"{THREAT}/certify_votes.log",
    benchmark:
        f"{THREAT}/certify_votes.tsv"


rule certify_external:
    """Needs votes or scores of models trained elsewhere; makes their table of certificates."""
    output:
        certificates=f"{EXTERNAL}/certificates.parquet",
        predictions=f"{EXTERNAL}/predictions.parquet",
        spreadsheet=f"{EXTERNAL}/predictions.csv",
    log:
        f"{EXTERNAL}/certify_external.log",
    benchmark:
        f"{EXTERNAL}/certify_external.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_external(
            PLAN.external_files[external_run_of(w), "votes"].stat().st_size
        ),
        runtime=60,
        votes=lambda w: str(PLAN.external_files[external_run_of(w), "votes"]),
        labels=lambda w: str(PLAN.external_files[external_run_of(w), "labels"] or ""),
    params:
        **PLAN.params("external"),
    script:
        "../scripts/certify_external.py"


use rule certify_external as certify_external_threat with:
    output:
        certificates=f"{EXTERNAL_THREAT}/certificates.parquet",
        predictions=f"{EXTERNAL_THREAT}/predictions.parquet",
        spreadsheet=f"{EXTERNAL_THREAT}/predictions.csv",
    log:
        f"{EXTERNAL_THREAT}/certify_external.log",
    benchmark:
        f"{EXTERNAL_THREAT}/certify_external.tsv"
