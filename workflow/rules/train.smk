"""Stage train. From: a poison set, and the noise on its inputs. To: {models}/, one safetensors file
per chunk of models, each of which is trained on a view of the set of its own. Test sides have no
part in it, so entries of `noises` that differ only there share models.
"""


rule train_models:
    """Needs a poison set (and sigma.parquet where noise is optimised); makes one chunk of models in
    one batch.

    What the training set is made from is in the settings. The identities of both files, which
    depend on the test inputs, too, are not; the script checks them.
    """
    input:
        poisoned=lambda w: for_training(w, f"{ATTACK}/poisoned.npz"),
        sigma=lambda w: for_training(w, sigma_file(w)),
    output:
        models=MODELS if CONFIG.keep_models else temp(MODELS),
    log:
        f"{TRAINED}/logs/train_models-{{chunk}}.log",
    benchmark:
        f"{TRAINED}/benchmarks/train_models-{{chunk}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_training(
            *sizes.sizes_of(PLAN, w), sizes.chunk_of(w), CONFIG.device
        ),
        runtime=240,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PLAN.pretrained[w.learner],
        poison=lambda w: PLAN.identity("poison", w),
        sigma=lambda w: PLAN.identity("sigma", w) if PLAN.optimises(w) else "",
    params:
        **PLAN.params("models"),
    script:
        "../scripts/train_models.py"
