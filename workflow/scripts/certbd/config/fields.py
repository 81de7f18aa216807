"""Types of the configuration's values. Each says in its description what is allowed.

They are the one place of a key's default, bounds and description: the schema, with the messages
that follow from it, and the table of keys in ``config/README.md`` are made from them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType


class Entry(BaseModel):
    """Settings under keys that are all known, of exactly their types; None where left out."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        validate_default=True,
        regex_engine="python-re",  # the only one that looks ahead
    )

    def settings(self) -> dict[str, Any]:
        """Return the settings as builtins, without the keys that were left out."""
        return self.model_dump(exclude_none=True)


Name = TypeAliasType(
    "Name",
    Annotated[
        str,
        Field(
            max_length=64,
            pattern=r"^[a-z0-9][a-z0-9._-]*$(?!\n)",
            description="a name: up to 64 lower-case letters, digits, '.', '_' and '-', starting "
            "with a letter or digit (quote names that look like numbers)",
        ),
    ],
)
Names = TypeAliasType(
    "Names", Annotated[list[Name], Field(min_length=1, json_schema_extra={"uniqueItems": True})]
)
Seed = TypeAliasType("Seed", Annotated[int, Field(ge=0, description="a whole number, 0 or more")])
Positive = TypeAliasType(
    "Positive",
    Annotated[float, Field(gt=0, le=1_000_000, description="a number above 0, at most 1 000 000")],
)
File = TypeAliasType(
    "File",
    Annotated[
        str,
        Field(
            min_length=1,
            max_length=4000,
            pattern=r"^[^\x00]*$",
            description="a path of 1 to 4000 characters",
        ),
    ],
)
Levels = TypeAliasType(
    "Levels",
    Annotated[list[Positive], Field(min_length=1, json_schema_extra={"uniqueItems": True})],
)
Range = TypeAliasType(
    "Range",
    Annotated[
        list[float],
        Field(
            min_length=2,
            max_length=2,
            description="[low, high]: constants that become 0 and 1, low below high",
        ),
    ],
)
Classes = TypeAliasType(
    "Classes",
    Annotated[
        list[int | str],
        Field(
            min_length=2,
            json_schema_extra={"uniqueItems": True},
            description="the classes in label order (label 0 is the first), at least 2, each once",
        ),
    ],
)
