"""What a config may say of events, outages and holidays."""

from __future__ import annotations

from pathlib import Path

import pytest

from capacity import config
from capacity.errors import ConfigError
from tests import company

EVENT = "events:\n  - {name: sale, start: 2026-09-18T08:00:00Z, end: 2026-09-18T20:00:00Z, services: [web]"


def text(events: str = "", more: str = "") -> str:
    head, _, rest = company.CONFIG.partition("events:\n")
    return head + (f"{EVENT}{events}}}\n" if events is not None else "") + more + rest[rest.index("budgets:") :]


def loaded(folder: Path, content: str) -> config.Config:
    path = folder / "c.yaml"
    path.write_text(content, encoding="utf-8")
    return config.load(path)


@pytest.mark.parametrize(
    ("keys", "learned"),
    [(", multiplier: 2", False), (", target: 900", False), (", past: [[2025-09-19, 2025-09-19]]", True)],
)
def test_an_event_says_its_size_or_where_to_learn_it(tmp_path: Path, keys: str, learned: bool) -> None:
    assert loaded(tmp_path, text(keys)).events[0].is_learned is learned


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "give exactly one of multiplier and target, or past dates to learn the multiplier from"),
        (", multiplier: 2, target: 9", "give one of multiplier and target, not both"),
        (", multiplier: 2, regions: [us-east-1, us-west-9]", "events 'sale': regions names 'us-west-9', which is not"),
        (", past: [[2025-09-20, 2025-09-19]]", "2025-09-19 is before 2025-09-20"),
    ],
)
def test_an_event_without_a_size_is_an_error(tmp_path: Path, keys: str, said: str) -> None:
    with pytest.raises(ConfigError, match="events") as error:
        loaded(tmp_path, text(keys))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("given", "codes"), [("DE", ["DE"]), ("NO", ["NO"]), ("[DE-BY, AT]", ["DE-BY", "AT"]), ("[]", [])]
)
def test_countries_are_one_or_a_list(tmp_path: Path, given: str, codes: list[str]) -> None:
    settings = loaded(tmp_path, text(", multiplier: 2", f"country_holidays: {given}\n"))
    assert settings.country_holidays == codes
    assert settings.services[0].country_holidays is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("XQ", "countries: AD, AE"),
        ("de", "did you mean 'DE'"),
        ("DE-XX", "DE has no subdivision 'XX'; allowed: BB, BE, BW, BY"),
        ("[DE, DE]", "given twice"),
    ],
)
def test_an_unknown_country_is_told_with_those_there_are(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(ConfigError, match="country_holidays") as error:
        loaded(tmp_path, text(", multiplier: 2", f"country_holidays: {given}\n"))
    assert said in str(error.value)


def test_an_outage_has_a_kind_a_zone_and_an_order(tmp_path: Path) -> None:
    rows = "outages:\n  - {start: 2026-05-04T10:00:00Z, end: 2026-05-04T12:00:00Z"
    kinds = [
        loaded(tmp_path, text(", multiplier: 2", f"{rows}{kind}}}\n")).outages[0].kind
        for kind in ("", ", kind: throttled")
    ]
    assert kinds == ["outage", "throttled"]
    for bad, said in ((", kind: slow", "kind"), (", end: 2026-05-04T12:00:00", "zone")):
        broken = rows.replace(", end: 2026-05-04T12:00:00Z", "") + bad if "end" in bad else rows + bad
        with pytest.raises(ConfigError, match=said):
            loaded(tmp_path, text(", multiplier: 2", f"{broken}}}\n"))
    with pytest.raises(ConfigError, match="end must be after start"):
        loaded(tmp_path, text(", multiplier: 2", f"{rows.replace('T12', 'T09')}}}\n"))
