"""The parts of a configuration that are no entries of other folders, as types.

A field with ``one_of`` holds one of the names that `schema` finds in the registries.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from certbd.config.axes import NO_NETWORK
from certbd.config.fields import Entry, File, Name, Names, Positive, Seed

UNIQUE: dict[str, Any] = {"uniqueItems": True}
Alpha = Annotated[
    float,
    Field(
        ge=1.0e-50,
        lt=1,
        description="error probability of a certificate, between 0 and 1, from 1e-50 on",
    ),
]
Beta = Annotated[float, Field(gt=0, lt=1)]
Whole = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Certify(Entry):
    """How votes are certified."""

    bound: str = Field(
        "majority",
        description="lower confidence bound on the probability of the predicted class; runner_up "
        "bounds the next class from above, too: for three classes or more, not for discrete",
        json_schema_extra={"one_of": "bounds"},
    )
    alpha: Alpha = 0.001
    multiplicity: Literal["per_input", "simultaneous"] = Field(
        "per_input",
        description="per_input: alpha for each certificate; simultaneous: alpha for all "
        "certificates of an experiment's table together (Bonferroni)",
    )


class Trained(Entry):
    """An experiment whose models this workflow trains."""

    kind: Literal["trained"] = "trained"
    dataset: Name = Field(description="name under datasets")
    attacks: Names | None = Field(
        None, description="names under attacks; left out, the data are taken as they come"
    )
    threats: Names | None = Field(
        None,
        description="names under threats; every attack is certified under each of them instead of "
        "the threat that it poses itself",
    )
    defense: str = Field(description="the defence", json_schema_extra={"one_of": "defences"})
    noises: Names = Field(description="names under noises")
    learner: Name = Field(description="name under learners")
    n_models: int = Field(ge=1, description="number N of models, one vote each")
    seed: Seed = Field(
        0, description="root seed of training noise, initial weights, batch order and test noise"
    )
    certify: Certify = Certify()


class GivenAttack(Entry):
    """What is known of the attack on models trained elsewhere."""

    name: Name = Field(description="name for tables and figures")
    norm: Positive = Field(description="l2 norm of the trigger")
    n_poisoned: int = Field(ge=1, description="number of poisoned training inputs")
    target: int = Field(0, ge=0, description="label that they were given")


class External(Entry):
    """Votes or scores of models trained elsewhere (docs/external-votes.md)."""

    kind: Literal["external"]
    dataset: Name = Field(description="name for tables and figures")
    noise: Name = Field("given", description="name for tables and figures")
    learner: Name = Field("given", description="name for tables and figures")
    votes: File = Field(
        description="Parquet file of votes or scores, relative to data_root unless absolute"
    )
    labels: File | None = Field(
        None,
        description="Parquet, CSV or TSV file of true labels, for files with one row per vote",
    )
    n_classes: int = Field(ge=2, description="number of classes; labels are 0 to n_classes - 1")
    n_models: int = Field(ge=1, description="number N of models planned, one vote each")
    seed: Seed = Field(0, description="number for tables")
    sigma_test: Annotated[float, Field(ge=0, le=1_000_000)] | None = Field(
        None,
        description="noise of every vote, above 0 (or 0, none, with n_rows); left out, the column "
        "sigma is read",
    )
    sigma_train: Positive | None = Field(
        None,
        description="noise on every training input, above 0; left out, there is no joint and no "
        "trigger radius",
    )
    n_rows: Whole | None = Field(
        None,
        description="number of training rows, for certificates of rows; with it n_drawn, or "
        "sigma_statistic and statistic_norm",
    )
    n_drawn: Whole | None = Field(
        None, description="rows that each model was trained on, drawn without replacement"
    )
    sigma_statistic: Positive | None = Field(
        None, description="noise on each coordinate of a statistic, all that models see of the rows"
    )
    statistic_norm: Positive | None = Field(
        None,
        description="B, the largest norm that a row has in the statistic (its mean over rows), "
        "fixed before the data are seen",
    )
    attack: GivenAttack | None = None
    threats: Names | None = Field(
        None, description="names under threats; in the place of the attack's own"
    )
    certify: Certify = Certify()


class NoiseSearch(Entry):
    """A search for a defence's training parameter and test noise (snakemake noise_search).

    Pairs of them are tried with pilot models on held-out training inputs.
    """

    dataset: Name = Field(description="name under datasets")
    attack: Name | None = Field(
        None, description="name under attacks, one with a trigger; this or threat"
    )
    threat: Name | None = Field(None, description="name under threats; this or attack")
    learner: Name = Field(description="name under learners")
    defense: str = Field(
        "decoupled",
        description="the defence whose parameters are searched",
        json_schema_extra={"one_of": "searched"},
    )
    trusted: Name | None = Field(
        None,
        description="name under datasets of one of the same form that you vouch for: it is "
        "searched on instead; left out, the set under attack is, and results that use its values "
        "say so",
    )
    sigma_test: list[Annotated[float, Field(ge=0, le=1_000_000)]] = Field(
        [0.0],
        min_length=1,
        description="noise levels on test inputs (decoupled, bagging, statistic); 0, for none, "
        "with bagging and statistic under a threat of rows alone",
        json_schema_extra={"uniqueItems": True},
    )
    bound: str = Field(
        "majority",
        description="lower confidence bound on the probability of the predicted class",
        json_schema_extra={"one_of": "bounds"},
    )
    n_models: int = Field(1000, ge=1, description="number of pilot models")
    n_inputs: int = Field(1000, ge=1, description="most held-out inputs to certify")
    alpha: Alpha = 0.001
    seed: Seed = Field(0, description="root seed of the pilot models, and of what is held out")


class Reference(Entry):
    """Published results, drawn beside a dataset's curves."""

    dataset: Name = Field(description="name under datasets, or of an external experiment")
    certificate: Literal["trigger", "joint", "paper", "l0", "rows"] = Field(
        description="which certificate they are of"
    )
    split: Literal["benign", "triggered"] = Field(description="which test inputs they are of")
    label: str = Field(description="text for the legend with the source")
    radii: list[Annotated[float, Field(ge=0)]] = Field(
        min_length=1, description="radii of the points, 1 or more"
    )
    certified_accuracy: list[Share] = Field(
        min_length=1, description="certified accuracy at each of these radii, a share"
    )


class Grid(Entry):
    """Radii from 0."""

    stop: Positive = Field(description="largest radius")
    step: Positive = Field(description="distance between radii")


class WholeGrid(Entry):
    """Whole numbers from 0."""

    stop: int = Field(ge=1, description="largest number")
    step: int = Field(ge=1, description="distance between numbers")


class Curves(Entry):
    """Radii at which certified accuracy is tabulated, from 0."""

    joint: Grid = Grid(stop=1.4, step=0.02)
    trigger: Grid = Grid(stop=1.0, step=0.02)
    rows: WholeGrid = WholeGrid(stop=200, step=5)


class Reach(Entry):
    """Table of the most changed coordinates that discrete noise can cover (target `reach`)."""

    betas: list[Beta] = Field(
        [0.95, 0.9, 0.85, 0.8, 0.7, 0.6],
        min_length=1,
        description="probabilities that a coordinate is kept, each above 1/values and below 1",
    )
    values: list[Annotated[int, Field(ge=2)]] = Field(
        [2, 10], min_length=1, description="numbers of values of a coordinate, each 2 or more"
    )
    n_models: list[Annotated[int, Field(ge=1)]] = Field(
        [100, 1000, 10_000, 100_000, 1_000_000],
        min_length=1,
        description="numbers of models, all of one vote",
    )
    alpha: Alpha = 0.001
    bound: str = Field(
        "majority",
        description="lower confidence bound on the probability of the predicted class",
        json_schema_extra={"one_of": "unanimous"},
    )


class Audit(Entry):
    """How much of each experiment is audited (target `audit`)."""

    inputs: int = Field(30, ge=1, description="certified test inputs that are attacked")
    models: int = Field(100, ge=20, description="models trained on each attacked training set")
    network_inputs: int = Field(
        3,
        ge=1,
        description="those inputs that get training sets of their own where training takes long "
        "(every learner but class means and class sums under noise)",
    )


class Settings(Entry):
    """Everything but the tables of entries and the list of experiments."""

    data_root: File = Field("data", description="folder that relative dataset paths start from")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes a CUDA GPU where there is one"
    )
    keep_models: bool = Field(True, description="false deletes model files once they have voted")
    replace_tables: bool = Field(
        False,
        description="true lets a run replace results/summary.csv and its figures where they hold "
        "experiments that this configuration lacks; otherwise it is refused",
    )
    chunk_size: int = Field(1000, ge=1, description="models trained in one job")
    undefended: Name = Field(
        NO_NETWORK,
        description="name under learners of the network trained without noise, one for each "
        "attack; none: there is none",
    )
    reach: Reach = Reach()
    audit: Audit = Audit()
    curves: Curves = Curves()
