"""Whose cost it is: what no rule takes, what each rule took, and how shared pools were split."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from capacity.plan import CostMonth, Plan
from capacity.ui import _costs as costs
from capacity.ui import _format as fmt
from capacity.ui import _frames as frames
from capacity.ui import _widgets as ui

NO_POOLS = "No pool was split in this month, or this plan was made before it was kept how pools are split."
NO_RULES = "No rule took a row of this month, or this plan was made before hits were counted."


def draw(plan: Plan, month: CostMonth) -> None:
    """The whole view."""
    unallocated(plan)
    left, right = st.columns([1, 1])
    with left:
        _rules(plan, month)
    with right:
        pools(plan, month)
    _steps(plan, month)


def unallocated(plan: Plan) -> None:
    """The largest pieces that no rule takes, each with a rule that would."""
    frame = costs.unallocated(plan)
    note = "The largest pieces that no rule takes, over all closed months, each with a rule to copy into the config."
    with ui.card("Unallocated spend", note):
        ui.table(
            frame,
            "Unallocated spend with suggested rules",
            {"Suggested rule": st.column_config.TextColumn(width=560), "Cost": ui.money_column(plan.currency, 2)},
            "Every row of the bill is allocated.",
            most_rows=6,
            lines=3,
        )


def _of(plan: Plan, name: str, month: CostMonth) -> pd.DataFrame:
    return frames.only(plan.frame(name), month=month.month, currency=month.currency)


def _rules(plan: Plan, month: CostMonth) -> None:
    rows = frames.dearest(_of(plan, "rule_hits", month), "EffectiveCost")
    idle = [str(r) for r, n in zip(rows["rule"], rows["rows"], strict=True) if not n]
    with ui.card(f"Rules in {month.month}", "What each rule took; the first that matches takes a row.", stretch=True):
        if idle:
            st.caption(fmt.plain(f"Took nothing: {frames.listed(idle, 6)}."))
        heads = {"rule": "Rule", "target": "To", "rows": "Rows", "EffectiveCost": "Cost"}
        frames.table(rows, heads, "Rules by the money that they took", NO_RULES,
                     {"Rule": 180, "To": 150, "Rows": 58, "Cost": 98}, most_rows=10)  # fmt: skip


def summary(steps: pd.DataFrame) -> pd.DataFrame:
    """A row a pool: what was in it, in how many parts it went to whom, and by what; the largest first."""
    out = []
    for pool, part in steps.groupby("pool", sort=True) if len(steps) else ():
        kinds = part["to_kind"].value_counts()
        words = [f"{kinds[k]} {k}{'s' if kinds[k] > 1 else ''}" for k in ("service", "pool") if k in kinds]
        nobody = frames.total(part.loc[~part["to_kind"].isin(["service", "pool"]), "EffectiveCost"])
        out.append({
            "pool": pool, "amount": frames.total(part["EffectiveCost"]), "to": " and ".join(words) or "nobody",
            "nobody": nobody, "method": "; ".join(dict.fromkeys(frames.text(m) for m in part["method"])),
        })  # fmt: skip
    return frames.dearest(pd.DataFrame(out, columns=["pool", "amount", "to", "nobody", "method"]), "amount")


def pools(plan: Plan, month: CostMonth) -> None:
    """Each shared pool in a row."""
    frame = summary(_of(plan, "pool_steps", month))
    note = "What was in each pool, to whom it went, and by what. What a pool passes on is in the next one too."
    with ui.card(f"Shared pools in {month.month}", note, stretch=True):
        heads = {"pool": "Pool", "amount": "In it", "to": "Split among", "method": "By"}
        if len(frame) and any(frame["nobody"] != 0):
            heads["nobody"] = "To nobody"
        widths = {"Pool": 120, "In it": 96, "Split among": 150, "By": 200, "To nobody": 84}
        frames.table(frame, heads, "Shared pools and how each was split", NO_POOLS, widths, most_rows=9)


def _steps(plan: Plan, month: CostMonth) -> None:
    steps = _of(plan, "pool_steps", month)
    if steps.empty:
        return
    with ui.card("How one pool was split", "To check a pool: every part of it, with its share."):
        names = [str(p) for p in summary(steps)["pool"]]
        chosen = frames.choice("Pool", names, "pool", width=320)
        rows = frames.dearest(frames.only(steps, pool=chosen), "EffectiveCost", either_way=True)
        whole = frames.total(rows["EffectiveCost"])
        shares = sum(frames.number(s) or 0.0 for s in rows["share_frac"])
        st.text(f"{fmt.count(len(rows), 'part')}, {fmt.percent(shares, 1)} of the pool: "
                f"{fmt.exact(whole, month.currency)} in all.")  # fmt: skip
        heads = {"to": "To", "to_kind": "Which is", "share_frac": "Share", "EffectiveCost": "Cost", "method": "By"}
        share = ui.chance("Share", "Part of what was in the pool")
        frames.table(rows, heads, "Parts of the pool", NO_POOLS,
                     {"To": 200, "Which is": 90, "Cost": 110, "By": 460}, 10, instead={"Share": share})  # fmt: skip
