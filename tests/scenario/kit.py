"""Scenarios of any content: all parts, all keys, and text that YAML likes to read as something else."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from hypothesis import strategies as st

from capacity import config, scenario

SERVICES, REGIONS, TIERS = ("web", "api", "thumbs"), ("us-east-1",), ("critical", "standard")
# What a reader of YAML 1.1 or 1.2 may take for a number, a date, a boolean, nothing, or a mark of YAML itself.
TRICKY = ("1e5", "1.10", "0x1F", "1_000", "12:30:45", "2026-11-01", "NO", "yes", "true", "null", "~", "", " ", "- a",
          "# c", "a: b", "a #b", "'", '"', "\\", "%", "@", "&a", "*a", "!x", "|", ">", "[", "{", "\u2028", "\u0085",
          "\ufeff", "\x07", "a\nb", "a\r\nb", "\ttab", ".5", "-", "+1", ".inf", "=", "<<", "é",
          "日本", "😀")  # fmt: skip
texts = st.one_of(st.sampled_from(TRICKY), st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
names = texts.filter(lambda t: 1 <= len(t) <= 120 and t != scenario.BASE)
positive = st.floats(1e-9, 1e12, allow_nan=False)
fractions = st.floats(0, 1)
days = st.dates(date(2020, 1, 1), date(2040, 1, 1)).map(str)
services = st.lists(st.sampled_from(SERVICES), min_size=1, max_size=3, unique=True)
regions = st.just(list(REGIONS))
families = st.lists(names, min_size=1, max_size=3)
# A price is of families that there are.
sold = st.lists(st.sampled_from(["m6g", "c5", "r5", "c6i"]), min_size=1, max_size=3)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda t: t.replace(tzinfo=UTC).isoformat())


def optional(required: dict[str, st.SearchStrategy], maybe: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    return st.fixed_dictionaries(required, optional=maybe)


def several(item: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(item, min_size=1, max_size=2)


def _ends_later(event: dict) -> dict:
    end = datetime.fromisoformat(event["start"]).replace(year=datetime.fromisoformat(event["start"]).year + 1, day=1)
    return event | {"end": end.isoformat()}


_growth = optional({"multiplier": positive}, {"services": services, "regions": regions, "from": days})
_sized = st.sampled_from(["multiplier", "target"]).flatmap(
    lambda size: optional(
        {"name": names, "start": moments.filter(lambda m: m[5:10] != "02-29"), "services": services, size: positive},
        {"regions": regions, "ramp_minutes": st.integers(0, 600)},
    ).map(_ends_later)
)
_tier = optional(
    {"name": st.sampled_from(TIERS)},
    {"service_level": st.floats(0.5, 0.999), "zones_survived": st.integers(0, 3),
     "min_headroom_frac": st.floats(0, 0.89), "zone_loss_utilisation_frac": fractions, "spot_max_frac": fractions},
)  # fmt: skip
_buys = optional(
    {},
    {"products": st.just(["compute_sp"]), "terms": st.just([3]), "payments": st.just(["no_upfront"]),
     "max_break_even_months": st.dictionaries(st.sampled_from([1, 3]), positive, min_size=1),
     "least_utilisation_frac": fractions, "risk_weight": fractions, "least_hourly_usd": st.floats(0, 1e6),
     "largest_new_hourly_usd": positive, "ladder_months": st.integers(1, 36)},
)  # fmt: skip
_migration = optional(
    {},
    {"services": services, "architectures": st.just(["arm64"]), "allow_families": families,
     "deny_families": st.lists(names, max_size=2)},
)  # fmt: skip
contents = optional(
    {"name": names},
    {
        "description": texts, "author": texts, "note": texts,
        "growth": several(_growth),
        "events": _sized.map(lambda e: [e]),
        "launches": several(optional({"service": st.just("web"), "region": st.just("us-east-1"), "from": days,
                                      "add": positive}, {})),
        "efficiency": several(optional({"factor": positive}, {"services": services})),
        "prices": several(optional({"multiplier": positive}, {"families": sold})),
        "failure": st.one_of(st.just({"region": "us-east-1"}), st.integers(0, 3).map(lambda z: {"zones": z})),
        "migration": several(_migration),
        "policy": _tier.map(lambda t: {"tiers": [t]}),
        "commitments": st.one_of(st.just({"buy": False}), _buys),
    },
)  # fmt: skip
scenarios = contents.map(scenario.Scenario.model_validate)

CONFIG = """\
version: 1
company: Small
tiers: [{name: critical}, {name: standard}]
services:
  - {name: web, tier: critical, regions: [us-east-1]}
  - {name: api, tier: standard, regions: [us-east-1, eu-west-1]}
  - {name: thumbs, tier: standard, regions: [us-east-1], kind: usage_priced}
"""


def settings_in(folder: Path, more: str = "") -> config.Config:
    path = folder / "company.yaml"
    path.write_text(CONFIG + more, encoding="utf-8")
    return config.load(path)
