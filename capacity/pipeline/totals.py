"""Spend by service, team and company, and demand by service, by month and quarter, from joint paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from capacity import costs, words
from capacity.config import Config
from capacity.domain import QUANTILES, Floats, SeriesForecast, Unit
from capacity.fiscal import CALENDAR, Calendar
from capacity.forecast import Total, aggregate
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.spend_widths import NO_TEAM as NO_TEAM
from capacity.pipeline.spend_widths import alive, spend_widths
from capacity.pipeline.spend_widths import team_of as team_of

LEVELS = ("company", "team", "service")
COLUMNS = ("level", "name", "measure", "unit", "month", "q10", "q50", "q90")
_AT = tuple(QUANTILES.index(q) for q in (0.1, 0.5, 0.9))

# (service, month YYYY-MM) -> money that a scenario's fleet adds to the bill as it runs.
Added = Mapping[tuple[str, str], float]


def spend_totals(
    spend: Mapping[str, SeriesForecast], history: Mapping[str, pd.Series], config: Config
) -> tuple[Total, ...]:
    """Totals of the base spend forecasts (whose paths are calibrated); months in progress with what was spent.

    Intervals of months and quarters are widened by what past origins show, as everywhere else.
    """
    spend = alive(spend)
    if not spend:
        return ()
    begin = min(values.index[0] for values in history.values())
    widths = spend_widths(spend, history, config)
    found = aggregate(
        spend,
        {name: (config.company, team_of(config, name), name) for name in spend},
        levels=LEVELS,
        units=dict.fromkeys(spend, config.currency),
        known={name: _spent(history[name], f.index[0], begin) for name, f in spend.items() if name in history},
        calibrated=True,
        calendar=config.calendar,
    )
    last = {name: f.index[0] - pd.Timedelta(days=1) for name, f in spend.items()}
    return tuple(_widened(t, widths, min(last[name] for name in t.members), config.calendar) for t in found)


def _widened(total: Total, widths: costs.Widths, last: pd.Timestamp, calendar: Calendar) -> Total:
    """``total`` with wider months and quarters; ``last`` is the last day before its horizon."""
    known = last.to_period("M")
    months = {p: (q, widths.of(total.level, total.name, (pd.Period(p, "M") - known).n)) for p, q in _months(total)}
    periods, named = {}, {p: (p, calendar.of("quarter", p)) for p in months}
    for period, q in total.periods.items():
        parts = [(f, float(m[_AT[2]] - m[_AT[0]])) for p, (m, f) in months.items() if period in named[p]]
        factor = costs.combined_width([f for f, _ in parts], [span for _, span in parts])
        periods[period] = costs.widened(q, factor, float(q[_AT[1]]))
    return replace(total, periods=periods)


def _months(total: Total) -> list[tuple[str, Floats]]:
    return [(p, q) for p, q in total.periods.items() if "Q" not in p]


def demand_totals(
    known: Mapping[Unit, Future], data: Mapping[Unit, UnitData], calendar: Calendar = CALENDAR
) -> tuple[Total, ...]:
    """Mean demand of each service over its regions.

    Services are not added: what one serves is, through the call graph, what another asked for.
    """
    forecasts: dict[str, SeriesForecast] = {}
    for service in sorted({unit.service for unit in known}):
        forecasts |= alive({str(unit): future.mean for unit, future in known.items() if unit.service == service})
    return aggregate(
        forecasts,
        {str(unit): (unit.service,) for unit in known},
        levels=("service",),
        units={str(unit): data[unit].unit_of_measure for unit in known},
        known={str(unit): _seen(data[unit].mean, future.mean) for unit, future in known.items()},
        combine="mean",
        calendar=calendar,
    )


def _spent(history: pd.Series, start: pd.Timestamp, begin: pd.Timestamp) -> dict[str, float]:
    """What was spent in each month before ``start`` that the bill, from ``begin`` on, has whole.

    Before its first charge a service cost nothing.
    """
    past = history[history.index < start]
    sums = past.groupby(words.month_names(pd.DatetimeIndex(past.index))).sum()
    months = pd.period_range(begin, start, freq="M")
    return {str(m): float(sums.get(str(m), 0.0)) for m in months if begin <= m.start_time < start}


def _seen(history: pd.Series, future: SeriesForecast) -> dict[str, float]:
    """Demand of the days before the horizon, a missing day taken for its month's mean."""
    past = history[history.index <= future.origin]
    months = words.month_names(pd.DatetimeIndex(past.index))
    filled = past.fillna(past.groupby(months).transform("mean"))
    sums, whole = filled.groupby(months).sum(min_count=1).dropna(), _begun(past)
    return {str(m): float(v) for m, v in sums.items() if str(m) in whole}


def _begun(past: pd.Series) -> set[str]:
    """Months whose first day is there."""
    return {f"{day:%Y-%m}" for day in past.index if day.day == 1}


def totals_frame(
    spend: tuple[Total, ...], demand: tuple[Total, ...], added: Added, calendar: Calendar = CALENDAR
) -> pd.DataFrame:
    """The plan's frame: a row a group and period; ``month`` is 2026-10, or a quarter as ``calendar`` calls it."""
    rows = [
        (t, "spend", period, q + _added(t, period, added, calendar)) for t in spend for period, q in t.periods.items()
    ]
    rows += [(t, "demand", period, q) for t in demand for period, q in t.periods.items()]
    found = [(t.level, t.name, measure, t.unit, period, *(float(q[i]) for i in _AT)) for t, measure, period, q in rows]
    frame = pd.DataFrame(found, columns=list(COLUMNS))
    order = {level: i for i, level in enumerate(LEVELS)}
    rank = frame["level"].map(order)
    frame = frame.assign(rank=rank).sort_values(
        ["measure", "rank", "name", "month"], ascending=[False, True, True, True]
    )
    return frame.drop(columns="rank").reset_index(drop=True)


def _added(total: Total, period: str, added: Added, calendar: Calendar) -> float:
    """Money of ``period`` that the scenario adds to the members of ``total``; what is nobody's is the company's."""
    return sum(
        money
        for (service, month), money in added.items()
        if period in (month, calendar.of("quarter", month)) and (service in total.members or total.level == "company")
    )
