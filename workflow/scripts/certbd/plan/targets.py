"""What the targets of a plan need: rows of the tables, figures, and the identities behind them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from certbd.artifacts import products
from certbd.artifacts.io import DataError
from certbd.attacks import attack as attacks
from certbd.config import defences, entries
from certbd.config.axes import NO_NETWORK, OWN, Certification, Run
from certbd.learners import learner as learners
from certbd.plan import paths
from certbd.plan.files import PlanError
from certbd.plan.plan import Plan

Row = tuple[Run, Certification]
THREAT_COLUMNS = ("threat", "threat_rows", "threat_how", "threat_trigger", "threat_size")
EXPERIMENT = (*Run._fields, "given_threat")
"""What tells experiments of a table apart, whatever their N, bound and alpha."""
MOST_SHOWN = 3
"""Files that the end of a run names."""


class Targets:
    """Lists over all experiments of a plan, each in the order of the configuration."""

    def __init__(self, plan: Plan) -> None:
        self._plan, config = plan, plan.config
        self.rows = list(config.rows)
        self.own_rows = [row for row in self.rows if row[0] not in config.external]
        self.searched = [run for run in plan.runs if plan.optimises(run)]
        self.datasets = list(dict.fromkeys(run.dataset for run in plan.runs))
        self.attacks = list(dict.fromkeys((run.dataset, run.attack) for run in plan.runs))
        attacked = [name for name, attack in self.attacks if self._is_simulated(attack)]
        self.attacked = list(dict.fromkeys(attacked))
        trains = config.undefended != NO_NETWORK
        self.undefended_of = {
            run: paths.undefended_of(run, config.undefended) for run in plan.runs if trains
        }
        self.undefended = list(dict.fromkeys(self.undefended_of.values()))
        self.curves = list(dict.fromkeys([*self._external_curves(), *self._own_curves()]))

    def _is_simulated(self, attack: str) -> bool:
        return attacks.read(self._plan.config.attacks[attack]).simulated

    def _external_curves(self) -> list[tuple[str, str]]:
        found = []
        for run, certification in self.rows:
            if (entry := self._plan.config.external.get(run)) is None:
                continue
            threat = self._plan.threats[run, certification]
            kinds = ["rows"] if "n_rows" in entry else ["paper"]
            kinds += ["joint"] if "sigma_train" in entry else []
            trained = "n_rows" in entry or "sigma_train" in entry
            if trained and threat is not None and entry.get("sigma_test") != 0:
                kinds.append("trigger")
            known = ("trigger", "joint", "paper", "rows")
            found += [(run.dataset, kind) for kind in known if kind in kinds]
        return found

    def _own_curves(self) -> list[tuple[str, str]]:
        """Return certificates with curves; a trigger's only where votes are noisy."""
        return [
            (run.dataset, certificate)
            for run in self._plan.runs
            for certificate in defences.read(run.defense).curves
            if certificate != "trigger" or self._plan.config.test_side(run).is_noisy
        ]

    @property
    def new(self) -> list[str]:
        """Predictions of new inputs, of every row whose dataset has any."""
        rows = [row for row in self.own_rows if row[0].dataset in self._plan.new]
        return [file for row in rows for file in paths.predictions_of_new(*row)]

    def looks(self) -> dict[str, Any]:
        """Return how the defences of all rows are drawn (`report.looks.Looks`)."""
        colours: dict[str, dict[str, str]] = {}
        for run, certification in self.rows:
            bound = entries.module(entries.BOUNDS, certification.bound)
            external = run in self._plan.config.external
            colour = bound.COLOUR if external else defences.read(run.defense).colour
            colours.setdefault(run.defense, {})[certification.bound] = colour
        return {"colours": colours, "frozen": sorted({run.defense for run in self.searched})}

    def audit_colours(self) -> dict[str, str]:
        """Return the colour of each defence that is audited."""
        return {run.defense: defences.read(run.defense).colour for run, _ in self.audited}

    @property
    def curve_figures(self) -> list[str]:
        """Figures of certified accuracy, one for each dataset and certificate."""
        places = [f"{dataset}/certified_accuracy_{kind}" for dataset, kind in self.curves]
        return [f"results/figures/{place}.svg" for place in places]

    @property
    def sigma_figures(self) -> list[str]:
        """Figures of optimised noise, one for each dataset that has any."""
        names = dict.fromkeys(run.dataset for run in self.searched)
        return [f"results/figures/{name}/sigma_distribution.svg" for name in names]

    @property
    def success_figures(self) -> list[str]:
        """Figures of attack success, one for each dataset with a simulated attack."""
        return [f"results/figures/{name}/attack_success.svg" for name in self.attacked]

    @property
    def figures(self) -> list[str]:
        """Every figure of a run, and its PDF."""
        figures = self.curve_figures + self.sigma_figures + self.success_figures
        return figures + paths.papers(figures)

    @property
    def audited(self) -> list[Row]:
        """Rows that the audit puts on trial.

        Not those of votes from elsewhere, of encoders, or of a training side that nobody has said
        how to try.
        """
        return [row for row in self.own_rows if self._is_audited(row[0])]

    def _is_audited(self, run: Run) -> bool:
        learner = learners.read(self._plan.config.learners[run.learner])
        encoded = learner.feature_map is not None and not learner.feature_map.lipschitz
        side = defences.read(run.defense).training
        return not encoded and entries.has(entries.TRAINING, side, "audit")

    def untried(self, run: Run, certification: Certification) -> list[str]:
        """Name the certificates of a row whose training sets the audit has no search for."""
        threat = self._plan.threats[run, certification]
        if threat is not None and threat.how in ("added", "removed"):
            return [f"rows_{threat.how}"]
        learner = learners.read(self._plan.config.learners[run.learner])
        side = defences.read(run.defense).side
        return ["joint"] if side.has_sigma and learner.searched_by is None else []

    def searched_label(self, search: str) -> str:
        """Return what a search tries on the training side, for an axis."""
        label: str = defences.read(self._plan.config.searches[search]["defense"]).side.parameter
        return label

    def summary_row(self, run: Run, certification: Certification) -> dict[str, Any]:
        """Return the axes of a row, its attack, and which undefended network belongs to it."""
        file = self.undefended_of.get(run)
        index = None if file is None else self.undefended.index(file)
        axes = run._asdict() | certification._asdict()
        own, external = run not in self._plan.config.external, self._plan.config.external
        covers = defences.read(run.defense).side.covers_labels if own else "n_rows" in external[run]
        facts: dict[str, Any] = {"undefended": index, "covers_labels": covers, "trained": own}
        facts["known_test"] = []
        known = self._plan.known.get(run.dataset) if own else None
        if known is not None and not self._is_simulated(run.attack):
            facts |= {"n_poisoned": known.n_training, "known_test": known.test}
        asked = self._threat_columns(run, certification)
        return axes | self._plan.attacks[run] | facts | asked

    def _threat_columns(self, run: Run, certification: Certification) -> dict[str, Any]:
        """Return the threat of a row: its name, and the columns of the summary."""
        threat = self._plan.threats[run, certification]
        named = {"given_threat": certification.threat}
        if threat is None:
            return named | dict.fromkeys(THREAT_COLUMNS)
        name = run.attack if certification.threat == OWN else certification.threat
        values = (name, threat.rows, threat.how, threat.trigger, threat.size or None)
        return named | dict(zip(THREAT_COLUMNS, values, strict=True))

    def page_row(self, run: Run, certification: Certification) -> dict[str, Any]:
        """Return a row of the summary with which optimised noise belongs to it, for the report."""
        sigma = self.searched.index(run) if run in self.searched else None
        note = "" if run in self._plan.config.external else self._plan.note(run)
        return self.summary_row(run, certification) | {"sigma": sigma, "note": note}

    def identities(self, stage: str, rows: list[Row]) -> list[str]:
        """Return the identities of what a stage made of rows; external where they are."""
        external = self._plan.config.external
        return [
            self._plan.identity(
                "external" if run in external else stage,
                SimpleNamespace(**run._asdict(), **certification._asdict()),
            )
            for run, certification in rows
        ]

    def summary_inputs(self) -> dict[str, list[str]]:
        """Return the identities of all certificates, and of undefended networks' predictions."""
        first = {file: run for run, file in reversed(self.undefended_of.items())}
        learner = {"learner": self._plan.config.undefended}
        networks = [SimpleNamespace(**first[file]._asdict() | learner) for file in self.undefended]
        return {
            "certificates": self.identities("certificates", self.rows),
            "undefended": [self._plan.identity("undefended", network) for network in networks],
        }

    def sigma_identities(self) -> list[str]:
        """Return the identities of all optimised noise."""
        sides = [self._plan.config.training_side(run).folder for run in self.searched]
        pairs = zip(self.searched, sides, strict=True)
        places = [SimpleNamespace(**run._asdict(), training=side) for run, side in pairs]
        return [self._plan.identity("sigma", place) for place in places]

    def page_inputs(self) -> dict[str, list[str]]:
        """Return the identities of all that the report shows."""
        data = [SimpleNamespace(dataset=name) for name in self.datasets]
        attacked = [SimpleNamespace(dataset=name, attack=attack) for name, attack in self.attacks]
        return self.summary_inputs() | {
            "sigma": self.sigma_identities(),
            "data": [self._plan.identity("data", place) for place in data],
            "triggered": [self._plan.identity("poison", place) for place in attacked],
        }


def check_tables(sums: Path, targets: Targets) -> None:
    """Refuse to replace tables that hold experiments which this configuration lacks.

    Parameters
    ----------
    sums : Path
        The provenance of the tables that are there.

    Raises
    ------
    PlanError
        Naming them, and the ways out. Tables that cannot be read are left to the job.
    """
    try:
        held = products.read_sums(sums)["settings"]["rows"] if sums.exists() else []
    except (DataError, KeyError):
        return
    there = {tuple(row.get(axis, OWN) for axis in EXPERIMENT): row for row in held}
    rows = [targets.summary_row(*row) for row in targets.rows]
    own = {tuple(row[axis] for axis in EXPERIMENT) for row in rows}
    if lost := [axes for axes in there if axes not in own]:
        named = "; ".join(
            "/".join(str(part) for part in axes if part != OWN) for axes in lost[:MOST_SHOWN]
        )
        rest = len(lost) - MOST_SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        raise PlanError(
            f"{sums.parent} has tables of {len(lost)} experiments that this configuration lacks: "
            f"{named}{more}. This run would replace them. Allowed: --directory OTHER, a folder of "
            "its own for this project, or --config replace_tables=true, which replaces the tables "
            "and removes figures that they do not draw"
        )


def where_to_look(files: list[str]) -> str:
    """Return the line that ends a run: its page where that was a target, or else what was."""
    if {"results/report.html", "results/audit.shown"} & set(files):  # both are the page
        files = ["results/report.html"]
    named = ", ".join(str(Path(file).absolute()) for file in files[:MOST_SHOWN])
    rest = f" and {len(files) - MOST_SHOWN} more" if len(files) > MOST_SHOWN else ""
    return f"Done. Look at {named}{rest}" if files else "Done."
