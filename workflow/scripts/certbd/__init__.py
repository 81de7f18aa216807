"""certbd: certified backdoor defence. Public names are found when asked for; `docs/library.md`."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
PUBLIC = {
    "library": ("certify_votes", "poison", "train", "vote"),
    "theory.storage": ("storage_update",),
    "theory.bounds": ("clopper_pearson_lower", "hoeffding_lower", "kl_lower", "majority_lower"),
    "theory.certificates": (
        "bagging_radius",
        "bagging_rows",
        "joint_radius",
        "margin",
        "statistic_radius",
        "trigger_radius",
    ),
    "theory.discrete": ("certified_flips", "required_probability"),
}
"""Module -> the names in it that ``from certbd import ...`` finds."""
__all__ = sorted(name for names in PUBLIC.values() for name in names)


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first asked for."""
    for module, names in PUBLIC.items():
        if name in names:
            return getattr(import_module(f"certbd.{module}"), name)
    raise AttributeError(f"certbd has no public name {name!r}; it has {', '.join(__all__)}")
