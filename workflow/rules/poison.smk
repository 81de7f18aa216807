"""Stage poison. From: data.npz and an entry of `attacks`. To: results/{dataset}/{attack}/ with
poisoned.npz (training set as the defender gets it, indices of poisoned rows) and triggered.npz
(every test input with the trigger, true labels), and what a network without defence makes of them.
"""


rule make_poison:
    """Needs a dataset; makes the poison set and the triggered test inputs of an attack."""
    input:
        data=f"{DATASET}/data.npz",
    output:
        poisoned=f"{ATTACK}/poisoned.npz",
        triggered=f"{ATTACK}/triggered.npz",
    log:
        f"{ATTACK}/logs/make_poison.log",
    benchmark:
        f"{ATTACK}/benchmarks/make_poison.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_poison(sizes.size_of(PLAN, w.dataset)),
        runtime=10,
    params:
        **PLAN.params("poison"),
    script:
        "../scripts/make_poison.py"


rule train_undefended:
    """Needs a poison set; makes one network trained on it without noise, and its predictions."""
    input:
        data=f"{DATASET}/data.npz",
        poisoned=f"{ATTACK}/poisoned.npz",
        triggered=f"{ATTACK}/triggered.npz",
    output:
        model=f"{UNDEFENDED}/model.safetensors",
        predictions=f"{UNDEFENDED}/undefended.parquet",
    log:
        f"{UNDEFENDED}/train_undefended.log",
    benchmark:
        f"{UNDEFENDED}/train_undefended.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_undefended(*sizes.sizes_of(PLAN, w), CONFIG.device),
        runtime=60,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PLAN.pretrained[w.learner],
    params:
        **PLAN.params("undefended"),
    script:
        "../scripts/train_undefended.py"
