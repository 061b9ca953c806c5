"""The parameters of `Impairments` as ones that may be given or not: names, types and limits are stated once, there."""

import dataclasses
from typing import TYPE_CHECKING

from radio.impairments import Impairments

PARAMETERS = tuple(parameter.name for parameter in dataclasses.fields(Impairments))

if TYPE_CHECKING:

    class AirParts:
        """What a type checker sees of the class below."""

else:
    AirParts = dataclasses.make_dataclass(
        "AirParts",
        [(parameter.name, parameter.type | None, None) for parameter in dataclasses.fields(Impairments)],
        frozen=True,
        kw_only=True,
    )
    """Every parameter of `Impairments`, None for one that is not given."""


def given(parts: AirParts) -> dict[str, object]:
    """The parameters that are given, by name."""
    named = {name: getattr(parts, name) for name in PARAMETERS}
    return {name: value for name, value in named.items() if value is not None}
