"""The stages: a script, the axes of what it makes, and the stages whose files it reads."""

from typing import NamedTuple

from certbd.config.axes import Certification, Run

AXES = (*Run._fields, *Certification._fields)


TRAINED = ("dataset", "attack", "training", "learner", "seed")
"""Of models: what votes are cast on has no part in them."""


class Stage(NamedTuple):
    """One stage. `Plan.settings` has its settings under the same name, `used` its entries."""

    name: str
    script: str
    axes: tuple[str, ...]
    reads: tuple[str, ...] = ()


STAGES = {
    stage.name: stage
    for stage in (
        Stage("data", "make_dataset.py", AXES[:1]),
        Stage("poison", "make_poison.py", AXES[:2], ("data",)),
        Stage(
            "undefended",
            "train_undefended.py",
            ("dataset", "attack", "learner"),
            ("data", "poison"),
        ),
        Stage("sigma", "optimise_sigma.py", TRAINED, ("data", "poison")),
        Stage("models", "train_models.py", TRAINED),
        Stage("votes", "collect_votes.py", Run._fields, ("data", "poison", "sigma", "models")),
        Stage("certificates", "certify_votes.py", AXES, ("data", "poison", "sigma", "votes")),
        Stage(
            "audit",
            "audit_certificates.py",
            AXES,
            ("data", "poison", "sigma", "certificates"),
        ),
        Stage("new", "make_new.py", AXES[:1]),
        Stage("new_votes", "collect_new_votes.py", Run._fields, ("new", "models")),
        Stage(
            "new_certificates",
            "certify_new.py",
            AXES,
            ("data", "poison", "new", "new_votes"),
        ),
        Stage("external", "certify_external.py", AXES),
        Stage("search", "search_noise.py", ("search",), ("data", "poison")),
        Stage("reach", "tabulate_reach.py", ()),
    )
}
