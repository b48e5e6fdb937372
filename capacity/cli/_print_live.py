"""What ``capacity backtest --live`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.cli import _print
from capacity.words import percent

if TYPE_CHECKING:
    from capacity.pipeline import LiveReport

# Series in a table for people; --json has them all.
SHOWN = 20


def live(found: LiveReport) -> None:
    """Scores by lead, the series that did worst, FinOps grades of spend, and what has drifted."""
    span = f"{found.first:%Y-%m-%d}" + ("" if found.origins == 1 else f" to {found.last:%Y-%m-%d}")
    _print.line(f"Forecasts stored from {found.origins} days ({span}), against what came", "bold")
    _pooled(found.pooled)
    _series(found.by_lead)
    _grades(found.grades)
    _alarms(found.alarms)


def _pooled(frame: pd.DataFrame) -> None:
    if frame.empty:
        return
    _print.table(
        "All series, by days ahead (± one standard error, from independent pieces of the calendar)",
        ("target", "days ahead", "series", "days", "WAPE", "variance", "bias", "in the 80 %", "in the 95 %"),
        [
            (r["target"], r["lead"], r["series"], f"{r['n']:,}", _share(r["wape"]), _share(r["variance_frac"]),
             _signed(r["bias_frac"]), _cover(r, "c80"), _cover(r, "c95"))
            for r in frame.to_dict("records")
        ],
        right=(2, 3, 4, 5, 6, 7, 8),
    )  # fmt: skip


def _series(frame: pd.DataFrame) -> None:
    if frame.empty:
        return
    worst = frame.sort_values("wape", ascending=False, kind="stable").head(SHOWN)
    _print.table(
        "Largest errors" if len(frame) > SHOWN else "By series",
        ("series", "metric", "days ahead", "days", "pieces", "WAPE", "bias", "in the 80 %", "in the 95 %"),
        [
            (_name(r), f"{r['metric']} {r['target']}", r["lead"], f"{r['n']:,}", r["blocks"], _share(r["wape"]),
             _signed(r["bias_frac"]), _cover(r, "c80"), _cover(r, "c95"))
            for r in worst.to_dict("records")
        ],
        right=(3, 4, 5, 6, 7, 8),
    )  # fmt: skip


def _grades(frame: pd.DataFrame) -> None:
    if frame.empty:
        return
    _print.table(
        "Spend by month: FinOps variance |actual - forecast| / forecast",
        ("service", "months ahead", "months", "variance", "bias", "in the 80 %", "grade"),
        [
            (r["service"], r["months_ahead"], r["months"], _share(r["variance_frac"]), _signed(r["bias_frac"]),
             _share(r["covered_frac"]), r["grade"])
            for r in frame.to_dict("records")
        ],
        right=(1, 2, 3, 4, 5),
    )  # fmt: skip


def _alarms(frame: pd.DataFrame) -> None:
    ringing = frame[frame["alarm"].astype(bool)] if len(frame) else frame
    if frame.empty:
        _print.line("Drift: nothing to judge yet; a forecast is judged when its first week has come in")
        return
    if ringing.empty:
        _print.line(f"Drift: none of {len(frame)} series; an alarm is false at most once in 20 quarters a series")
        return
    _print.table(
        f"Drift: {len(ringing)} of {len(frame)} series no longer hold what their intervals promise",
        ("series", "metric", "actuals are", "since", "actual against P50", "evidence (alarm from)"),
        [
            (_name(r), f"{r['metric']} {r['target']}", r["says"], f"{r['since']:%Y-%m-%d}", _signed(r["bias_frac"]),
             f"{r['evidence']:,.3g} ({r['threshold']:.0f})")
            for r in ringing.head(SHOWN).to_dict("records")
        ],
        right=(4, 5),
    )  # fmt: skip


def document(found: LiveReport) -> dict[str, Any]:
    """What ``--json`` prints: every frame as records."""
    frames = ("pooled", "by_lead", "months", "grades", "alarms")
    return {
        "origins": found.origins,
        "first_origin": found.first,
        "last_origin": found.last,
        **{name: getattr(found, name).to_dict("records") for name in frames},
    }


def _name(row: Mapping[Any, Any]) -> str:
    return f"{row['service']}/{row['region']}" if row["region"] else str(row["service"])


def _share(value: float) -> str:
    return "–" if pd.isna(value) else percent(value)


def _signed(value: float) -> str:
    return "–" if pd.isna(value) else percent(value, signed=True)


def _cover(row: Mapping[Any, Any], name: str) -> str:
    error = row[f"{name}_se"]
    return f"{row[name]:.0%} ± {'?' if pd.isna(error) else f'{error:.0%}'}"
