"""Target noise_search. From: a poison set and an entry of `searches`. To: results/searches/,
certified accuracy of held-out training inputs over pairs of a training parameter and test noise. A
search suggests a pair, and the configuration says what runs.
"""

SEARCHES = expand(
    "results/searches/{search}.{kind}",
    search=CONFIG.searches,
    kind=["parquet", "csv", "svg", "pdf"],
)


rule search_noise:
    """Needs a poison set; makes the table of certified accuracy over pairs of parameters."""
    input:
        data=lambda w: f"{DATASET}/data.npz".format(**PLAN.searched_set(w)),
        poisoned=lambda w: f"{ATTACK}/poisoned.npz".format(**PLAN.searched_set(w)),
        trusted=lambda w: PLAN.trusted_file(w),
    output:
        grid="results/searches/{search}.parquet",
        spreadsheet="results/searches/{search}.csv",
    log:
        "results/searches/logs/{search}.log",
    benchmark:
        "results/searches/benchmarks/{search}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda w: sizes.of_search(PLAN, w),
        runtime=240,
        gpu=0 if CONFIG.device == "cpu" else 1,
        device=CONFIG.device,
        pretrained=lambda w: PLAN.pretrained[CONFIG.searches[w.search]["learner"]],
    params:
        **PLAN.params("search"),
    script:
        "../scripts/search_noise.py"


rule plot_noise_search:
    """Needs the table of a search; makes its heat map."""
    input:
        grid="results/searches/{search}.parquet",
    output:
        figure=report(
            "results/searches/{search}.svg",
            caption="../report/noise_search.rst",
            category="Noise",
        ),
        paper="results/searches/{search}.pdf",
    log:
        "results/searches/logs/plot_{search}.log",
    benchmark:
        "results/searches/benchmarks/plot_{search}.tsv"
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=lambda w: {
            "search": w.search,
            "parameter": TARGETS.searched_label(w.search),
            "threat": PLAN.searched_threat(w).describe(),
        },
        inputs=lambda w: {"grid": PLAN.identity("search", w)},
        code=PLAN.code("plot_noise_search.py"),
    script:
        "../scripts/plot_noise_search.py"
