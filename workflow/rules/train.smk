"""Stage train. From: a poison set, and the noise on its inputs. To: {run}/models/, one safetensors
file a chunk of models, each trained on a noisy copy of its own.
"""


rule train_models:
    """Needs a poison set (and sigma.parquet for cert_ssb); makes one chunk of models in one batch."""
    input:
        poisoned=f"{ATTACK}/poisoned.npz",
        sigma=sigma_file,
    output:
        models=(
            f"{RUN}/models/chunk-{{chunk}}.safetensors"
            if CONFIG.keep_models
            else temp(f"{RUN}/models/chunk-{{chunk}}.safetensors")
        ),
    log:
        f"{RUN}/logs/train_models-{{chunk}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_models-{{chunk}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PRETRAINED[w.learner],
    params:
        settings=lambda w: model_settings(w) | {"models": models_of(w.chunk)},
        inputs=lambda w: inputs_of("models", w),
        code=code("train_models.py"),
    script:
        "../scripts/train_models.py"
