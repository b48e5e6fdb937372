"""Where a figure comes from: the sources of its data, their newest point and its age, in one line."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from capacity.plan import Freshness, Plan
from capacity.ui import _format as fmt

# What the frames of the store are called in a meeting.
_CALLED = {"usage": "usage", "cost": "bill", "fleet": "fleet", "prices": "prices", "commitments": "commitments",
           "quotas": "quotas"}  # fmt: skip


def said(plan: Plan, *wanted: str) -> str:
    """As of when, and each frame's source with its newest point and age; stale ones say so.

    Frames that no source is recorded of are left out.
    """
    parts = [f"As of {fmt.moment(plan.as_of)}"]
    for frame in wanted:
        found = [f for f in plan.freshness if f.frame == frame]
        if found:
            called = _CALLED.get(frame, frame)
            parts.append(f"{called} {_one(found, called)}")
    return "  ·  ".join(parts)


def _one(found: Sequence[Freshness], called: str) -> str:
    """One source by its name, where that says more than the frame's; of several how many, and the oldest."""
    oldest = max(found, key=lambda f: (f.age_days is None, f.age_days or 0.0))
    name = fmt.shorten(fmt.visible(oldest.source), 32)
    whose = "" if name == called else f"from {name} "
    if len(found) > 1:
        whose = f"from {len(found)} sources, the oldest {name}, "
    if oldest.last_point is None:
        return f"{whose}without any point{', stale' if oldest.stale else ''}"
    point = f"to {fmt.moment(oldest.last_point)}, {fmt.age(oldest.age_days)} old"
    return f"{whose}{point}{', stale' if oldest.stale else ''}"


def line(plan: Plan, *wanted: str) -> None:
    """:func:`said` in small print, below what it is of."""
    st.caption(f":small[{fmt.plain(said(plan, *wanted))}]")


def help_text(plan: Plan, words: str, *wanted: str) -> str:
    """``words`` of ours with :func:`said` behind them, for a card's help."""
    return f"{words} {fmt.plain(said(plan, *wanted))}."
