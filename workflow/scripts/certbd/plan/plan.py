"""The plan of a configuration: settings and identities of every stage, by the axes of its path."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from certbd.artifacts import seals
from certbd.artifacts.fingerprint import fingerprint
from certbd.certify.claims import is_scored
from certbd.config.axes import OWN, Certification, Run
from certbd.config.config import Config, read_config
from certbd.config.threats import Threat
from certbd.plan import files, paths, refusals, threats, used
from certbd.plan.places import axis_of, run_of
from certbd.plan.settings import Settings, StageSettings
from certbd.plan.stages import STAGES

OfWildcards = Callable[[Any], Settings]


class Plan(StageSettings):
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
        self.sides = refusals.by_folder(map(config.training_side, self.runs))
        self.scored = {run for run, cert in rows if is_scored(cert.bound)}
        named = {run.dataset for run in self.runs} | {search["dataset"] for search in searches}
        named |= {search["trusted"] for search in searches if "trusted" in search}
        self.outlines = {name: files.outline(config, name) for name in sorted(named)}
        self.contents = {
            name: files.content(config, name, known) for name, known in self.outlines.items()
        }
        found = {
            name: files.new_content(config, name)
            for name in self.outlines
            if "predict" in config.datasets[name]
        }
        self.new = {name: content for name, (content, _) in found.items()}
        self.n_new = {name: count for name, (_, count) in found.items()}
        self.known = {
            name: files.known_poisoned(config, name)
            for name in self.outlines
            if "poisoned" in config.datasets[name]
        }
        self.attacks = {run: self._attack(run) for run, _ in rows}
        self.threats = {row: self._threat(*row) for row in rows}
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
        self.code = cache(lambda script, *used: fingerprint(scripts / script, used))
        self._identity_at = cache(self._identity)

    @classmethod
    def read(cls, raw: Mapping[str, Any], *, scripts: Path) -> "Plan":
        """Read a configuration as Snakemake merged it.

        Raises
        ------
        ConfigError, PlanError
            If it cannot be run.
        """
        return cls(read_config(raw), scripts)

    def params(self, stage: str) -> dict[str, Callable[[Any], Any]]:
        """Return the parameters of a stage's rule, functions of wildcards.

        That is its settings, the identities of what it reads, the entries that it uses and the
        fingerprint of all its code.
        """
        return {
            "settings": self.settings(stage),
            "inputs": self.inputs(stage),
            "entries": lambda wildcards: list(self.entries(stage, wildcards)),
            "code": lambda wildcards: self.code_of(stage, wildcards),
        }

    def entries(self, stage: str, wildcards: Any) -> tuple[str, ...]:
        """Return the names of the modules of the entries that a job uses."""
        return used.entries_of(self.config, stage, self._where(stage, wildcards))

    def code_of(self, stage: str, wildcards: Any) -> str:
        """Return the fingerprint of a job's code."""
        return self.code(STAGES[stage].script, *self.entries(stage, wildcards))

    def _where(self, stage: str, wildcards: Any) -> Any:
        """Return the axes behind names that stand for several: a search, a noise."""
        if stage == "search":
            return SimpleNamespace(**self.searched_set(wildcards))
        if stage == "reach":
            return SimpleNamespace(**self.config.reach)
        if stage == "external" or "defense" not in STAGES[stage].axes:
            return wildcards
        axes = {axis: axis_of(wildcards, axis) for axis in STAGES[stage].axes}
        return SimpleNamespace(**axes, training=self.config.training_side(run_of(wildcards)).folder)

    def trained(self, wildcards: Any, path: str) -> str:
        """Return a path below the models of a run, or of models; other axes stay open."""
        return path.replace("{training}", self._side(wildcards).folder)

    def sigma_of(self, run: Run) -> str:
        """Return the file of a run with the noise that was optimised for each input."""
        return self.trained(run, paths.SIGMA).format(**run._asdict())

    def settings(self, stage: str) -> OfWildcards:
        """Return the function of wildcards that gives a stage's settings."""
        made: OfWildcards = getattr(self, f"_{stage}_settings")
        return made

    def inputs(self, stage: str) -> OfWildcards:
        """Return the function of wildcards that gives the identities a stage's files must have."""
        return lambda wildcards: self.inputs_of(stage, wildcards)

    def inputs_of(self, stage: str, wildcards: Any) -> dict[str, str]:
        """Return the identities that the files a stage reads must have."""
        where = self._where(stage, wildcards)
        return {
            name: self.identity(name, where)
            for name in STAGES[stage].reads
            if name != "sigma" or self.optimises(where)
        } | self._trusted(stage, wildcards)

    def trusted_file(self, wildcards: Any) -> str | list[str]:
        """Return the trusted training set that a search looks at; nothing without one."""
        place = self.trusted_set(wildcards)
        return [] if place is None else f"{paths.ATTACK}/poisoned.npz".format(**place)

    def _trusted(self, stage: str, wildcards: Any) -> dict[str, str]:
        """Return the identity of the training set that a search looks at instead, if it does."""
        place = self.trusted_set(wildcards) if stage == "search" else None
        return (
            {} if place is None else {"trusted": self.identity("poison", SimpleNamespace(**place))}
        )

    def optimises(self, where: Any) -> bool:
        """Return whether there is ``sigma.parquet``: noise that is optimised for each input.

        `where` is a run, or has the axis ``training``.
        """
        if hasattr(where, "training"):
            return bool(self.sides[where.training].optimises)
        return bool(self.config.training_side(where).optimises)

    def identity(self, stage: str, wildcards: Any) -> str:
        """Return the identity of what a stage makes: of settings, code and all before it."""
        place = tuple(str(axis_of(wildcards, axis)) for axis in STAGES[stage].axes)
        return self._identity_at(stage, place)

    def _identity(self, stage: str, place: tuple[str, ...]) -> str:
        wildcards = SimpleNamespace(**dict(zip(STAGES[stage].axes, place, strict=True)))
        made, code = self.settings(stage)(wildcards), self.code_of(stage, wildcards)
        return seals.identity(made, code, self.inputs_of(stage, wildcards))

    def _refuse(self) -> None:
        config = self.config
        for name, search in config.searches.items():
            if "trusted" in search:
                refusals.check_trusted(config, name, self.outlines)
        for run in self.runs:
            refusals.check_draw(config, run, self.outlines[run.dataset])
            refusals.check_selection(config, run, self.outlines[run.dataset])
            refusals.check_new(config, run)
        for run, certification in config.rows:
            if run not in config.external:
                known, threat = self.outlines[run.dataset], self.threats[run, certification]
                refusals.check_counted(config, run, threat, known)
                refusals.check_promise(config, run, certification, known)

    def _attack(self, run: Run) -> Settings:
        """Return an attack's norm, number of poisoned inputs and target, as certificates count."""
        if run in self.config.external:
            given = self.config.external[run].get("attack", {})
            keys = {"attack_norm": "norm", "n_poisoned": "n_poisoned", "target": "target"}
            return {name: given.get(key) for name, key in keys.items()}
        return refusals.attack_settings(
            self.config, run.dataset, run.attack, self.outlines[run.dataset]
        )

    def _threat(self, run: Run, certification: Certification) -> Threat | None:
        """Return what the certificates of a row must cover."""
        if run in self.config.external:
            return threats.of_votes_from_elsewhere(
                self.config, run, certification.threat, self.attacks[run]
            )
        known = self.outlines[run.dataset]
        if certification.threat == OWN:
            return threats.of_attack(self.config, run, self.attacks[run], known)
        threat = threats.of_entry(self.config, run.dataset, certification.threat, known)
        threats.check_clipped(self.config, run, certification.threat, threat)
        return threat
