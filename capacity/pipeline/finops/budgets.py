"""What was spent by month, what is to come against the budgets, and how good such forecasts were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd

from capacity import costs, words
from capacity.config import Config
from capacity.costs import Beside, Budget, Outlook, OutlookRow
from capacity.pipeline import bill_days
from capacity.pipeline.finops.aws_forecast import AwsMonth, aws_months
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.parts import Parts
from capacity.pipeline.spend_widths import SHARED, spend_groups
from capacity.plan import FRAMES

RUNNING = "running"
# service -> month -> part -> amount
Billed = Mapping[str, Mapping[str, Mapping[str, Decimal]]]


def past_spend(past: Past) -> dict[str, pd.DataFrame]:
    """Frame ``spend_actual``: what each service was billed for by month, exactly, up to its last whole day."""
    inputs = past.inputs
    found = bill_days.spent(inputs)
    if found.daily.empty:
        return {}
    newest = pd.Timestamp(found.daily["day"].max())
    last: dict[str, date] = dict.fromkeys([str(o) for o in found.daily["owner"].unique()], newest.date())
    last |= {owner: values.index[-1].date() for owner, values in found.running.items()}
    names = [s.name for s in inputs.config.services]
    frame = costs.exact_months(inputs.cost, inputs.config.costs, names, last, SHARED)
    frame = frame[frame["currency"] == inputs.config.currency].reset_index(drop=True)
    frame = frame[[part == RUNNING or amount != 0 for part, amount in zip(frame["part"], frame["amount"], strict=True)]]
    return {"spend_actual": frame.assign(last_day=pd.to_datetime([last[o] for o in frame["service"]]))}


def coming_budgets(parts: Parts) -> dict[str, pd.DataFrame]:
    """Frames ``budget_outlook`` and ``spend_backtest``; empty where there is no bill."""
    config, groups = parts.inputs.config, spend_groups(parts.base.spend, parts.spend_history, parts.inputs.config)
    actual = parts.past.get("spend_actual")
    if not groups or actual is None or actual.empty:
        return {}
    scores = costs.scored(groups)
    billed = _billed(actual)
    outlooks = list(costs.outlooks(groups, costs.widths(scores)))
    rows: list[tuple[Any, ...]] = []
    for one in outlooks:
        rows += _of_group(parts, one, billed, config)
    backtest = pd.DataFrame(costs.backtest(scores), columns=list(FRAMES["spend_backtest"]))
    return {
        "budget_outlook": pd.DataFrame(rows, columns=list(FRAMES["budget_outlook"])).astype({"p_over": float}),
        "spend_backtest": backtest.astype(
            dict.fromkeys(("variance_frac", "naive_variance_frac", "coverage80_frac"), float)
        ),
    }


def _billed(actual: pd.DataFrame) -> Billed:
    out: dict[str, dict[str, dict[str, Decimal]]] = {}
    for service, month, part, amount in zip(*(actual[c] for c in ("service", "month", "part", "amount")), strict=True):
        out.setdefault(service, {}).setdefault(month, {})[part] = amount
    return out


def _of_group(parts: Parts, one: Outlook, billed: Billed, config: Config) -> list[tuple[Any, ...]]:
    own = {s: m for s, m in billed.items() if s in one.members}
    running = _added({s: {m: p[RUNNING] for m, p in months.items() if RUNNING in p} for s, months in own.items()})
    budgets = {
        (b.period_kind, b.period): Budget(b.amount, b.includes)
        for b in config.budgets
        if (b.level, b.name) == (one.level, "" if one.level == "company" else one.name)
    }
    more: dict[str, float] = {}
    for (service, month), money in parts.added.items():
        if service in one.members or one.level == "company":
            more[month] = more.get(month, 0.0) + money
    is_company = one.level == "company"
    needed = is_company or any(b.includes == "all" for b in budgets.values())
    calendar = config.calendar
    plain = list(costs.outlook_rows(one, config.currency, running, {}, more, {}, calendar)) if needed else []
    beside = _beside(own if not is_company else billed, plain, parts.money.months, config.currency) if needed else {}
    rows = list(costs.outlook_rows(one, config.currency, running, budgets, more, beside, calendar))
    aws = _aws(parts, one, running, beside) if is_company else {}
    return [_row(r, aws.get(r.period), beside, config.currency) for r in rows]


def _added(amounts: Mapping[str, Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Month -> the services' amounts added, exactly."""
    out: dict[str, list[Decimal]] = {}
    for months in amounts.values():
        for month, amount in months.items():
            out.setdefault(month, []).append(amount)
    return {month: costs.exact_sum(values) for month, values in out.items()}


def _row(row: OutlookRow, aws: AwsMonth | None, beside: Mapping[str, Beside], currency: str) -> tuple[Any, ...]:
    """In the columns of the frame; AWS's month stands beside ours of the same charges."""
    mean, low, high, text = aws or (None, None, None, "")
    if aws is not None:
        alike = row.q50
        if row.basis.startswith(costs.RUNNING_BASIS) and row.period in beside:
            alike += float(beside[row.period].billed) + beside[row.period].assumed
        off = (aws.mean - alike) / alike if alike else 0.0
        side = "above" if off >= 0 else "below"
        text += f"; {words.percent(abs(off))} {side} ours with the same charges ({words.money(alike, currency)})"
    found: dict[str, Any] = {**row._asdict(), "aws_mean": mean, "aws_low": low, "aws_high": high, "aws_words": text}
    return tuple(found[c] for c in FRAMES["budget_outlook"])


# --- tax, credits and the like -----------------------------------------------------------------------------


def _beside(billed: Billed, rows: Iterable[OutlookRow], closed: Sequence[str], currency: str) -> dict[str, Beside]:
    """Month -> what stands beside the group's running spend, as billed and, of coming months, as assumed."""
    history = [
        (pd.Timestamp(f"{month}-01"), part, float(amount))
        for months in billed.values()
        for month, by_part in months.items()
        for part, amount in by_part.items()
    ]
    ahead = {r.period: r.q50 for r in rows if r.period_kind == "month"}
    frame = pd.DataFrame(history, columns=["day", "part", "effective_cost"])
    lines = costs.apart_months(frame, [m for m in closed if m not in ahead], ahead, currency)
    coming = lines[~lines["known"].astype(bool)]
    out: dict[str, Beside] = {}
    for month in sorted({m for months in billed.values() for m in months} | set(ahead)):
        parts = {p: costs.exact_sum(b[month].get(p, _ZERO) for b in billed.values() if month in b) for p in _APART}
        assumed = 0.0
        for part, amount in zip(*(coming[coming["month"] == month][c] for c in ("part", "amount")), strict=True):
            # What is assumed is of the whole month: a tax that is billed already is not assumed again.
            assumed += max(0.0, amount - float(parts[part])) if part == "tax" else amount
        out[month] = Beside(costs.exact_sum(parts.values()), assumed)
    return out


_ZERO = Decimal(0)
_APART = ("credit", "one_off", "refund", "tax")


# --- AWS's forecast ----------------------------------------------------------------------------------------


def _aws(
    parts: Parts, one: Outlook, running: Mapping[str, Decimal], beside: Mapping[str, Beside]
) -> dict[str, AwsMonth]:
    stored = parts.inputs.provider_forecast
    if stored.empty:
        return {}
    made_on = pd.Timestamp(stored["made_on"].max()).tz_localize(None)
    month, last = f"{made_on:%Y-%m}", one.first - pd.Timedelta(days=1)
    # Days between the last one billed and the day of the forecast at the mean day of late.
    gap = max(0, (made_on - max(one.first, made_on.replace(day=1))).days)
    spent = None
    if last >= made_on.replace(day=1) - pd.Timedelta(days=1):
        spent = float(running.get(month, _ZERO)) + one.mean * gap
        spent += float(beside[month].billed) if month in beside else 0.0
    found = aws_months(stored, parts.inputs.config.currency, spent)
    providers = _other_providers(parts)
    if providers:
        note = f"; the company's bills of {words.listed(providers)} are in ours alone"
        found = {m: a._replace(words=a.words + note) for m, a in found.items()}
    return found


def _other_providers(parts: Parts) -> list[str]:
    bill = parts.inputs.cost
    if "ProviderName" not in bill.column_names:
        return []
    names = {str(n) for n in bill["ProviderName"].unique().to_pylist() if n}
    return sorted(n for n in names if not n.casefold().startswith(("aws", "amazon")))
