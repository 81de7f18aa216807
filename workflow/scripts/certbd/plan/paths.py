"""Where each artifact is. A path holds only the axes that its artifact depends on."""

from collections.abc import Iterable
from pathlib import Path

from certbd.config import defences, entries
from certbd.config.axes import OWN, Certification, Run

DATASET = "results/{dataset}"
ATTACK = f"{DATASET}/{{attack}}"
RUN = f"{ATTACK}/{{defense}}/{{noise}}/{{learner}}/seed-{{seed}}"
TRAINED = f"{ATTACK}/models/{{training}}/{{learner}}/seed-{{seed}}"
MODELS = f"{TRAINED}/chunk-{{chunk}}.safetensors"
SIGMA = f"{TRAINED}/sigma.parquet"
CERTIFICATION = f"{RUN}/{{bound}}-{{alpha}}-{{multiplicity}}-n{{n_models}}"
THREAT = f"{CERTIFICATION}/{{threat}}"
EXTERNAL = CERTIFICATION.replace("{defense}", "external")
EXTERNAL_THREAT = THREAT.replace("{defense}", "external")
NEW = f"{DATASET}/new"
UNDEFENDED = f"{ATTACK}/undefended/{{learner}}"
NAME = r"[a-z0-9][a-z0-9._-]*"
WILDCARDS = {
    "defense": "|".join(defences.names()),
    "seed": r"\d+",
    "alpha": r"[0-9.e-]+",
    "chunk": r"\d+-\d+",
    "bound": "|".join(entries.names(entries.BOUNDS)),
    "multiplicity": r"[a-z_]+",
    "n_models": r"\d+",
    "threat": rf"(?!new/){NAME}",
} | dict.fromkeys(("dataset", "attack", "noise", "training", "learner", "search"), NAME)
"""Regular expression of each axis in a path."""


def certificates_of(run: Run, certification: Certification) -> str:
    """Return the table of certificates of one row of the summary."""
    folder = CERTIFICATION if certification.threat == OWN else THREAT
    path = f"{folder}/certificates.parquet"
    return path.format(**run._asdict(), **certification._asdict())


def beside(certificates: str, name: str) -> str:
    """Return another file of the folder of a table of certificates."""
    return certificates.replace("certificates.parquet", name)


def predictions_of_new(run: Run, certification: Certification) -> list[str]:
    """Return the predictions of new inputs that belong to one row of the summary."""
    certificates = certificates_of(run, certification)
    return [beside(certificates, f"new/predictions.{kind}") for kind in ("csv", "parquet")]


def undefended_of(run: Run, learner: str) -> str:
    """Return the predictions of the network without defence that belongs to a run."""
    return f"{UNDEFENDED}/undefended.parquet".format(**run._asdict() | {"learner": learner})


def papers(figures: Iterable[str]) -> list[str]:
    """Return the PDF beside each figure."""
    return [str(Path(figure).with_suffix(".pdf")) for figure in figures]
