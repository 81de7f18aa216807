"""The plan of a configuration: settings and identities of every stage, by the axes of its path.

Wildcards are whatever has the axes as attributes: Snakemake's, or `SimpleNamespace`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from certbd.artifacts import seals
from certbd.artifacts.fingerprint import fingerprint
from certbd.certify import coverage
from certbd.config.axes import SCORE_BOUNDS, Certification, Run
from certbd.config.config import Config, read_config
from certbd.plan import files, refusals
from certbd.plan.stages import STAGES

Settings = dict[str, Any]
OfWildcards = Callable[[Any], Settings]


class Plan:
    """What a valid configuration asks for.

    Reading it looks at labels and names of the data files, and at their checksums.

    Parameters
    ----------
    config : Config
    scripts : Path
        The folder of the stages' scripts.

    Raises
    ------
    PlanError
        If a file is missing, an attack does not fit its dataset, or nothing can be certified.
    """

    def __init__(self, config: Config, scripts: Path) -> None:
        self.config, self.scripts = config, scripts
        rows, searches = config.rows, config.searches.values()
        self.runs = list(dict.fromkeys(run for run, _ in rows if run not in config.external))
        self.scored = {run for run, cert in rows if cert.bound in SCORE_BOUNDS}
        named = {run.dataset for run in self.runs} | {search["dataset"] for search in searches}
        self.outlines = {name: files.outline(config, name) for name in sorted(named)}
        self.contents = {
            name: files.content(config, name, known) for name, known in self.outlines.items()
        }
        self.attacks = {run: self._attack(run) for run, _ in rows}
        self._refuse()
        self.external_files = {
            (run, key): files.external_file(config, run, key)
            for run in config.external
            for key in ("votes", "labels")
        }
        learners = {run.learner for run in self.runs} | {search["learner"] for search in searches}
        self.pretrained = {
            name: files.pretrained_file(config, name)
            for name in sorted(learners | {config.undefended})
            if name in config.learners
        }
        self.learner = cache(self._learner)
        self.code = cache(lambda script: fingerprint(scripts / script))
        self._identity_at = cache(self._identity)

    @classmethod
    def read(cls, raw: Mapping[str, Any], *, schema: Path, scripts: Path) -> "Plan":
        """Read a configuration as Snakemake merged it.

        Raises
        ------
        ConfigError, PlanError
            If it cannot be run.
        """
        return cls(read_config(raw, schema), scripts)

    def settings(self, stage: str) -> OfWildcards:
        """Return the function of wildcards that gives a stage's settings."""
        made: OfWildcards = getattr(self, f"_{stage}_settings")
        return made

    def inputs(self, stage: str) -> OfWildcards:
        """Return the function of wildcards that gives the identities a stage's files must have."""
        return lambda wildcards: self.inputs_of(stage, wildcards)

    def inputs_of(self, stage: str, wildcards: Any) -> dict[str, str]:
        """Return the identities that the files a stage reads must have."""
        if stage == "search":
            wildcards = SimpleNamespace(**self.config.searches[wildcards.search])
        return {
            name: self.identity(name, wildcards)
            for name in STAGES[stage].reads
            if name != "sigma" or wildcards.defense == "cert_ssb"
        }

    def identity(self, stage: str, wildcards: Any) -> str:
        """Return the identity of what a stage makes: of settings, code and all before it."""
        place = tuple(str(getattr(wildcards, axis)) for axis in STAGES[stage].axes)
        return self._identity_at(stage, place)

    def _identity(self, stage: str, place: tuple[str, ...]) -> str:
        wildcards = SimpleNamespace(**dict(zip(STAGES[stage].axes, place, strict=True)))
        made, code = self.settings(stage)(wildcards), self.code(STAGES[stage].script)
        return seals.identity(made, code, self.inputs_of(stage, wildcards))

    def _refuse(self) -> None:
        config = self.config
        for run in self.runs:
            refusals.check_draw(config, run, self.outlines[run.dataset])
            refusals.check_selection(config, run, self.outlines[run.dataset])
        for run, certification in config.rows:
            if run.defense == "discrete":
                refusals.check_discrete(config, run, certification, self.outlines[run.dataset])

    def _attack(self, run: Run) -> Settings:
        """Return an attack's norm, number of poisoned inputs and target, as certificates count."""
        if run in self.config.external:
            given = self.config.external[run].get("attack", {})
            keys = {"attack_norm": "norm", "n_poisoned": "n_poisoned", "target": "target"}
            return {name: given.get(key) for name, key in keys.items()}
        return refusals.attack_settings(self.config, run, self.outlines[run.dataset])

    def dataset(self, name: str) -> Settings:
        """Return what a dataset is made from: classes, other settings and content of its files."""
        known = {"classes": self.outlines[name].classes, "content": self.contents[name]}
        entry = dict(self.config.datasets[name]) | known
        return {key: entry[key] for key in sorted(entry) if key not in ("path", "download")}

    def _learner(self, name: str) -> Settings:
        """Return what trains a learner: its entry, and the content of its pretrained weights."""
        entry = dict(self.config.learners[name])
        if file := self.pretrained.get(name):
            parent, _, key = files.weights_key(self.config, name).rpartition(".")
            held = {key: files.checksum(Path(file))}
            entry |= {parent: entry[parent] | held} if parent else held
        return entry

    def _training(self, wildcards: Any) -> Settings:
        """Return what trains a run: noise (None where each input has its own), learner, seed."""
        run = run_of(wildcards)
        noise = self.config.noise_levels(run)
        return {"noise": noise, "learner": self.learner(run.learner), "seed": run.seed}

    def _training_data(self, wildcards: Any) -> Settings:
        """Return what makes a training set and the noise on it; test inputs have no part in it."""
        dataset = self.dataset(wildcards.dataset)
        subset = dataset.pop("subset", {})
        if "train" in subset:
            dataset["subset"] = {key: subset[key] for key in ("train", "seed")}
        made: Settings = {
            "dataset": dataset,
            "attack": self.config.attacks[wildcards.attack],
            "code": [self.code("make_dataset.py"), self.code("make_poison.py")],
        }
        if wildcards.defense == "cert_ssb":
            made["noise"] = self.config.noises[wildcards.noise]
            made["code"].append(self.code("optimise_sigma.py"))
        return made

    def _data_settings(self, wildcards: Any) -> Settings:
        return {"dataset": self.dataset(wildcards.dataset)}

    def _poison_settings(self, wildcards: Any) -> Settings:
        return {"attack": self.config.attacks[wildcards.attack]}

    def _undefended_settings(self, wildcards: Any) -> Settings:
        seed = self.config.attacks[wildcards.attack]["seed"]
        return {"learner": self.learner(wildcards.learner), "seed": seed}

    def _sigma_settings(self, wildcards: Any) -> Settings:
        noise, learner = self.config.noises[wildcards.noise], self.learner(wildcards.learner)
        return {"noise": noise, "learner": learner, "seed": int(wildcards.seed)}

    def _models_settings(self, wildcards: Any) -> Settings:
        """Return what trains an ensemble, whichever of its models."""
        return self._training(wildcards) | {
            "n_classes": len(self.outlines[wildcards.dataset].classes),
            "training_data": self._training_data(wildcards),
        }

    def _votes_settings(self, wildcards: Any) -> Settings:
        """Return what lets an ensemble vote, whichever of its models."""
        return self._training(wildcards) | {"scores": run_of(wildcards) in self.scored}

    def _certificates_settings(self, wildcards: Any) -> Settings:
        run = run_of(wildcards)
        return {
            "certification": certification_of(wildcards)._asdict(),
            "noise": self.config.noise_levels(run),
            "defense": run.defense,
            "learner": coverage.outline(self.config.learners[run.learner]),
            "attack_norm": self.attacks[run]["attack_norm"] or None,
            "seed": run.seed,
        }

    def _audit_settings(self, wildcards: Any) -> Settings:
        run, noise = run_of(wildcards), self.config.noises[wildcards.noise]
        return self._training(wildcards) | {
            "certification": certification_of(wildcards)._asdict(),
            "defense": run.defense,
            "attack_norm": self.attacks[run]["attack_norm"],
            "search": noise if run.defense == "cert_ssb" else None,
            "budget": dict(self.config.audit),
        }

    def _external_settings(self, wildcards: Any) -> Settings:
        run = external_run_of(wildcards)
        entry = self.config.external[run]
        return {
            "certification": certification_of(wildcards)._asdict(),
            "n_classes": entry["n_classes"],
            "sigma_test": entry.get("sigma_test"),
            "sigma_train": entry.get("sigma_train"),
            "attack_norm": self.attacks[run]["attack_norm"],
            "n_poisoned": self.attacks[run]["n_poisoned"],
            "votes": files.checksum(self.external_files[run, "votes"]),
            "labels": files.checksum(self.external_files[run, "labels"]),
        }

    def _search_settings(self, wildcards: Any) -> Settings:
        search = self.config.searches[wildcards.search]
        return {
            "search": search,
            "learner": self.learner(search["learner"]),
            "attack_norm": float(self.config.attacks[search["attack"]]["norm"]),
        }


def run_of(wildcards: Any) -> Run:
    """Return the run whose folder these wildcards name."""
    axes = {name: getattr(wildcards, name) for name in Run._fields}
    return Run(**axes | {"seed": int(wildcards.seed)})


def external_run_of(wildcards: Any) -> Run:
    """Return the run of votes from elsewhere whose folder these wildcards name."""
    axes = {name: getattr(wildcards, name) for name in Run._fields if name != "defense"}
    return Run(**axes | {"defense": "external", "seed": int(wildcards.seed)})


def certification_of(wildcards: Any) -> Certification:
    """Return the certification whose folder these wildcards name."""
    alpha, size = float(wildcards.alpha), int(wildcards.n_models)
    return Certification(size, wildcards.bound, alpha, wildcards.multiplicity)
