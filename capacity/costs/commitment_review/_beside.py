"""The plan's purchases beside AWS's own recommendations, and why they differ.

AWS sizes each product on its own, on the on-demand usage of a look-back period (Cost Explorer API reference,
GetSavingsPlansPurchaseRecommendation: one Savings Plans type, term, payment and look-back a request). It knows neither
the forecast, nor what the plan moves, nor the other products that it recommends beside. Ours is made for the plan's
fleet in joint futures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from capacity.costs.commitment_review._products import WORDS
from capacity.words import day, listed, percent

BESIDE_COLUMNS = (
    "product", "scope", "region", "term_years", "payment", "ours_hourly", "aws_hourly", "difference_hourly",
    "ours_count", "aws_count", "ours_saving", "aws_saving", "currency", "lookback_days", "made_on", "reasons",
)  # fmt: skip
# product, scope ("" for all), region ("" for all), term in years, payment
Key = tuple[str, str, str, int, str]
# A difference of usage that is worth a word.
_WORTH_A_WORD = 0.05
_MONTHS_A_YEAR = 12
_LINUX = " Linux/UNIX"


@dataclass(frozen=True)
class Policy:
    """What may be bought. ``refused`` is (offer, reason), the offer as purchases name it."""

    products: Collection[str]
    terms: Collection[int]
    payments: Collection[str]
    least_utilisation_frac: float
    refused: tuple[tuple[str, str], ...] = ()

    def forbids(self, key: Key) -> str | None:
        product, _, _, term, payment = key
        for value, allowed, name in (
            (product, self.products, "products"), (term, self.terms, "terms"), (payment, self.payments, "payments"),
        ):  # fmt: skip
            if value not in allowed:
                return f"the policy does not buy it: optimize.commitments.{name} has no {value}"
        return None


@dataclass(frozen=True)
class UsageInScope:
    """On-demand value of instances that a product could pay for, an hour: of late, and as planned.

    ``demand_frac`` is what demand alone makes of it (1.1: a tenth more); ``left`` are types that the plan runs no more
    and what they were worth, the most first; ``owned`` are commitments that cover some of it, with their ends.
    """

    late_hourly: float
    planned_hourly: float
    demand_frac: float | None
    left: tuple[tuple[str, float], ...] = ()
    owned: tuple[tuple[str, date], ...] = ()


def aws_key(row: Mapping[str, object]) -> Key:
    """The key of a stored recommendation in the plan's own words: "all" is "", a Linux RI's scope is its type."""
    scope = str(row["scope"])
    scope = scope[: -len(_LINUX)] if scope.endswith(_LINUX) else "" if scope == "all" else scope
    return str(row["product"]), scope, str(row["region"]), int(str(row["term_years"])), str(row["payment"])


def beside(
    ours: pd.DataFrame,
    aws: pd.DataFrame,
    usage: Mapping[tuple[str, str, str], UsageInScope],
    policy: Policy | None,
    currency: str,
) -> pd.DataFrame:
    """Both recommendations by product, scope, region, term and payment.

    Parameters
    ----------
    ours
        The frame ``purchases`` of a plan; purchases of several months are added up.
    aws
        The stored ``recommendations`` (schemas.RECOMMENDATIONS) in ``currency``, of one day a source; accounts are
        added up. Of several look-backs the longest stands.
    usage
        By (product, scope, region); without an entry nothing is said of usage.
    policy
        None where the config plans no purchases.

    Returns
    -------
    DataFrame
        :data:`BESIDE_COLUMNS`, nothing where AWS has recommended nothing at all. Hourly commitments and monthly
        savings are floats; AWS's are null where it gives a count only. ``difference_hourly`` is ours less AWS's.
    """
    theirs = _theirs(aws[aws["currency"] == currency]) if len(aws) else {}
    if not theirs:
        return pd.DataFrame(columns=list(BESIDE_COLUMNS))
    mine = _ours(ours)
    rows = []
    for key in sorted({*theirs, *mine}):
        own, other = mine.get(key), theirs.get(key)
        reasons = list(_reasons(key, own, other, mine, usage.get(key[:3]), policy, currency))
        rows.append(_row(key, own, other, currency, "; ".join(reasons)))
    return pd.DataFrame(rows, columns=list(BESIDE_COLUMNS))


@dataclass(frozen=True)
class _Advice:
    """One side's. ``hourly`` and ``saving`` (a month) are None where they are not told."""

    hourly: float | None
    count: int
    saving: float | None
    utilisation: float | None = None
    lookback_days: int | None = None
    made_on: pd.Timestamp | None = None


def _ours(frame: pd.DataFrame) -> dict[Key, _Advice]:
    out: dict[Key, _Advice] = {}
    keys = ["product", "scope", "region", "term_years", "payment"]
    for found, rows in frame.groupby(keys, sort=True) if len(frame) else ():
        key = tuple(str(k) for k in found)
        term = int(key[3])
        saving = float(rows["saving_mean"].sum()) / (_MONTHS_A_YEAR * term)
        name = (key[0], key[1], key[2], term, key[4])
        low = float(rows["utilisation_q10"].min())
        out[name] = _Advice(float(rows["hourly_usd"].sum()), int(rows["count"].sum()), saving, low)
    return out


def _theirs(frame: pd.DataFrame) -> dict[Key, _Advice]:
    by_key: dict[Key, list[dict[str, object]]] = {}
    for row in frame.to_dict("records"):
        words = {str(k): v for k, v in row.items()}
        by_key.setdefault(aws_key(words), []).append(words)
    return {key: _added(rows) for key, rows in by_key.items()}


def _added(rows: list[dict[str, object]]) -> _Advice:
    longest = max(int(str(r["lookback_days"])) for r in rows)
    rows = [r for r in rows if int(str(r["lookback_days"])) == longest]
    return _Advice(
        hourly=_sum(rows, "hourly_commitment"),
        count=int(_sum(rows, "count") or 0),
        saving=_sum(rows, "monthly_savings"),
        utilisation=_mean(rows, "utilisation_frac"),
        lookback_days=longest,
        made_on=max(pd.Timestamp(str(r["made_on"])) for r in rows),
    )


def _known(rows: list[dict[str, object]], name: str) -> list[float]:
    return [float(str(r[name])) for r in rows if not pd.isna(r[name])]  # type: ignore[call-overload]


def _sum(rows: list[dict[str, object]], name: str) -> float | None:
    known = _known(rows, name)
    return sum(known) if known else None


def _mean(rows: list[dict[str, object]], name: str) -> float | None:
    known = _known(rows, name)
    return sum(known) / len(known) if known else None


def _row(key: Key, own: _Advice | None, other: _Advice | None, currency: str, reasons: str) -> tuple[object, ...]:
    ours = own.hourly if own else 0.0
    theirs = other.hourly if other else 0.0
    difference = None if ours is None or theirs is None else ours - theirs
    return (
        *key, ours, theirs, difference, own.count if own else 0, other.count if other else 0,
        own.saving if own else 0.0, other.saving if other else 0.0, currency,
        other.lookback_days if other else None, other.made_on if other else None, reasons,
    )  # fmt: skip


def _reasons(
    key: Key, own: _Advice | None, other: _Advice | None, mine: Mapping[Key, _Advice], usage: UsageInScope | None,
    policy: Policy | None, currency: str,
) -> Iterator[str]:  # fmt: skip
    if other is None:
        yield "AWS recommends nothing of this kind, or was not asked for it"
    if policy is None:
        yield "no purchases are planned: optimize.commitments is not in the config"
        return
    forbidden = policy.forbids(key)
    if forbidden:
        yield forbidden
    elif own is None:
        yield from _refused(key, policy)
    yield from _bought_otherwise(key, own, mine, currency)
    if usage is not None:
        yield from _by_usage(usage, other, currency)
        if usage.owned:
            ends = listed([f"{name} on {day(end)}" for name, end in usage.owned])
            yield f"owned commitments end within the term ({ends}): ours counts what they leave open, AWS's does not"
    if own is not None and other is not None and other.utilisation is not None:
        yield (
            f"ours is sized so that {percent(policy.least_utilisation_frac)} is used even on the P10 path "
            f"({percent(own.utilisation or 0.0)} is); AWS expects {percent(other.utilisation)} on average"
        )


def _refused(key: Key, policy: Policy) -> Iterator[str]:
    """Why the plan does not buy this offer: its own refusal, or that of the whole product."""
    product, scope, region, term, payment = key
    word = f"{product}_{term}y_{payment}"
    name = ":".join(x for x in (word, scope, region) if x)
    found = [reason for offer, reason in policy.refused if offer in (name, word)]
    yield from (f"not bought: {reason}" for reason in dict.fromkeys(found))
    if not found:
        yield "not bought: in the plan's futures others pay better, or nothing is left for it to cover"


def _bought_otherwise(key: Key, own: _Advice | None, mine: Mapping[Key, _Advice], currency: str) -> Iterator[str]:
    """What the plan buys for the same usage under another product, term or payment."""
    others: dict[str, float] = {}
    for other, advice in mine.items():
        if other != key and own is None and _may_overlap(key, other):
            name = WORDS.get(other[0], "EC2 Reserved Instances")
            text = f"{name}, {other[3]} year(s), {other[4].replace('_', ' ')}"
            others[text] = others.get(text, 0.0) + (advice.hourly or 0.0)
    for text, hourly in sorted(others.items()):
        instead = f"the plan buys {text} for that usage instead ({hourly:,.2f} {currency} an hour)"
        yield f"{instead}; AWS sizes each product alone"


def _may_overlap(one: Key, other: Key) -> bool:
    """Whether two offers could pay for the same usage, by scope and region."""
    regions = not one[2] or not other[2] or one[2] == other[2]
    families = {k[1].split(".")[0] for k in (one, other) if k[1]}
    return regions and len(families) <= 1


def _by_usage(usage: UsageInScope, other: _Advice | None, currency: str) -> Iterator[str]:
    if usage.late_hourly <= 0:
        yield "nothing in its scope runs today"
        return
    change = usage.planned_hourly / usage.late_hourly - 1.0
    if abs(change) < _WORTH_A_WORD:
        return
    span = f"the last {other.lookback_days} days" if other is not None and other.lookback_days else "what ran of late"
    text = (
        f"AWS goes by {span}: {usage.late_hourly:,.2f} {currency} an hour of late at on demand in its scope, "
        f"{usage.planned_hourly:,.2f} in the plan ({percent(change, signed=True)})"
    )
    parts = []
    if usage.demand_frac is not None and abs(usage.demand_frac - 1.0) >= _WORTH_A_WORD / 2:
        parts.append(f"demand alone {percent(usage.demand_frac - 1.0, signed=True)}")
    if usage.left:
        names = ", ".join(name for name, _ in usage.left[:3]) + (" and others" if len(usage.left) > 3 else "")
        parts.append(f"the plan leaves {names} ({sum(v for _, v in usage.left):,.2f} {currency} an hour)")
    yield text + (": " + ", ".join(parts) if parts else "")
