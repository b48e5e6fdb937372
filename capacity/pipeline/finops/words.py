"""What the review of commitments and waste says in a plan's findings."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from capacity.plan import Finding, Plan
from capacity.words import money, plural

_KINDS = {
    "idle": "idle fleets", "oversized": "oversized fleets", "previous_generation": "previous generations",
    "storage": "storage", "address": "addresses and gateways", "commitment": "unused commitments",
}  # fmt: skip


def review_findings(plan: Plan) -> Iterator[Finding]:
    """What ends soon, and what is wasted, in a sentence each."""
    yield from _ends(plan)
    yield from _waste(plan)


def _ends(plan: Plan) -> Iterator[Finding]:
    frame = plan.frame("commitment_expiry")
    if frame.empty:
        return
    first = frame.iloc[0]
    others = f"; {plural(len(frame) - 1, 'more commitment')} end within 120 days" if len(frame) > 1 else ""
    more = None if pd.isna(first["monthly_more"]) else float(first["monthly_more"])
    yield Finding("watch", "cost", f"{first['words']}{others}", by=pd.Timestamp(first["end"]).date(), usd=more)


def _waste(plan: Plan) -> Iterator[Finding]:
    """In the plan's currency; what a bill shows in others stands in the table."""
    frame = plan.frame("waste")
    frame = frame[(frame["currency"] == plan.currency) & (frame["monthly_usd"] > 0)] if len(frame) else frame
    if frame.empty:
        return
    by_kind = frame.groupby("kind")["monthly_usd"].sum().sort_values(ascending=False, kind="stable")
    total, taken = float(frame["monthly_usd"].sum()), float(frame["in_plan_usd"].sum())
    text = (
        f"{money(total, plan.currency)} a month of waste is found at on-demand prices, most of it in "
        f"{_KINDS.get(str(by_kind.index[0]), str(by_kind.index[0]))} ({money(float(by_kind.iloc[0]), plan.currency)}); "
        f"the recommended mix takes {money(taken, plan.currency)} of it, within its own saving"
    )
    yield Finding("watch", "cost", text, usd=total)
