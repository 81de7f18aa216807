"""Stage data. From: an entry of `datasets`. To: results/{dataset}/data.npz, arrays in [0, 1]."""


rule make_dataset:
    """Needs nothing but the configuration; makes the training and test arrays of a dataset."""
    output:
        data=f"{DATASET}/data.npz",
    log:
        f"{DATASET}/logs/make_dataset.log",
    benchmark:
        f"{DATASET}/benchmarks/make_dataset.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=lambda w: {"dataset": CONFIG.datasets[w.dataset]},
        code=code("make_dataset.py"),
    script:
        "../scripts/make_dataset.py"
