"""What every stage shares: the checked configuration, paths, and the slices of it in `params`.

A path holds only the axes that its artifact depends on; the values behind the names arrive by
`params`, in one dictionary with just the keys that the stage uses.
"""

import hashlib
import os
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

WORKFLOW = Path(workflow.current_basedir).parent
SCRIPTS = WORKFLOW / "scripts"
sys.path.insert(0, str(SCRIPTS))

from certbd import attacks, coverage, datasets, domains, guarantees, io, seals
from certbd.axes import CURVES_OF, SCORE_BOUNDS, Certification, Run
from certbd.config import ConfigError, read_config
from certbd.fingerprint import fingerprint
from certbd.io import DataError
from snakemake.exceptions import WorkflowError

SCHEMA = WORKFLOW.parent / "config" / "schemas" / "config.schema.yaml"

DATASET = "results/{dataset}"
ATTACK = f"{DATASET}/{{attack}}"
RUN = f"{ATTACK}/{{defense}}/{{noise}}/{{learner}}/seed-{{seed}}"
MODELS = f"{RUN}/models/chunk-{{chunk}}.safetensors"
CERTIFICATION = f"{RUN}/{{bound}}-{{alpha}}-{{multiplicity}}-n{{n_models}}"
EXTERNAL = CERTIFICATION.replace("{defense}", "external")
UNDEFENDED = f"{ATTACK}/undefended/{{learner}}"


modify_path = workflow.modifier.modify_path  # where this is a module with a prefix


wildcard_constraints:
    defense="rab|cert_ssb|decoupled|discrete|bagging|statistic",
    dataset=r"[a-z0-9][a-z0-9._-]*",
    attack=r"[a-z0-9][a-z0-9._-]*",
    noise=r"[a-z0-9][a-z0-9._-]*",
    learner=r"[a-z0-9][a-z0-9._-]*",
    seed=r"\d+",
    alpha=r"[0-9.e-]+",
    chunk=r"\d+-\d+",
    bound=r"[a-z_]+",
    multiplicity=r"[a-z_]+",
    n_models=r"\d+",
    search=r"[a-z0-9][a-z0-9._-]*",


try:
    CONFIG = read_config(config, SCHEMA)
except ConfigError as error:
    raise WorkflowError(f"The configuration cannot be run.\n{error}")

RUNS = list(
    dict.fromkeys(
        run for run, certification in CONFIG.rows if run not in CONFIG.external
    )
)
SCORED = {
    run for run, certification in CONFIG.rows if certification.bound in SCORE_BOUNDS
}


def dataset_path(name):
    """The file or folder of a dataset."""
    return Path(CONFIG.data_root, CONFIG.datasets[name].get("path", ""))


def outline(name):
    """What is known of a dataset before it is read; its files must be there."""
    entry, path = CONFIG.datasets[name], dataset_path(name)
    try:
        datasets.fetch(entry, path)
        return datasets.outline(entry, path)
    except DataError as error:
        raise WorkflowError(f"datasets.{name}: {error}")


SEARCHED_DATASETS = {search["dataset"] for search in CONFIG.searches.values()}
SEARCHED_LEARNERS = {search["learner"] for search in CONFIG.searches.values()}
OUTLINES = {
    name: outline(name)
    for name in sorted({run.dataset for run in RUNS} | SEARCHED_DATASETS)
}


def attack_slice(run):
    """An attack's norm, number of poisoned inputs and target, as certificates count them."""
    if run in CONFIG.external:
        given = CONFIG.external[run].get("attack", {})
        keys = {"attack_norm": "norm", "n_poisoned": "n_poisoned", "target": "target"}
        return {name: given.get(key) for name, key in keys.items()}
    dataset, attack = run.dataset, run.attack
    entry = CONFIG.attacks[attack]
    if entry["kind"] == "none":
        return {"attack_norm": 0.0, "n_poisoned": 0, "target": None}
    try:
        attacks.check_fit(entry["kind"], OUTLINES[dataset].has_images)
        n_poisoned = attacks.count_poisoned(entry, OUTLINES[dataset].training_counts)
    except DataError as error:
        raise WorkflowError(f"attacks.{attack} on dataset {dataset}: {error}")
    return {
        "attack_norm": float(entry["norm"]),
        "n_poisoned": n_poisoned,
        "target": entry["target"],
    }


def check_draw(run):
    """Refuse a bagging run whose models would draw more rows than there are."""
    n_drawn = (CONFIG.noise_levels(run) or {}).get("n_drawn", 0)
    n_rows = sum(OUTLINES[run.dataset].training_counts)
    if n_drawn > n_rows:
        raise WorkflowError(
            f"noises.{run.noise}.n_drawn: {n_drawn} of {n_rows} training inputs of {run.dataset}"
        )


for run in RUNS:
    check_draw(run)

ATTACK_SLICES = {run: attack_slice(run) for run, certification in CONFIG.rows}


def check_discrete(run, certification):
    """Refuse values out of their domain, and noise or numbers of models that certify nothing."""
    noise, attack = CONFIG.noise_levels(run), CONFIG.attacks[run.attack]
    dataset, known = CONFIG.datasets[run.dataset], OUTLINES[run.dataset]
    attacked = attack["kind"] != "none"
    try:
        domains.check_dataset(dataset, noise["values"])
        if attacked:
            attacks.check_domain(attack, dataset["kind"], noise["values"])
        guarantees.check_models(
            guarantees.domains_of(
                noise, sum(known.training_counts), 1, len(known.classes)
            ),
            certification,
            sum(known.test_counts) * (2 if attacked else 1),
        )
    except ValueError as error:
        raise WorkflowError(
            f"defense discrete on dataset {run.dataset}, attack {run.attack}, noise {run.noise}: {error}"
        )


for run, certification in CONFIG.rows:
    if run.defense == "discrete":
        check_discrete(run, certification)


def data_file(run, key):
    """A file that an external experiment names; it must be there."""
    name = CONFIG.external[run].get(key)
    if name is None:
        return None
    path = Path(CONFIG.data_root, name)
    if not os.path.isfile(path):
        raise WorkflowError(
            f"{key} of the external experiment on {run.dataset}: {path} is not a file; set "
            "data_root to the folder that holds it (--config data_root=FOLDER), or the key"
        )
    return path


EXTERNAL_FILES = {
    (run, key): data_file(run, key)
    for run in CONFIG.external
    for key in ("votes", "labels")
}


@cache
def checksum(path):
    """A file's content, so that another path to it changes nothing."""
    if path is None:
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def content(name):
    """The content of a dataset's files, so that another path to them changes nothing."""
    try:
        return datasets.checksum(OUTLINES[name].files, dataset_path(name))
    except OSError as error:
        raise WorkflowError(f"datasets.{name}: {error}")


def dataset_slice(name):
    """What a dataset is made from: its classes, its other settings and the content of its files."""
    entry = dict(
        CONFIG.datasets[name], classes=OUTLINES[name].classes, content=content(name)
    )
    return {key: entry[key] for key in sorted(entry) if key not in ("path", "download")}


def pretrained_path(learner):
    """The file of a learner's pretrained weights, or its encoder's, or nothing; it must be there."""
    entry = CONFIG.learners[learner]
    key, name = "pretrained", entry.get("pretrained", "none")
    names, hint = "the names of torchvision's resnet18", ", or to none"
    if weights := entry.get("features", {}).get("weights"):
        key, name, hint = "features.weights", weights, ""
        names = f"the weights of {entry['features']['network']}"
    if name == "none":
        return ""
    path = Path(CONFIG.data_root, name)
    if not os.path.isfile(path):
        raise WorkflowError(
            f"learners.{learner}.{key}: {path} is not a file; set data_root to the folder that "
            "holds it (--config data_root=FOLDER), the key to a safetensors file with "
            f"{names}{hint}"
        )
    return str(path)


PRETRAINED = {
    name: pretrained_path(name)
    for name in sorted(
        {run.learner for run in RUNS} | {CONFIG.undefended} | SEARCHED_LEARNERS
    )
    if name in CONFIG.learners
}


@cache
def learner_slice(name):
    """What trains a learner: its entry, and the content of its pretrained weights."""
    entry = dict(CONFIG.learners[name])
    if PRETRAINED.get(name) and "features" in entry:
        weights = checksum(PRETRAINED[name])
        entry["features"] = entry["features"] | {"weights": weights}
    elif PRETRAINED.get(name):
        entry["pretrained"] = checksum(PRETRAINED[name])
    return entry


def memory(wildcards):
    """Memory in MB of a job that holds a whole dataset."""
    return 8000 if CONFIG.datasets[wildcards.dataset]["kind"] == "imagenette" else 2000


def run_of(wildcards):
    """The run whose folder these wildcards name."""
    axes = {name: getattr(wildcards, name) for name in Run._fields}
    return Run(**axes | {"seed": int(wildcards.seed)})


def external_run_of(wildcards):
    """The run of votes from elsewhere whose folder these wildcards name."""
    axes = {name: getattr(wildcards, name) for name in Run._fields if name != "defense"}
    return Run(**axes | {"defense": "external", "seed": int(wildcards.seed)})


def certification_of(wildcards):
    """The certification whose folder these wildcards name."""
    return Certification(
        int(wildcards.n_models),
        wildcards.bound,
        float(wildcards.alpha),
        wildcards.multiplicity,
    )._asdict()


def external_slice(wildcards):
    """What certifies votes from elsewhere: their content, noise and attack."""
    run = external_run_of(wildcards)
    entry = CONFIG.external[run]
    return {
        "certification": certification_of(wildcards),
        "n_classes": entry["n_classes"],
        "sigma_test": entry.get("sigma_test"),
        "sigma_train": entry.get("sigma_train"),
        "attack_norm": ATTACK_SLICES[run]["attack_norm"],
        "n_poisoned": ATTACK_SLICES[run]["n_poisoned"],
        "votes": checksum(EXTERNAL_FILES[run, "votes"]),
        "labels": checksum(EXTERNAL_FILES[run, "labels"]),
    }


def training_slice(wildcards):
    """What trains a run: its noise (None where each input has its own), learner and seed."""
    run = run_of(wildcards)
    return {
        "noise": CONFIG.noise_levels(run),
        "learner": learner_slice(run.learner),
        "seed": run.seed,
    }


def training_data_slice(wildcards):
    """What makes a run's training set and the noise on it; test inputs have no part in either."""
    dataset = dataset_slice(wildcards.dataset)
    subset = dataset.pop("subset", {})
    if "train" in subset:
        dataset["subset"] = {key: subset[key] for key in ("train", "seed")}
    made = {
        "dataset": dataset,
        "attack": CONFIG.attacks[wildcards.attack],
        "code": [code("make_dataset.py"), code("make_poison.py")],
    }
    if wildcards.defense == "cert_ssb":
        made["noise"] = CONFIG.noises[wildcards.noise]
        made["code"].append(code("optimise_sigma.py"))
    return made


def curves_of(run):
    """The certificates of a run for which there are curves; no trigger's without test noise."""
    levels = {} if run in CONFIG.external else CONFIG.noise_levels(run) or {}
    return [
        c for c in CURVES_OF[run.defense] if c != "trigger" or levels.get("test", 1)
    ]


def models_of(chunk):
    """First model of a chunk, and the one after its last."""
    first, last = map(int, chunk.split("-"))
    return [first, last + 1]


def sigma_file(wildcards):
    """The file of sample-specific noise, for the defence that has it."""
    return f"{RUN}/sigma.parquet" if wildcards.defense == "cert_ssb" else []


def for_training(wildcards, file):
    """A file that training reads. Where the chunk is one of this configuration its time is ignored.

    With more test inputs it is made anew, with the same training set in it. (Ignored always, and
    Snakemake would not look at the settings of a chunk that comes after a job that reruns.)
    """
    chunk = MODELS.format(**dict(wildcards.items()))
    try:
        made = io.read_provenance(modify_path(chunk))["identity"]
    except (DataError, KeyError):
        return file
    return ancient(file) if made == identity("models", wildcards) else file


def path_of(run, certification):
    """The table of certificates of one row of the summary."""
    return f"{CERTIFICATION}/certificates.parquet".format(
        **run._asdict(), **certification._asdict()
    )


def faults_of(run, certification):
    """The list of a row's models that diverged or predict one class."""
    return path_of(run, certification).replace("certificates.parquet", "faults.parquet")


UNDEFENDED_FILES = {
    run: f"{UNDEFENDED}/predictions.parquet".format(
        **run._asdict() | {"learner": CONFIG.undefended}
    )
    for run in RUNS
}
UNDEFENDED_INPUTS = list(dict.fromkeys(UNDEFENDED_FILES.values()))


def summary_row(run, certification):
    """The axes of a row of the summary, its attack, and which undefended network belongs to it."""
    undefended = None
    if run in UNDEFENDED_FILES:
        undefended = UNDEFENDED_INPUTS.index(UNDEFENDED_FILES[run])
    return (
        run._asdict()
        | certification._asdict()
        | ATTACK_SLICES[run]
        | {"undefended": undefended}
    )


@cache
def code(script):
    """The fingerprint of a rule's script and of the library modules behind it."""
    return fingerprint(SCRIPTS / script)


def data_settings(wildcards):
    """What makes a dataset's arrays."""
    return {"dataset": dataset_slice(wildcards.dataset)}


def poison_settings(wildcards):
    """What makes a poison set."""
    return {"attack": CONFIG.attacks[wildcards.attack]}


def undefended_settings(wildcards):
    """What trains the network without defence."""
    return {
        "learner": learner_slice(wildcards.learner),
        "seed": CONFIG.attacks[wildcards.attack]["seed"],
    }


def sigma_settings(wildcards):
    """What optimises the noise of each input."""
    return {
        "noise": CONFIG.noises[wildcards.noise],
        "learner": learner_slice(wildcards.learner),
        "seed": int(wildcards.seed),
    }


def model_settings(wildcards):
    """What trains an ensemble, whichever of its models."""
    return training_slice(wildcards) | {
        "n_classes": len(OUTLINES[wildcards.dataset].classes),
        "training_data": training_data_slice(wildcards),
    }


def vote_settings(wildcards):
    """What lets an ensemble vote, whichever of its models."""
    return training_slice(wildcards) | {"scores": run_of(wildcards) in SCORED}


def certificate_settings(wildcards):
    """What certifies the votes of a run."""
    attack = ATTACK_SLICES[run_of(wildcards)]
    return {
        "certification": certification_of(wildcards),
        "noise": CONFIG.noise_levels(run_of(wildcards)),
        "defense": wildcards.defense,
        "learner": coverage.outline(CONFIG.learners[wildcards.learner]),
        "attack_norm": attack["attack_norm"] or None,
        "seed": int(wildcards.seed),
    }


def audit_settings(wildcards):
    """What puts the certificates of a run on trial."""
    noise = CONFIG.noises[wildcards.noise]
    return training_slice(wildcards) | {
        "certification": certification_of(wildcards),
        "defense": wildcards.defense,
        "attack_norm": ATTACK_SLICES[run_of(wildcards)]["attack_norm"],
        "search": noise if wildcards.defense == "cert_ssb" else None,
        "budget": dict(CONFIG.audit),
    }


def search_settings(wildcards):
    """What tries pairs of noise levels."""
    search = CONFIG.searches[wildcards.search]
    return {
        "search": search,
        "learner": learner_slice(search["learner"]),
        "attack_norm": float(CONFIG.attacks[search["attack"]]["norm"]),
    }


AXES = (*Run._fields, *Certification._fields)
STAGES = (
    {  # the script, settings and axes of a stage, and the stages whose files it reads
        "data": ("make_dataset.py", data_settings, AXES[:1], ()),
        "poison": ("make_poison.py", poison_settings, AXES[:2], ("data",)),
        "undefended": (
            "train_undefended.py",
            undefended_settings,
            ("dataset", "attack", "learner"),
            ("data", "poison"),
        ),
        "sigma": ("optimise_sigma.py", sigma_settings, Run._fields, ("data", "poison")),
        "models": ("train_models.py", model_settings, Run._fields, ()),
        "votes": (
            "collect_votes.py",
            vote_settings,
            Run._fields,
            ("data", "poison", "sigma", "models"),
        ),
        "certificates": (
            "certify_votes.py",
            certificate_settings,
            AXES,
            ("data", "poison", "sigma", "votes"),
        ),
        "audit": (
            "audit_certificates.py",
            audit_settings,
            AXES,
            ("data", "poison", "sigma", "certificates"),
        ),
        "external": ("certify_external.py", external_slice, AXES, ()),
    }
)


def inputs_of(stage, wildcards):
    """The identities that the files a stage reads must have."""
    return {
        name: identity(name, wildcards)
        for name in STAGES[stage][3]
        if name != "sigma" or wildcards.defense == "cert_ssb"
    }


def identity(stage, wildcards):
    """The identity of what a stage makes: of its settings, its code and all that is before it."""
    return identity_at(
        stage, tuple(str(getattr(wildcards, axis)) for axis in STAGES[stage][2])
    )


@cache
def identity_at(stage, place):
    """The same, by the values of a stage's axes."""
    script, settings, axes, _ = STAGES[stage]
    wildcards = SimpleNamespace(**dict(zip(axes, place)))
    return seals.identity(
        settings(wildcards), code(script), inputs_of(stage, wildcards)
    )


def summary_inputs():
    """The identities of all certificates, and of the undefended networks' predictions."""
    certificates = [
        identity(
            "external" if run in CONFIG.external else "certificates",
            SimpleNamespace(**run._asdict(), **certification._asdict()),
        )
        for run, certification in CONFIG.rows
    ]
    first = {file: run for run, file in reversed(UNDEFENDED_FILES.items())}
    undefended = [
        SimpleNamespace(**first[file]._asdict() | {"learner": CONFIG.undefended})
        for file in UNDEFENDED_INPUTS
    ]
    return {
        "certificates": certificates,
        "undefended": [identity("undefended", network) for network in undefended],
    }


def search_inputs(wildcards):
    """The identities of the files that a search for noise reads."""
    search = SimpleNamespace(**CONFIG.searches[wildcards.search])
    return {stage: identity(stage, search) for stage in ("data", "poison")}


def search_identity(wildcards):
    """The identity of the table that a search makes."""
    return seals.identity(
        search_settings(wildcards), code("search_noise.py"), search_inputs(wildcards)
    )


def page_inputs():
    """The identities of all that the report shows."""
    attacked = [
        SimpleNamespace(dataset=dataset, attack=attack)
        for dataset, attack in ATTACKED_BY
    ]
    return summary_inputs() | {
        "sigma": sigma_identities(),
        "data": [
            identity("data", SimpleNamespace(dataset=dataset)) for dataset in TRAINED_ON
        ],
        "triggered": [identity("poison", place) for place in attacked],
    }


def sigma_identities():
    """The identities of all optimised noise."""
    return [identity("sigma", SimpleNamespace(**run._asdict())) for run in SEARCHED]


def papers(figures):
    """The PDF beside each figure."""
    return [str(Path(figure).with_suffix(".pdf")) for figure in figures]


def existing(path):
    """A file that some other target makes, where it has been made."""
    return [path] if Path(path).exists() else []


def where_to_look():
    """The line that ends a run: the report where it was a target, or else what was."""
    files = []
    for job in sorted(workflow.dag.targetjobs, key=str):
        asked = [file for file in job.output if file in workflow.dag.targetfiles]
        files += map(str, asked or job.output or job.input)
    if "results/report.html" in files:
        files = ["results/report.html"]
    named = ", ".join(str(Path(file).absolute()) for file in files[:3])
    rest = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"Done. Look at {named}{rest}" if files else "Done."


def page_row(run, certification):
    """What the report needs to know of a row: that of the summary, and which noise belongs to it."""
    sigma = SEARCHED.index(run) if run in SEARCHED else None
    return summary_row(run, certification) | {"sigma": sigma}
