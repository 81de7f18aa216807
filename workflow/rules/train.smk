"""Stage train. From: a poison set, and the noise on its inputs. To: {run}/models/, one safetensors
file a chunk of models, each trained on a noisy copy of its own.
"""


rule train_models:
    """Needs a poison set (and sigma.parquet for cert_ssb); makes one chunk of models in one batch.

    Both files are made anew when there are more test inputs, with the same training set in them. So
    their times do not count (`ancient`), and what the training set is made from is in the settings.
    """
    input:
        poisoned=ancient(f"{ATTACK}/poisoned.npz"),
        sigma=lambda w: ancient(sigma_file(w)),
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
        settings=lambda w: training_slice(w)
        | {
            "n_classes": len(OUTLINES[w.dataset].classes),
            "models": models_of(w.chunk),
            "training_data": training_data_slice(w),
        },
        code=code("train_models.py"),
    script:
        "../scripts/train_models.py"
