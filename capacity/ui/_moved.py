"""What moved the bill: the bridge as a waterfall, taken down to SKUs, and what strayed of late."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pandas as pd
import streamlit as st

from capacity import charts
from capacity.costs import TERMS
from capacity.plan import Plan
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _widgets as ui

WHOLE = "The whole bill"
NO_BRIDGE = "No bridge: it needs a bill of two whole months, and a plan made since there is one."
_CHANGE = "The change"
_AMOUNTS = ("start", *TERMS, "end")
_WORDS = {t: t.replace("_", " ") for t in TERMS}
_GUIDE = (
    "Volume: demand. Efficiency: quantity a unit of demand. Mix: other SKUs. List, negotiated and commitment rate: "
    "price. Each term stands at the old values of those after it; together they are the whole change."
)


@dataclass(frozen=True)
class Compared:
    """One bridge: its rows, of which periods, in which currency."""

    rows: pd.DataFrame
    before: str
    after: str
    currency: str


def pairs(plan: Plan) -> dict[str, Compared]:
    """The bridges of a plan by what a list calls them; its own currency first."""
    frame = plan.frame("bridge")
    out: dict[str, Compared] = {}
    keys = frame[["from_period", "to_period", "currency"]].drop_duplicates().itertuples(index=False, name=None)
    for before, after, currency in sorted(keys, key=lambda k: k[2] != plan.currency):
        rows = frames.only(frame, from_period=before, to_period=after, currency=currency)
        out[f"{fmt.visible(before)} to {fmt.visible(after)} ({fmt.visible(currency)})"] = Compared(
            rows, str(before), str(after), str(currency)
        )
    return out


def by(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """start, the terms and end, added up exactly for each value of ``columns``; change is end less start."""
    out = []
    groups = rows.groupby(list(columns), sort=True, dropna=False) if len(rows) else ()
    for key, part in groups:
        sums = {c: frames.total(part[c]) for c in _AMOUNTS}
        row = dict(zip(columns, key if isinstance(key, tuple) else (key,), strict=True))
        out.append(row | sums | {"change": sums["end"] - sums["start"]})
    return pd.DataFrame(out, columns=[*columns, *_AMOUNTS, "change"])


def owner(kind: object, name: object) -> str:
    """Whose cost a row of the bridge is: a service, a pool, or nobody's."""
    said = frames.text(name)
    return {"pool": f"pool: {said}", "unallocated": "(unallocated)"}.get(str(kind), said or "(no service)")


def waterfall(plan: Plan) -> None:
    """The newest bridge of the whole bill, for the first look; its tab has the rest."""
    known = pairs(plan)
    with ui.card("What moved the bill", stretch=True):
        if not known:
            st.caption(NO_BRIDGE)
            return
        one = next(iter(known.values()))
        _said(one, one.rows)
        _chart(one, one.rows, WHOLE)


def draw(plan: Plan) -> None:
    """The whole view."""
    known = pairs(plan)
    if not known:
        with ui.card("What moved the bill"):
            st.caption(NO_BRIDGE)
    else:
        _bridge(known)
    _strayed(plan)


def _bridge(known: dict[str, Compared]) -> None:
    left, middle, right = st.columns([2, 3, 2])
    with left:
        name = st.selectbox("Compare", list(known), key="bridge_pair", bind="query-params")
        one = known.get(name or "") or next(iter(known.values()))
    groups = by(one.rows, "kind", "name")
    groups = frames.dearest(groups, "change", either_way=True)
    owners = [owner(k, n) for k, n in zip(groups["kind"], groups["name"], strict=True)]
    with middle:
        whose = frames.choice("Of", [WHOLE, *owners], "bridge_of") if len(owners) > 1 else WHOLE
    with right:
        terms = {_CHANGE: "change"} | {w.capitalize(): t for t, w in _WORDS.items()}
        term = st.selectbox("Sort by", list(terms), key="bridge_term", bind="query-params") or _CHANGE
    rows, taken = one.rows, whose in owners
    if taken:
        at = groups.iloc[owners.index(whose)]
        rows = frames.only(rows, kind=at["kind"], name=at["name"])
    left, right = st.columns([1, 1])
    with left, ui.card("From " + fmt.plain(one.before) + " to " + fmt.plain(one.after), _GUIDE, stretch=True):
        _said(one, rows)
        _chart(one, rows, whose)
    with right:
        _parts(groups, owners, one, terms[term], rows if taken else None)
    _skus(rows, one, terms[term])


def _said(one: Compared, rows: pd.DataFrame) -> None:
    """The whole change in one line, and whether the terms add up to it."""
    start, end = frames.total(rows["start"]), frames.total(rows["end"])
    exact = start + sum((frames.total(rows[t]) for t in TERMS), Decimal(0)) == end
    moved = float((end - start) / start) if start > 0 else 0.0
    share = f" ({'+' if moved > 0 else ''}{fmt.percent(moved, 1)})" if start > 0 else ""
    plus = "+" if end > start else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge("Adds up exactly" if exact else "Does not add up", color="green" if exact else "red",
                 icon=":material/check:" if exact else ":material/close:")  # fmt: skip
        money = [fmt.money(x, one.currency) for x in (start, end, end - start)]
        st.text(f"{fmt.visible(one.before)} {money[0]}, {fmt.visible(one.after)} {money[1]}: {plus}{money[2]}{share}")


def _chart(one: Compared, rows: pd.DataFrame, whose: str) -> None:
    alt = f"Waterfall from {one.before} to {one.after}: {fmt.shorten(fmt.visible(whose), 40)}, term by term"
    ui.chart(alt, charts.bridge_waterfall, rows, ui.theme(), (one.before, one.after), one.currency)


def _parts(groups: pd.DataFrame, owners: list[str], one: Compared, term: str, chosen: pd.DataFrame | None) -> None:
    """Services of the whole bill, or the provider's services of one of them, by what moved."""
    if chosen is None:
        title, frame = "By service", groups.assign(part=owners)
    else:
        frame = by(chosen, "provider_service")
        title, frame = "By the provider's service", frame.assign(part=frame["provider_service"])
    frame = frames.dearest(frame, term, either_way=True)
    frame = frame.assign(most=[_largest(r) for r in frame.to_dict("records")])
    shown = {"part": "Of", "start": one.before, "end": one.after, "change": "Change", "most": "Mostly"}
    if term != "change":
        shown = {"part": "Of", term: _WORDS[term].capitalize(), "change": "Change", "most": "Mostly"}
    with ui.card(title, f"In {fmt.plain(one.currency)}, what moved most first.", stretch=True):
        frames.table(frame, shown, f"{title}: before, after and change", "Nothing moved.",
                     {"Of": 150, one.before: 84, one.after: 84, "Change": 76, "Mostly": 170}, most_rows=11)  # fmt: skip


def _largest(row: dict[object, object]) -> str:
    """The term that moved most, with its amount."""
    term = max(TERMS, key=lambda t: abs(frames.number(row[t]) or 0.0))
    amount = frames.number(row[term]) or 0.0
    return f"{_WORDS[term]} {'+' if amount > 0 else '−'}{abs(amount):,.0f}" if round(amount, 2) else fmt.NONE


def _skus(rows: pd.DataFrame, one: Compared, term: str) -> None:
    frame = rows.assign(
        owner=[owner(k, n) for k, n in zip(rows["kind"], rows["name"], strict=True)],
        change=_changes(rows),
    )
    frame = frames.dearest(frame, term, either_way=True)
    heads = {"owner": "Of", "sku": "SKU", "change": "Change", "start": one.before,
             **{t: w.capitalize() for t, w in _WORDS.items()}, "end": one.after, "charge": "Charge",
             "provider_service": "Provider's service"}  # fmt: skip
    heads = frames.filled(frame, heads, TERMS)
    note = (
        f"In {fmt.plain(one.currency)}, with the terms that moved anything; each row adds up by itself. "
        "SKUs that moved little are one row a service."
    )
    with ui.card("SKU by SKU", note):
        widths = {"Of": 120, "Provider's service": 200, "SKU": 190, "Charge": 66, one.before: 80, one.after: 80,
                  "Volume": 68, "Efficiency": 72, "Mix": 68, "List rate": 68, "Negotiated rate": 108,
                  "Commitment rate": 112, "New and ended": 104, "One off": 68, "Change": 72}  # fmt: skip
        frames.table(frame, heads, "The bridge by SKU: start, the eight terms, end", "Nothing moved.", widths, 12)


def _changes(rows: pd.DataFrame) -> pd.Series:
    found = [frames.total([e]) - frames.total([s]) for s, e in zip(rows["start"], rows["end"], strict=True)]
    return pd.Series(found, index=rows.index, dtype=object)


def _strayed(plan: Plan) -> None:
    frame = frames.dearest(plan.frame("spend_anomalies"), "extra", either_way=True)
    note = "The last two settled weeks of each SKU against the four weeks before; the term is what is behind it."
    with ui.card("What strayed of late", note):
        frame = frame.assign(said=[frames.text(w) for w in frame["words"]],
                             behind=[frames.text(t).replace("_", " ") for t in frame["term"]])  # fmt: skip
        heads = {"service": "Service", "extra": "Beyond expected", "currency": "Currency", "first_day": "From",
                 "last_day": "To", "behind": "Term", "said": "In words"}  # fmt: skip
        widths = {"Service": 124, "Beyond expected": 105, "Currency": 62, "Term": 100, "In words": 530}
        frames.table(frame, heads, "SKUs that cost more or less than was to be expected, the most money first",
                     "No SKU strayed from what was to be expected, or this plan was made before they were looked at.",
                     widths, 6, lines=4)  # fmt: skip
