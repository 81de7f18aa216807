"""Stage data. From: an entry of `datasets` and its files. To: results/{dataset}/data.npz, arrays
of numbers from 0 to 1, and sources.parquet, the file or row that each input comes from.
"""


rule make_dataset:
    """Needs the raw files, if its kind has any; makes the training and test arrays of a dataset."""
    output:
        data=f"{DATASET}/data.npz",
        sources=f"{DATASET}/sources.parquet",
    log:
        f"{DATASET}/logs/make_dataset.log",
    benchmark:
        f"{DATASET}/benchmarks/make_dataset.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_data(
            sizes.size_of(PLAN, w.dataset), PLAN.outlines[w.dataset].files
        ),
        runtime=60,
        path=lambda w: str(dataset_path(CONFIG, w.dataset)),
    params:
        **PLAN.params("data"),
    script:
        "../scripts/make_dataset.py"
