"""What cannot be run, seen from the labels of datasets and before any job."""

from typing import Any

from certbd.artifacts.io import DataError
from certbd.attacks.attack import Backdoor, read
from certbd.attacks.poison import count_poisoned
from certbd.certify import guarantees
from certbd.config.axes import ROWS, Certification, Run
from certbd.config.config import Config
from certbd.data import datasets, domains
from certbd.data.dataset import Outline
from certbd.plan.files import PlanError


def attack_settings(config: Config, run: Run, known: Outline) -> dict[str, Any]:
    """Return an attack's norm, number of poisoned inputs and target; refuse one that does not fit.

    `known` outlines the run's dataset.
    """
    attack = read(config.attacks[run.attack])
    if not isinstance(attack, Backdoor):
        return {"attack_norm": 0.0, "n_poisoned": 0, "target": None}
    try:
        attack.check_fit(known.has_images)
        n_poisoned = count_poisoned(attack, known.training_counts)
    except DataError as error:
        raise PlanError(f"attacks.{run.attack} on dataset {run.dataset}: {error}") from error
    return {"attack_norm": attack.norm, "n_poisoned": n_poisoned, "target": attack.target}


def check_draw(config: Config, run: Run, known: Outline) -> None:
    """Refuse a bagging run whose models would draw more rows than there are."""
    n_drawn = (config.noise_levels(run) or {}).get("n_drawn", 0)
    n_rows = sum(known.training_counts)
    if n_drawn > n_rows:
        raise PlanError(
            f"noises.{run.noise}.n_drawn: {n_drawn} of {n_rows} training inputs of {run.dataset}"
        )


def check_selection(config: Config, run: Run, known: Outline) -> None:
    """Refuse to select by labels what arrives as it is, where certificates cover rows.

    (The labels that discrete covers are the classes: it counts changes among these alone.)
    """
    as_given = not read(config.attacks[run.attack]).simulated
    if as_given and known.left_out and run.defense in ROWS:
        raise PlanError(
            f"datasets.{run.dataset}.classes: leaves out {', '.join(known.left_out[:10])}, so a "
            f"relabelled row would enter or leave the set that defense {run.defense} certifies; "
            f"allowed with attack {run.attack}: every class there is (an attack of the workflow's "
            "own poisons the rows that were selected, and may use any classes)"
        )


def check_discrete(config: Config, run: Run, certification: Certification, known: Outline) -> None:
    """Refuse values out of their domain, and noise or numbers of models that certify nothing."""
    noise, attack = config.noise_levels(run) or {}, read(config.attacks[run.attack])
    dataset = datasets.read(config.datasets[run.dataset])
    n_labels, n_tested = sum(known.training_counts), sum(known.test_counts)
    try:
        domains.check_features(dataset.n_values, int(noise["values"]))
        if isinstance(attack, Backdoor):
            attack.check_domain(dataset.channels, int(noise["values"]))
        of_each = guarantees.domains_of(noise, n_labels, 1, len(known.classes))
        guarantees.check_models(of_each, certification, n_tested * (2 if attack.simulated else 1))
    except ValueError as error:
        raise PlanError(
            f"defense discrete on dataset {run.dataset}, attack {run.attack}, noise {run.noise}: "
            f"{error}"
        ) from error
