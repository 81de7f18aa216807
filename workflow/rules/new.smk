"""New inputs without labels (the key predict of a dataset), predicted by models that are there.
From: files of new inputs. To: results/{dataset}/new/, {run}/new/votes/ and
{run}/{certification}/new/, predictions of their own. Nothing is trained, and no vote on another
input changes.
"""


rule make_new:
    """Needs files of new inputs, in the form of a dataset's; makes arrays of them."""
    output:
        inputs=f"{NEW}/inputs.npz",
        sources=f"{NEW}/sources.parquet",
    log:
        f"{NEW}/make_new.log",
    benchmark:
        f"{NEW}/make_new.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_data(
            sizes.size_of(PLAN, w.dataset), PLAN.outlines[w.dataset].files
        ),
        runtime=60,
        path=lambda w: str(dataset_path(CONFIG, w.dataset)),
        predict=lambda w: str(predict_path(CONFIG, w.dataset)),
    params:
        **PLAN.params("new"),
    script:
        "../scripts/make_new.py"


rule collect_new_votes:
    """Needs a chunk of models and new inputs; makes its votes, each input by itself."""
    input:
        new=f"{NEW}/inputs.npz",
        models=lambda w: PLAN.trained(w, MODELS),
    output:
        votes=f"{RUN}/new/votes/chunk-{{chunk}}.parquet",
    log:
        f"{RUN}/new/logs/collect_new_votes-{{chunk}}.log",
    benchmark:
        f"{RUN}/new/benchmarks/collect_new_votes-{{chunk}}.tsv"
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
        runtime=120,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PLAN.pretrained[w.learner],
    params:
        **PLAN.params("new_votes"),
    script:
        "../scripts/collect_new_votes.py"


rule certify_new:
    """Needs all votes of a run on new inputs; makes predictions of their own, with certificates."""
    input:
        data=f"{DATASET}/data.npz",
        poisoned=f"{ATTACK}/poisoned.npz",
        triggered=f"{ATTACK}/triggered.npz",
        new=f"{NEW}/inputs.npz",
        sources=f"{NEW}/sources.parquet",
        votes=lambda w: expand(
            f"{RUN}/new/votes/chunk-{{chunk}}.parquet",
            chunk=CONFIG.chunks(int(w.n_models)),
            allow_missing=True,
        ),
    output:
        certificates=f"{CERTIFICATION}/new/certificates.parquet",
        predictions=f"{CERTIFICATION}/new/predictions.parquet",
        spreadsheet=f"{CERTIFICATION}/new/predictions.csv",
    log:
        f"{CERTIFICATION}/new/certify_new.log",
    benchmark:
        f"{CERTIFICATION}/new/certify_new.tsv"
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
        **PLAN.params("new_certificates"),
        note=lambda w: PLAN.note(run_of(w)),
    script:
        "../scripts/certify_new.py"


use rule certify_new as certify_new_threat with:
    output:
        certificates=f"{THREAT}/new/certificates.parquet",
        predictions=f"{THREAT}/new/predictions.parquet",
        spreadsheet=f"{THREAT}/new/predictions.csv",
    log:
        f"{THREAT}/new/certify_new.log",
    benchmark:
        f"{THREAT}/new/certify_new.tsv"
