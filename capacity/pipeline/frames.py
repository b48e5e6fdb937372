"""The frames beside plan.json, in the columns that :data:`capacity.plan.FRAMES` promises."""

from __future__ import annotations

import pandas as pd

from capacity.domain import SeriesForecast, Unit
from capacity.pipeline.explain import explanation_frame
from capacity.pipeline.finops.coming import coming_frames
from capacity.pipeline.mix import tier_of, weekly_headroom
from capacity.pipeline.money import unallocated
from capacity.pipeline.occasions import occasions_frame
from capacity.pipeline.parts import Parts
from capacity.pipeline.surroundings import calls_frame, utilisation_frame, weekly_utilisation
from capacity.pipeline.totals import demand_totals, spend_totals, totals_frame
from capacity.plan import FRAMES


def frames(parts: Parts) -> dict[str, pd.DataFrame]:
    """Every frame of the plan; empty ones too."""
    built = {
        "forecast": _forecast_frame(parts),
        "history": _history_frame(parts),
        "headroom": _stacked([_weeks(parts, u) for u in parts.units if u in parts.needs], "headroom"),
        "load_tests": parts.load_tests.frame(),
        "saturation": _stacked([pd.DataFrame({"service": u.service, "region": u.region, "limit_name": c.limit_name,
                                              "ts": c.index, "probability": c.probability})
                                for u, o in sorted(parts.outlooks.items()) for c in o.curves], "saturation"),
        "blocks": _blocks_frame(parts),
        "cost": parts.money.allocation.frame if parts.money.allocation else _empty("cost"),
        "unit_cost": parts.money.unit_cost,
        "unallocated": unallocated(parts.money),
        "spend_forecast": parts.spend_by_service,
        "spend_apart": parts.spend_apart if len(parts.spend_apart) else _empty("spend_apart"),
        "excuses": pd.DataFrame([(u.service, u.region, e.instance_type, e.reason)
                                 for u, n in sorted(parts.needs.items()) for e in n.excuses],
                                columns=list(FRAMES["excuses"])),
        "explanation": _stacked(explanation_frame(parts.explained, sorted(parts.known)), "explanation"),
        "occasions": occasions_frame(parts),
        "totals": totals_frame(spend_totals(parts.base.spend, parts.spend_history, parts.inputs.config),
                               demand_totals(parts.known, parts.data, parts.inputs.config.calendar), parts.added,
                               parts.inputs.config.calendar),
        "anomalies": parts.anomalies if len(parts.anomalies) else _empty("anomalies"),
        "promise": parts.promise if len(parts.promise) else _empty("promise"),
        "quality": parts.inputs.quality,
        "headroom_months": parts.judged.headroom_months,
        "cost_curve": parts.judged.cost_curve,
        "purchases": parts.purchases.purchases,
        "purchase_sizes": parts.purchases.purchase_sizes,
        "coverage_ahead": parts.purchases.coverage_ahead,
        "headroom_curve": parts.judged.headroom_curve,
        "past_forecast": parts.past_forecast if len(parts.past_forecast) else _empty("past_forecast"),
        "calls": calls_frame(parts),
        "utilisation": utilisation_frame(parts),
        "purchase_refusals": parts.purchases.purchase_refusals,
        "requirement_prices": parts.reasons.requirement_prices,
        "alternatives": parts.reasons.alternatives,
        "alternative_mix": parts.reasons.alternative_mix,
        "type_choice": parts.reasons.type_choice,
        "tie_services": parts.tie_services if len(parts.tie_services) else _empty("tie_services"),
        "plan_total": parts.plan_total if len(parts.plan_total) else _empty("plan_total"),
        **_mix_frames(parts),
        **parts.past,
        **coming_frames(parts),
    }  # fmt: skip
    built |= {name: _empty(name) for name in FRAMES if name not in built}
    return {name: _in_shape(name, frame) for name, frame in built.items()}


def _weeks(parts: Parts, unit: Unit) -> pd.DataFrame:
    weeks = weekly_headroom(parts.data_of(unit), parts.future_of(unit), parts.needs[unit].safe.normal.mid)
    return weeks if unit in parts.pools else weekly_utilisation(weeks, parts, unit)


def _in_shape(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The promised columns first and in order; further columns a stage gives stay behind them."""
    first = [c for c in FRAMES[name] if c in frame.columns]
    missing = {c: None for c in FRAMES[name] if c not in frame.columns}
    rest = [c for c in frame.columns if c not in first]
    return frame[[*first, *rest]].assign(**missing).reset_index(drop=True)


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(FRAMES[name]))


def _stacked(found: list[pd.DataFrame], name: str) -> pd.DataFrame:
    return pd.concat(found, ignore_index=True) if found else _empty(name)


def _forecast_frame(parts: Parts) -> pd.DataFrame:
    found = []
    for unit in parts.units:
        future, metric = parts.future_of(unit), parts.data_of(unit).service.demand_metric
        for target, forecast in (("mean", future.mean), ("peak", future.peak)):
            found.append(_quantile_rows(forecast, unit, metric, target, parts.change.name))
    for (unit, metric), forecast in sorted(parts.base.limits.items()):
        if unit in parts.known and metric != parts.data[unit].service.demand_metric:
            found.append(_quantile_rows(forecast, unit, metric, "peak", parts.change.name))
    for service, forecast in sorted(parts.base.spend.items()):
        found.append(_quantile_rows(forecast, Unit(service, ""), "effective_cost", "total", parts.change.name))
    return _stacked(found, "forecast")


def _quantile_rows(forecast: SeriesForecast, unit: Unit, metric: str, target: str, name: str) -> pd.DataFrame:
    frame = forecast.frame()
    return frame.assign(
        service=unit.service, region=unit.region, metric=metric, target=target, scenario=name,
        origin_ts=forecast.origin, model=forecast.model,
    )  # fmt: skip


def _history_frame(parts: Parts) -> pd.DataFrame:
    found = []
    for unit in parts.units:
        data = parts.data_of(unit)
        series = [("mean", data.service.demand_metric, data.mean), ("peak", data.service.demand_metric, data.peak)]
        series += [("peak", m, v) for m, v in sorted(data.limits.items()) if m != data.service.demand_metric]
        for target, metric, values in series:
            known = values.dropna()
            frame = pd.DataFrame({"target": target, "ts": known.index, "value": known.to_numpy(float)})
            found.append(frame.assign(service=unit.service, region=unit.region, metric=metric))
    return _stacked(found, "history")


def _blocks_frame(parts: Parts) -> pd.DataFrame:
    rows = [
        (
            u.service,
            u.region,
            b.month,
            b.block,
            b.hours,
            b.demand,
            b.demand / (1.0 - tier_of(parts.inputs.config, u).min_headroom_frac),
        )
        for u, need in sorted(parts.needs.items())
        for b in need.blocks
    ]
    return pd.DataFrame(rows, columns=list(FRAMES["blocks"]))


def _mix_frames(parts: Parts) -> dict[str, pd.DataFrame]:
    if parts.mix is None:
        return {name: _empty(name) for name in ("mix", "running", "spend_plan", "coverage")}
    solution, running = parts.mix.solution, parts.mix.running_spend
    keys = ["service", "region", "month"]
    spend = solution.spend.merge(
        running[[*keys, "total_usd"]].rename(columns={"total_usd": "running_total_usd"}), how="outer", on=keys
    )
    return {
        "mix": _without_unit(solution.provisioned),
        "running": _without_unit(solution.running),
        "spend_plan": _without_unit(spend),
        "coverage": parts.judged.coverage,
    }


def _without_unit(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=[c for c in ("unit",) if c in frame.columns])
