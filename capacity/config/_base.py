"""What every config model is made of."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=120)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


@cache
def _zones() -> frozenset[str]:
    """All IANA zones; looking for them reads a folder of hundreds of files."""
    return frozenset(available_timezones())


def _zone(value: str) -> str:
    if value not in _zones():
        near = difflib.get_close_matches(value, _zones(), 1)
        raise ValueError(f"not an IANA time zone{f'; did you mean {near[0]}?' if near else ''}")
    return value


TimeZone = Annotated[str, AfterValidator(_zone)]


class Model(BaseModel):
    """Base of all config models: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known[:12])}"
