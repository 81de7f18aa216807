"""The settings of every stage: of the configuration, just the keys that it uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from certbd.config import defences
from certbd.config.axes import NO_ATTACK, OWN, Certification, Run
from certbd.config.config import Config
from certbd.config.threats import Threat
from certbd.data import datasets
from certbd.data.dataset import Outline
from certbd.learners import learner as learners
from certbd.plan import files, threats
from certbd.plan.places import certification_of, external_run_of, models_of_chunk, run_of

Settings = dict[str, Any]
EXTERNAL_ROWS = ("n_rows", "n_drawn", "sigma_statistic", "statistic_norm")
NO_SETTINGS = ("path", "download", "predict", "poisoned")
"""Keys of a dataset on which nothing that is made from it depends."""


class StageSettings:
    """Methods that return the settings of stages, functions of the wildcards of their paths."""

    config: Config
    sides: Mapping[str, Any]
    """Training sides by the names of their folders."""
    scored: set[Run]
    """Runs whose votes come with scores."""
    outlines: Mapping[str, Outline]
    contents: Mapping[str, str]
    """Checksums of the files of datasets."""
    attacks: Mapping[Run, Settings]
    threats: Mapping[tuple[Run, Certification], Threat | None]
    """What certificates of each row must cover; None where nothing is asked."""
    external_files: Mapping[tuple[Run, str], Path | None]
    pretrained: Mapping[str, str]
    new: Mapping[str, str]
    """Checksums of the files of new inputs, of datasets that have any."""
    learner: Callable[[str], Settings]
    code_of: Callable[[str, Any], str]
    optimises: Callable[[Any], bool]

    def dataset(self, name: str) -> Settings:
        """Return what a dataset is made from: classes, other settings and content of its files."""
        entry = dict(self.config.datasets[name]) | {"content": self.contents[name]}
        if "classes" in type(datasets.read(self.config.datasets[name])).model_fields:
            entry["classes"] = self.outlines[name].classes
        return {key: entry[key] for key in sorted(entry) if key not in NO_SETTINGS}

    def _learner(self, name: str) -> Settings:
        """Return what trains a learner: its entry, and the content of its pretrained weights."""
        entry = dict(self.config.learners[name])
        if file := self.pretrained.get(name):
            parent, _, key = files.weights_key(self.config, name).rpartition(".")
            held = {key: files.checksum(Path(file))}
            entry |= {parent: entry[parent] | held} if parent else held
        return entry

    def _training_data(self, wildcards: Any) -> Settings:
        """Return what makes a training set and the noise on it; test inputs have no part in it."""
        dataset = self.dataset(wildcards.dataset)
        subset = dataset.pop("subset", {})
        if "train" in subset:
            dataset["subset"] = {key: subset[key] for key in ("train", "seed")}
        made: Settings = {
            "dataset": dataset,
            "attack": self.config.attacks[wildcards.attack],
            "code": [self.code_of(stage, wildcards) for stage in ("data", "poison")],
        }
        if self.optimises(wildcards):
            made["code"].append(self.code_of("sigma", wildcards))
        return made

    def _data_settings(self, wildcards: Any) -> Settings:
        return {"dataset": self.dataset(wildcards.dataset)}

    def _new_settings(self, wildcards: Any) -> Settings:
        made = self.dataset(wildcards.dataset)
        return {"dataset": made | {"new": self.new[wildcards.dataset]}}

    def _new_votes_settings(self, wildcards: Any) -> Settings:
        n_classes = len(self.outlines[wildcards.dataset].classes)
        return self._votes_settings(wildcards) | {"n_classes": n_classes}

    def _new_certificates_settings(self, wildcards: Any) -> Settings:
        """Return those of certificates; how many coordinates an attack moves is not known here."""
        made = self._certificates_settings(wildcards)
        threat = made["threat"]
        counted = threat is not None and threat["trigger"] == "l0"
        return made | {"threat": None if counted else threat}

    def _poison_settings(self, wildcards: Any) -> Settings:
        return {"attack": self.config.attacks[wildcards.attack]}

    def _undefended_settings(self, wildcards: Any) -> Settings:
        seed = self.config.attacks[wildcards.attack]["seed"]
        return {"learner": self.learner(wildcards.learner), "seed": seed}

    def _sigma_settings(self, wildcards: Any) -> Settings:
        return self._trained(wildcards)

    def _trained(self, wildcards: Any) -> Settings:
        """Return what trains models: training side, learner, seed."""
        return {
            "training": self._side(wildcards).settings(),
            "learner": self.learner(wildcards.learner),
            "seed": int(wildcards.seed),
        }

    def _side(self, wildcards: Any) -> Any:
        if hasattr(wildcards, "training"):
            return self.sides[wildcards.training]
        return self.config.training_side(run_of(wildcards))

    def _models_settings(self, wildcards: Any) -> Settings:
        """Return what trains an ensemble; of its models only those of a job's chunk."""
        return self._trained(wildcards) | {
            "n_classes": len(self.outlines[wildcards.dataset].classes),
            "training_data": self._training_data(wildcards),
            **models_of_chunk(wildcards),
        }

    def _votes_settings(self, wildcards: Any) -> Settings:
        """Return what lets an ensemble vote; of its models only those of a job's chunk."""
        run = run_of(wildcards)
        return self._trained(wildcards) | {
            "testing": self.config.test_side(run).settings(),
            "scores": run in self.scored,
            **models_of_chunk(wildcards),
        }

    def _certificates_settings(self, wildcards: Any) -> Settings:
        run, certification = run_of(wildcards), certification_of(wildcards)
        learner = learners.read(self.config.learners[wildcards.learner])
        defence, n_classes = defences.read(run.defense), len(self.outlines[run.dataset].classes)
        return {
            "certification": certification.settings(),
            "training": self.config.training_side(run).settings(),
            "testing": self.config.test_side(run).settings(),
            "learner": {
                "by_class_means": learner.by_class_means,
                "sums_bound": learner.sums_bound(n_classes),
            },
            "paper": {"published": defence.publishes, "stored": defence.stores},
            "threat": self._threat_settings(run, certification),
            "seed": run.seed,
        }

    def _threat_settings(self, run: Run, certification: Certification) -> Settings | None:
        """Return what must be covered, whether an attack poses it itself, and whether it can be."""
        threat = self.threats[run, certification]
        if threat is None:
            return None
        defence, test = defences.read(run.defense), self.config.test_side(run)
        return threat._asdict() | {
            "simulated": certification.threat == OWN,
            "covered": defence.covers(test, threat),
        }

    def _audit_settings(self, wildcards: Any) -> Settings:
        run, certification = run_of(wildcards), certification_of(wildcards)
        return self._trained(wildcards) | {
            "testing": self.config.test_side(run).settings(),
            "certification": certification.settings(),
            "attack_norm": self.attacks[run]["attack_norm"] or 0.0,
            "threat": self._threat_settings(run, certification),
            "budget": dict(self.config.audit),
        }

    def _external_settings(self, wildcards: Any) -> Settings:
        run = external_run_of(wildcards)
        entry, certification = self.config.external[run], certification_of(wildcards)
        threat = self.threats[run, certification]
        return {
            "certification": certification.settings(),
            "n_classes": entry["n_classes"],
            "sigma_test": entry.get("sigma_test"),
            "sigma_train": entry.get("sigma_train"),
            "rows": {key: entry[key] for key in EXTERNAL_ROWS if key in entry},
            "threat": threat and threat._asdict(),
            "votes": files.checksum(self.external_files[run, "votes"]),
            "labels": files.checksum(self.external_files[run, "labels"]),
        }

    def _search_settings(self, wildcards: Any) -> Settings:
        asked = self.config.searches[wildcards.search]
        return {
            "search": asked,
            "learner": self.learner(asked["learner"]),
            "threat": self.searched_threat(wildcards)._asdict() | {"simulated": "attack" in asked},
        }

    def note(self, run: Run) -> str:
        """Return what must be said beside every prediction of a run; nothing if all is well.

        It is no setting: no certificate depends on it.
        """
        values, defence = self.config.noises[run.noise], defences.read(run.defense)
        for name, search in self.config.searches.items():
            same = (search["dataset"], search["defense"]) == (run.dataset, run.defense)
            if not same or "trusted" in search:
                continue
            keys = [defence.searched, *(["sigma_test"] if defence.has_levels else [])]
            if all(values[key] in search[key] for key in keys if key is not None):
                return (
                    f"noise {run.noise} is among the values of search {name}, which looked at the "
                    "training set under attack: certificates hold only if it was not chosen by that"
                )
        return ""

    def searched_threat(self, wildcards: Any) -> Threat:
        """Return the threat that a search tries to cover."""
        search = self.config.searches[wildcards.search]
        return threats.of_search(self.config, search, self.outlines[search["dataset"]])

    def searched_set(self, wildcards: Any) -> Settings:
        """Return the axes of the training set that a search looks at."""
        search = self.config.searches[wildcards.search]
        return dict(search) | {"attack": search.get("attack", NO_ATTACK)}

    def trusted_set(self, wildcards: Any) -> Settings | None:
        """Return the axes of the training set that a search looks at instead; None without one."""
        search = self.config.searches[wildcards.search]
        return {"dataset": search["trusted"], "attack": NO_ATTACK} if "trusted" in search else None

    def _reach_settings(self, _: Any) -> Settings:
        return dict(self.config.reach)
