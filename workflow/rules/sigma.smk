"""Stage sigma, for cert_ssb. From: a poison set and an entry of `noises`. To:
{models}/sigma.parquet, the noise of every training, benign and triggered test input.
"""


rule optimise_sigma:
    """Needs a poison set; makes each input's noise by sigma ascent, with pilots that never vote."""
    input:
        data=f"{DATASET}/data.npz",
        poisoned=f"{ATTACK}/poisoned.npz",
        triggered=f"{ATTACK}/triggered.npz",
    output:
        sigma=SIGMA,
    log:
        f"{TRAINED}/logs/optimise_sigma.log",
    benchmark:
        f"{TRAINED}/benchmarks/optimise_sigma.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: memory.of_sigma(
            *sizes.sizes_of(PLAN, w), PLAN.sides[w.training].search, CONFIG.device
        ),
        runtime=240,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PLAN.pretrained[w.learner],
    params:
        **PLAN.params("sigma"),
    script:
        "../scripts/optimise_sigma.py"
