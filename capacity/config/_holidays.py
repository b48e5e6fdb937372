"""Countries whose holidays a service's demand may feel: ISO 3166 codes, with a subdivision where one counts."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from capacity.config._base import did_you_mean


@lru_cache(maxsize=1)
def supported() -> dict[str, tuple[str, ...]]:
    """Country -> its subdivisions, as the holidays package knows them."""
    import holidays

    return {
        code: tuple(map(str, parts))
        for code, parts in holidays.list_supported_countries(include_aliases=False).items()
    }  # fmt: skip


def country_of(code: str) -> tuple[str, str | None]:
    """DE -> (DE, None); DE-BY -> (DE, BY)."""
    country, _, part = code.partition("-")
    return country, part or None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _checked(codes: list[str]) -> list[str]:
    known = supported() if codes else {}
    for code in codes:
        country, part = country_of(code)
        if country not in known:
            raise ValueError(
                f"found '{code}'; allowed: a country as ISO 3166 writes it, with a subdivision behind a hyphen where "
                f"one counts (DE, US-CA){_nearest(country.upper(), known)}; countries: {', '.join(sorted(known))}"
            )
        if part is not None and part not in known[country]:
            allowed = ", ".join(known[country]) or "none: give the country alone"
            raise ValueError(f"found '{code}'; {country} has no subdivision '{part}'; allowed: {allowed}")
    if len(set(codes)) < len(codes):
        raise ValueError("a country is given twice")
    return codes


def _nearest(country: str, known: dict[str, tuple[str, ...]]) -> str:
    return (
        f"; did you mean '{country}'?" if country in known else did_you_mean(country, list(known)).split("; known")[0]
    )


CountryHolidays = Annotated[list[str], BeforeValidator(_as_list), AfterValidator(_checked)]
