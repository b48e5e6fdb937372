"""What stands around a unit: who calls it and whom it calls, and why it may be as busy as it may."""

from __future__ import annotations

import pandas as pd

from capacity.config import ServiceConfig
from capacity.domain import Unit
from capacity.pipeline.parts import Parts
from capacity.plan import FRAMES
from capacity.saturation import CallGraph
from capacity.words import listed, number, percent, plural

# Beyond this share of itself a limit of utilisation is not the one that the SLO alone would give.
_SAME_FRAC = 0.005


def calls_frame(parts: Parts) -> pd.DataFrame:
    """The call graph by unit, in the columns of plan frame ``calls``: every edge of every unit that is planned.

    ``share_frac`` is the part of the callee's mean demand of the last four weeks that the edge explains: the caller's
    mean demand times its calls per request, over the callee's. It may pass 1 where calls per request are too high.
    """
    graph = CallGraph.from_services(parts.inputs.config.services)
    means = {u: _recent_mean(parts, u) for u in parts.known}
    rows = []
    for caller in sorted(parts.known):
        for name, per_request in sorted(graph.calls.get(caller.service, {}).items()):
            callee = graph.callee(caller, name)
            flow = means[caller] * per_request
            own = means.get(callee, float("nan"))
            share = flow / own if own > 0 else float("nan")
            rows.append((*_pair(caller), *_pair(callee), per_request, flow, share))
    return pd.DataFrame(rows, columns=list(FRAMES["calls"])).astype({"demand": float, "share_frac": float})


def _pair(unit: Unit) -> tuple[str, str]:
    return unit.service, unit.region


def _recent_mean(parts: Parts, unit: Unit) -> float:
    return float(parts.data[unit].mean.dropna().iloc[-28:].mean())


def explained(into: pd.DataFrame) -> str:
    """How much of a unit's demand its callers bring, from the rows of frame ``calls`` that lead to it."""
    known = into["share_frac"].astype(float).dropna()
    if known.empty:
        return "Nothing that is known calls it: its demand comes from outside."
    who = "One caller explains" if len(known) == 1 else f"{len(known)} callers together explain"
    return f"{who} {percent(float(known.sum()))} of its demand."


def utilisation_frame(parts: Parts) -> pd.DataFrame:
    """Why each fleet may be as busy as it may, in the columns of plan frame ``utilisation``.

    ``rho_star`` is the largest safe utilisation of the running fleet, ``zone_loss_frac`` what is allowed while a zone
    is lost. Cells that the config says nothing of are null.
    """
    rows = [_row(parts, unit) for unit in sorted(parts.needs) if unit in parts.data]
    return pd.DataFrame(rows, columns=list(FRAMES["utilisation"]))


def _row(parts: Parts, unit: Unit) -> tuple[object, ...]:
    service, tier, safe = parts.data[unit].service, parts.data[unit].tier, parts.needs[unit].safe
    types = sorted({name for name, _ in parts.data[unit].running})
    vcpu = sorted({parts.inputs.types[t].vcpu for t in types if t in parts.inputs.types})
    told = why(service, types, vcpu, safe.utilisation_frac)
    lost = max(safe.utilisation_frac, tier.zone_loss_utilisation_frac)
    if tier.zones_survived and "load test" not in binding(parts, unit):
        zones = plural(tier.zones_survived, "zone")
        told += f" With {zones} lost up to {percent(lost)} is allowed, until the zone is back."
    return (
        unit.service, unit.region, safe.utilisation_frac, lost, service.slo_p99_ms, service.service_time_ms,
        vcpu[0] if vcpu else None, vcpu[-1] if vcpu else None, service.service_time_cv2, service.arrival_cv2,
        listed(binding(parts, unit)), told,
    )  # fmt: skip


def binding(parts: Parts, unit: Unit) -> list[str]:
    """What bounds what the running types serve: vcpu, load test, or the resource that runs out first."""
    binds = parts.needs[unit].binds
    return sorted({binds[name] for name, _ in parts.data[unit].running if name in binds})


def weekly_utilisation(headroom: pd.DataFrame, parts: Parts, unit: Unit) -> pd.DataFrame:
    """``headroom`` with the share of its vCPU that is busy at each week's peak; null where vCPU do not bind.

    What is busy without any demand counts: the reserve is in what is used, and in what there is.
    """
    need = parts.needs[unit]
    if binding(parts, unit) != ["vcpu"]:
        return headroom.assign(utilisation_frac=float("nan"))
    used, whole = headroom["peak_quantile"] + need.reserve, headroom["safe"] + need.reserve
    return headroom.assign(utilisation_frac=(used / whole * need.safe.utilisation_frac).astype(float))


def why(service: ServiceConfig, types: list[str], vcpu: list[int], rho_star: float) -> str:
    """Why ``rho_star`` is what it is, in two or three sentences: the promise, what works in parallel, and bursts."""
    tested = sorted(set(types) & set(service.load_tested))
    if types and len(tested) == len(types):
        return "What an instance serves was measured by load tests within the SLO, and is used in place of a formula."
    if service.slo_p99_ms is None or service.service_time_ms is None:
        return (
            f"No SLO and service time are given, so the config's own limit holds: {percent(rho_star)} busy "
            "(max_utilisation_frac). Give slo_p99_ms and service_time_ms to have it follow from the promise."
        )
    room = service.slo_p99_ms - service.service_time_ms
    return (
        f"The P99 wait plus the mean service time of {number(service.service_time_ms)} ms must keep within "
        f"{number(service.slo_p99_ms)} ms, which leaves {number(max(room, 0.0))} ms to wait. "
        f"{_parallel(vcpu)} {_varied(service)} So at most {percent(rho_star)} of the vCPU may be busy."
    )


def _parallel(vcpu: list[int]) -> str:
    if not vcpu:
        return "How much works in parallel is not known."
    of = f"{vcpu[0]}" if vcpu[0] == vcpu[-1] else f"{vcpu[0]} to {vcpu[-1]}"
    return f"An instance works on {of} requests at once (its vCPU): the more, the fuller it may be."


def _varied(service: ServiceConfig) -> str:
    """How far arrivals and services vary, against what is usual."""
    arrivals = _said(service.arrival_cv2, "Arrivals", "as random as independent users make them")
    served = _said(service.service_time_cv2, "service times", "usual")
    return f"{arrivals}, and {served}: variation makes queues."


def _said(cv2: float, what: str, usual: str) -> str:
    if abs(cv2 - 1.0) <= _SAME_FRAC:
        return f"{what} are {usual} (squared variation 1)"
    word = "burstier" if what == "Arrivals" else "more varied"
    calm = "steadier" if what == "Arrivals" else "less varied"
    return f"{what} are {word if cv2 > 1 else calm} than usual (squared variation {number(cv2)})"
