"""Charts of money: spend to come, the mix, unit cost, where the bill goes, and scenarios side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from capacity.charts._theme import (
    INKS,
    Theme,
    floats,
    legend_columns,
    nothing,
    series_scales,
    styled,
    unit_label,
    visible,
)
from capacity.plan import Plan, SpendMonth, UnitPlan

if TYPE_CHECKING:
    import altair as alt

MAX_UNITS = 20
MAX_LINES = 8
MAX_SERVICES = 20
# Prices that lie further apart than this would leave all but the dearest flat on the floor of a linear scale.
LOG_FROM = 20


def _money_axis() -> Any:
    """0, 10k, 20k: few ticks, that do not meet on a narrow page."""
    import altair as alt

    return alt.Axis(labelExpr="format(datum.value, '~s')", tickCount=6, labelOverlap=True)


def _months_axis() -> Any:
    import altair as alt

    # Thirteen months on half a page: every other one is named rather than all run together.
    return alt.Axis(labelAngle=0, labelOverlap=True, labelSeparation=8)


def _names_axis() -> Any:
    import altair as alt

    return alt.Axis(domain=False, ticks=False)


def spend_months(spend: Sequence[SpendMonth], theme: Theme = "light") -> alt.LayerChart:
    """Median spend of each coming month as a bar, P10 to P90 as whiskers, the budget as a thick tick."""
    import altair as alt

    if not spend:
        return nothing("No spend forecast", theme)
    ink = INKS[theme]
    frame = _spend_frame(spend)
    keys = ["P50 spend", "P10 to P90", "budget"]
    scale = alt.Scale(domain=keys, range=[ink.band80, ink.text, ink.limit])
    colour = alt.Color("key:N", scale=scale, legend=alt.Legend(symbolType="square"))
    x = alt.X("month:O", sort=list(frame["month"]), title=None, axis=_months_axis())
    base = {key: alt.Chart(frame.assign(key=key)).encode(x=x) for key in keys}
    tips = [alt.Tooltip("month:O"), *(alt.Tooltip(f"{q}:Q", format=",.0f") for q in ("q10", "q50", "q90", "budget")),
            alt.Tooltip("over:Q", format=".0%", title="P(over budget)")]  # fmt: skip
    title = " and ".join(sorted({s.currency for s in spend})) + " a month"
    y = alt.Y("q50:Q", title=title, axis=_money_axis())
    whiskers, budgets = base[keys[1]], alt.Chart(frame.assign(key=keys[2]).dropna(subset=["budget"])).encode(x=x)
    layers = [
        base[keys[0]].mark_bar(width={"band": 0.5}).encode(y=y, color=colour, tooltip=tips),
        whiskers.mark_rule(strokeWidth=1.5).encode(y=alt.Y("q10:Q"), y2=alt.Y2("q90:Q"), color=colour),
        *(
            whiskers.mark_tick(thickness=1.5, width=10, color=ink.text).encode(y=alt.Y(f"{q}:Q"))
            for q in ("q10", "q90")
        ),
        budgets.mark_tick(thickness=3, width={"band": 0.75}).encode(y=alt.Y("budget:Q"), color=colour),
        budgets.mark_text(dy=-9, fontSize=11, color=ink.limit).encode(y=alt.Y("top:Q"), text=alt.Text("label:N")),
    ]
    return styled(alt.layer(*layers), theme)


def _spend_frame(spend: Sequence[SpendMonth]) -> pd.DataFrame:
    """A row a month; months carry their currency where there are several, which are never added."""
    several = len({s.currency for s in spend}) > 1
    frame = pd.DataFrame([
        {"month": f"{s.month} {s.currency}" if several else s.month, "q10": s.q10, "q50": s.q50, "q90": s.q90,
         "budget": s.budget, "over": s.over_budget,
         "label": "" if s.over_budget is None else f"P(over) {s.over_budget:.0%}"}
        for s in spend
    ])  # fmt: skip
    frame["budget"], frame["over"] = floats(frame["budget"]), floats(frame["over"])
    return frame.assign(top=frame[["q90", "budget"]].max(axis=1))


def mix_compare(
    units: Sequence[UnitPlan], theme: Theme = "light", months: float | None = None, currency: str = "USD"
) -> alt.LayerChart:
    """What each unit's running and recommended instances cost, dearest first.

    Parameters
    ----------
    months
        Length of the horizon: the amounts are then a month's; absent, the horizon's.
    currency
        The plan's.
    """
    import altair as alt

    paid = [u for u in units if u.running_usd or u.recommended_usd]
    if not paid:
        return nothing("No unit runs instances", theme)
    ink = INKS[theme]
    paid = sorted(paid, key=lambda u: (-max(u.running_usd, u.recommended_usd), u.unit))[:MAX_UNITS]
    keys = ["running", "recommended"]
    frame = pd.DataFrame([
        {"unit": unit_label(u.service, u.region), "key": key, "usd": usd / (months or 1.0)}
        for u in paid
        for key, usd in zip(keys, (u.running_usd, u.recommended_usd), strict=True)
    ])  # fmt: skip
    frame["label"] = [f"{usd:,.0f}" for usd in frame["usd"]]
    base = alt.Chart(frame).encode(
        y=alt.Y("unit:N", sort=list(dict.fromkeys(frame["unit"])), title=None, axis=_names_axis()),
        yOffset=alt.YOffset("key:N", sort=keys),
        x=alt.X("usd:Q", title=f"{visible(currency)} {'a month' if months else 'over the horizon'}", axis=_money_axis(),
                scale=alt.Scale(domain=[0, float(frame["usd"].max()) * 1.12], nice=False)),
    )  # fmt: skip
    bars = base.mark_bar().encode(
        color=alt.Color(
            "key:N", scale=alt.Scale(domain=keys, range=[ink.plain, ink.line]), legend=alt.Legend(symbolType="square")
        ),
        tooltip=[alt.Tooltip("unit:N"), alt.Tooltip("key:N"), alt.Tooltip("usd:Q", format=",.0f")],
    )
    text = base.mark_text(align="left", dx=4, fontSize=10, color=ink.text).encode(text=alt.Text("label:N"))
    return styled(alt.layer(bars, text), theme, alt.Step(15, **{"for": "offset"}))


def unit_cost_trend(
    unit_cost: pd.DataFrame, services: Sequence[str] | None = None, theme: Theme = "light"
) -> alt.LayerChart:
    """Cost of 1,000 units of demand by closed month; the dearest services by cost where none are named.

    Parameters
    ----------
    unit_cost
        month, service, currency, effective_cost, usd_per_1000.
    """
    import altair as alt

    frame = pd.DataFrame({c: unit_cost[c].map(visible) for c in ("month", "service", "currency")})
    frame["cost"], frame["per"] = floats(unit_cost["effective_cost"]), floats(unit_cost["usd_per_1000"])
    frame = frame.dropna(subset=["per"])
    dearest = frame.groupby("service", sort=True)["cost"].sum().sort_values(ascending=False, kind="stable")
    asked = list(dearest.index) if services is None else [visible(s) for s in services]
    names = [s for s in asked if s in dearest.index][:MAX_LINES]
    frame = frame[frame["service"].isin(names)]
    if frame.empty:
        return nothing("No unit cost: a bill and a count of requests are needed for the same month", theme)
    scales, legend = series_scales(names, theme), alt.Legend(symbolStrokeWidth=0, columns=legend_columns(names))
    per = f"{' and '.join(sorted(frame['currency'].unique()))} per 1,000"
    wide = bool(frame["per"].min() > 0 and frame["per"].max() > LOG_FROM * frame["per"].min())
    scale = alt.Scale(type="log") if wide else alt.Scale(zero=True)
    axis = alt.Axis(title=f"{per} (log scale)" if wide else per, tickCount=6, labelOverlap=True, grid=not wide)
    base = alt.Chart(frame).encode(
        x=alt.X("month:O", sort=sorted(frame["month"].unique()), title=None, axis=_months_axis()),
        y=alt.Y("per:Q", scale=scale, axis=axis),
        color=alt.Color("service:N", scale=scales["color"], legend=legend),
        tooltip=[alt.Tooltip("service:N"), alt.Tooltip("month:O"), alt.Tooltip("per:Q", format=".4~g")],
    )  # fmt: skip
    line = base.mark_line(strokeWidth=2).encode(strokeDash=alt.StrokeDash("service:N", scale=scales["dash"]))
    points = base.mark_point(size=50, filled=True).encode(shape=alt.Shape("service:N", scale=scales["shape"]))
    return styled(alt.layer(line, points), theme)


_KINDS = ("direct", "shared", "unallocated")


def cost_stack(cost: pd.DataFrame, theme: Theme = "light", by: Literal["month", "service"] = "month") -> alt.LayerChart:
    """Effective cost of the bill, direct, shared and unallocated, by month or by service of the last month.

    Parameters
    ----------
    cost
        month, currency, service, kind, EffectiveCost. Currencies are never added: the first is drawn.
    """
    import altair as alt

    frame = pd.DataFrame({c: cost[c].map(visible) for c in ("month", "currency", "service", "kind")})
    frame["usd"] = floats(cost["EffectiveCost"])
    if frame.empty:
        return nothing("No closed month of a bill", theme)
    ink = INKS[theme]
    currency = min(frame["currency"])
    frame = frame[frame["currency"] == currency]
    frame = _by_month(frame) if by == "month" else _by_service(frame)
    groups = list(dict.fromkeys(frame["group"]))
    colour = alt.Color("kind:N", scale=alt.Scale(domain=list(_KINDS), range=[ink.line, ink.plain, ink.limit]),
                       legend=alt.Legend(symbolType="square"))  # fmt: skip
    tips = [alt.Tooltip("group:N", title=by), alt.Tooltip("kind:N"), alt.Tooltip("usd:Q", format=",.2f")]
    money: dict[str, Any] = {"title": f"{currency}, effective cost", "axis": _money_axis()}
    order = alt.Order("rank:Q")
    if by == "month":
        bars = alt.Chart(frame).mark_bar(width={"band": 0.6}).encode(
            x=alt.X("group:O", sort=groups, title=None, axis=_months_axis()), y=alt.Y("usd:Q", **money),
            color=colour, order=order, tooltip=tips)  # fmt: skip
        return styled(alt.layer(bars), theme)
    bars = alt.Chart(frame).mark_bar().encode(
        y=alt.Y("group:N", sort=groups, title=None, axis=_names_axis()), x=alt.X("usd:Q", **money),
        color=colour, order=order, tooltip=tips)  # fmt: skip
    return styled(alt.layer(bars), theme, alt.Step(22))


def _by_month(frame: pd.DataFrame) -> pd.DataFrame:
    sums = frame.groupby(["month", "kind"], sort=True)["usd"].sum().reset_index()
    return _ranked(sums.rename(columns={"month": "group"}))


def _by_service(frame: pd.DataFrame) -> pd.DataFrame:
    """The last month by service, dearest first; the rest as one, so that the bars still add up to the bill."""
    last = frame[frame["month"] == frame["month"].max()]
    last = last.assign(group=last["service"].where(last["service"].str.len() > 0, "(no service)"))
    sums = last.groupby("group", sort=True)["usd"].sum().sort_values(ascending=False, kind="stable")
    keep = set(sums.index[:MAX_SERVICES])
    rest = f"{len(sums) - len(keep)} other services"
    last = last.assign(group=last["group"].where(last["group"].isin(keep), rest))
    out = last.groupby(["group", "kind"], sort=True, as_index=False)["usd"].sum()
    rank = {name: i for i, name in enumerate([*sums.index[:MAX_SERVICES], rest])}
    return _ranked(out.sort_values("group", key=lambda c: c.map(rank), kind="stable"))


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(rank=[_KINDS.index(k) if k in _KINDS else len(_KINDS) for k in frame["kind"]])


def scenario_compare(plans: Mapping[str, Plan], theme: Theme = "light") -> alt.LayerChart:
    """What each scenario's recommended mix costs over the horizon, with its risk beside the bar."""
    import altair as alt

    rows = [
        {
            "scenario": visible(name),
            "usd": plan.mix.recommended_usd,
            "label": f"{plan.mix.recommended_usd:,.0f}",
            "risk": _risk(plan),
        }
        for name, plan in plans.items()
        if plan.mix is not None
    ]
    if not rows:
        return nothing("No scenario has an instance mix", theme)
    ink = INKS[theme]
    frame = pd.DataFrame(rows)
    base = alt.Chart(frame).encode(y=alt.Y("scenario:N", sort=list(frame["scenario"]), title=None, axis=_names_axis()))
    currency = " and ".join(sorted({visible(p.currency) for p in plans.values()}))
    x = alt.X("usd:Q", title=f"{currency} over the horizon, recommended mix", axis=_money_axis(),
              scale=alt.Scale(domain=[0, float(frame["usd"].max()) * 1.15], nice=False))  # fmt: skip
    bars = base.mark_bar(color=ink.line, height=16).encode(
        x=x, tooltip=[alt.Tooltip("scenario:N"), alt.Tooltip("usd:Q", format=",.0f"), alt.Tooltip("risk:N")]
    )
    text = base.mark_text(align="left", dx=6, fontSize=11, color=ink.text).encode(x=x, text=alt.Text("label:N"))
    risk = base.mark_text(align="left", dx=3, dy=17, fontSize=11, color=ink.muted)
    return styled(alt.layer(bars, text, risk.encode(x=alt.XValue(0), text=alt.Text("risk:N"))), theme, alt.Step(52))


def _risk(plan: Plan) -> str:
    passed = sum(u.first_limit is not None for u in plan.units)
    heads = [u.headroom_min_frac for u in plan.units if u.headroom_min_frac is not None]
    no_go = sum(not v.go for e in plan.events for v in e.verdicts)
    words = [f"{passed} of {len(plan.units)} pass a limit"]
    words += [f"least headroom {min(heads):.0%}".replace("-", "−")] if heads else []
    words += [f"{no_go} NO-GO"] if no_go else []
    return " · ".join(words)
