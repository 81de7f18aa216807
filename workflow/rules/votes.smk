"""Stage votes. From: a chunk of models and the test inputs. To: {run}/votes/, one Parquet file per
chunk, with one vote of each model on each benign and triggered input, under the noise that its
certificate uses.
"""


rule collect_votes:
    """Needs a chunk of models (and sigma.parquet where noise is optimised); makes its votes."""
    input:
        data=f"{DATASET}/data.npz",
        triggered=f"{ATTACK}/triggered.npz",
        sigma=sigma_file,
        models=lambda w: PLAN.trained(w, MODELS),
    output:
        votes=f"{RUN}/votes/chunk-{{chunk}}.parquet",
    log:
        f"{RUN}/logs/collect_votes-{{chunk}}.log",
    benchmark:
        f"{RUN}/benchmarks/collect_votes-{{chunk}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_voting(
            *sizes.sizes_of(PLAN, w),
            sizes.chunk_of(w),
            run_of(w) in PLAN.scored,
            CONFIG.device,
        ),
        runtime=60,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PLAN.pretrained[w.learner],
    params:
        **PLAN.params("votes"),
    script:
        "../scripts/collect_votes.py"
