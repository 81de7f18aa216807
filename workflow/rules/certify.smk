"""Stage certify, without torch. From: all votes of a run. To: {run}/{certification}/
certificates.parquet, a prediction with its radii for every test input.
"""


rule certify_votes:
    """Needs all votes of a run and the noise of its inputs; makes its table of certificates."""
    input:
        data=f"{DATASET}/data.npz",
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
    log:
        f"{CERTIFICATION}/certify_votes.log",
    benchmark:
        f"{CERTIFICATION}/certify_votes.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=lambda w: {
            "certification": Certification(
                int(w.n_models), w.bound, float(w.alpha), w.multiplicity
            )._asdict(),
            "noise": CONFIG.noise_levels(run_of(w)),
            "defense": w.defense,
            "learner_kind": CONFIG.learners[w.learner]["kind"],
            "attack_norm": ATTACK_SLICES[w.dataset, w.attack]["attack_norm"],
        },
        code=code("certify_votes.py"),
    script:
        "../scripts/certify_votes.py"
