"""What a customer's journey costs: its share of every service that it reaches through the call graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pandas as pd

from capacity.config import JourneyConfig, ServiceConfig
from capacity.costs._money import EXACT, quantize, to_decimal
from capacity.costs.allocation import split
from capacity.errors import UsageError
from capacity.saturation import CallGraph

NOT_EXPLAINED = "(not explained)"
JOURNEY_COLUMNS = (
    "journey", "service", "month", "currency", "requests_per_journey", "effective_cost", "share_frac", "journeys",
    "flags",
)  # fmt: skip
# Requests of journeys may pass a service's own by so much before it is said: counts are of other clocks and samples.
OVER_FRAC = 0.005
# Shares are whole numbers of this many places when money is split by them: as many as a float has.
_PLACES = 15
_UNIT_COST_PLACES = Decimal(1).scaleb(-9)
_Requests = Mapping[str, Mapping[str, float]]


def requests_per_journey(journey: JourneyConfig, services: Sequence[ServiceConfig]) -> dict[str, float]:
    """Expected requests that one journey makes at every service it reaches, where it enters included.

    Calls per request times the caller's requests, summed over all ways through the call graph. The calls of a service
    in ``stops_at`` are not followed.

    Returns
    -------
    dict
        service -> requests, callers before those they call.

    Raises
    ------
    ConfigError
        The calls run in a circle, or name an unknown service.
    """
    graph = CallGraph.from_services(services)
    out: dict[str, float] = {}
    for name in graph.order():
        made = journey.enters.get(name, 0.0) + out.pop(name, 0.0)
        if made <= 0:
            continue
        out[name] = made
        for callee, per_request in graph.calls[name].items() if name not in journey.stops_at else ():
            out[callee] = out.get(callee, 0.0) + made * per_request
    return {name: made for name, made in out.items() if made > 0}


def journey_costs(
    service_costs: pd.DataFrame, service_units: pd.DataFrame, counts: pd.DataFrame, requests: _Requests
) -> pd.DataFrame:
    """Each service's money over the journeys that made its requests, exactly.

    Parameters
    ----------
    service_costs
        month (YYYY-MM), currency, service, EffectiveCost (Decimal): direct and shared together.
    service_units
        month, service, units: requests that the service served.
    counts
        month, journey, units: how many of the journeys there were.
    requests
        journey -> service -> requests of one journey (:func:`requests_per_journey`).

    Returns
    -------
    DataFrame
        journey, service, month, currency, requests_per_journey, effective_cost (Decimal), share_frac (of the service's
        cost), journeys, flags. What no journey explains is the journey "(not explained)". For every month, service and
        currency the rows add up to the service's cost, to the last decimal (largest remainders).

    Notes
    -----
    A journey's share is its requests over those that the service served. Where journeys make more requests than were
    served, nothing is left over, each gets its part of the whole, and the flag says by how much they pass it.

    Raises
    ------
    UsageError
        A month of a service or of a journey stands twice, or a count is negative.
    """
    served = _by_key(service_units, "service")
    made = _by_key(counts, "journey")
    rows: list[tuple[object, ...]] = []
    for line in service_costs.sort_values(["month", "currency", "service"]).to_dict("records"):
        month, service = str(line["month"]), str(line["service"])
        asked = {
            j: of[service] * made[month, j]
            for j, of in requests.items()
            if service in of and made.get((month, j), 0) > 0
        }
        amounts, shares, flag = _shared(quantize(line["EffectiveCost"]), asked, served.get((month, service)))
        for journey, amount in amounts.items():
            per = requests.get(journey, {}).get(service, float("nan"))
            count = made[month, journey] if journey in asked else float("nan")
            key = (journey, service, month, line["currency"], per)
            rows.append((*key, to_decimal(amount), shares[journey], count, flag))
    frame = pd.DataFrame(rows, columns=list(JOURNEY_COLUMNS))
    rank = {name: i for i, name in enumerate([*requests, NOT_EXPLAINED])}
    order = frame.assign(_rank=frame["journey"].map(rank)).sort_values(["month", "currency", "_rank", "service"])
    return order.drop(columns="_rank").reset_index(drop=True)


def _by_key(frame: pd.DataFrame, name: str) -> dict[tuple[str, str], float]:
    twice = frame.loc[frame.duplicated(["month", name]), ["month", name]]
    if len(twice):
        raise UsageError(f"units: {tuple(twice.iloc[0])} stands twice; sum a {name}'s regions first")
    if (frame["units"] < 0).any():
        raise UsageError("units: a count below zero")
    keys = zip(frame["month"].astype(str), frame[name].astype(str), frame["units"].astype(float), strict=True)
    return {(month, of): units for month, of, units in keys if np.isfinite(units)}


def _shared(
    amount: int, asked: Mapping[str, float], served: float | None
) -> tuple[dict[str, int], dict[str, float], str]:
    """Amounts (whole 1e-12) and shares by journey, what is left over last, and what is to be said of it."""
    if served is None or served <= 0:
        flag = "no requests of it are known" if asked else ""
        return {NOT_EXPLAINED: amount}, {NOT_EXPLAINED: 1.0}, flag
    total = float(sum(asked.values()))
    weights = {**asked, NOT_EXPLAINED: max(served - total, 0.0)}
    # A last bit of rounding is no remainder.
    if weights[NOT_EXPLAINED] < 1e-9 * served:
        del weights[NOT_EXPLAINED]
    whole = [round(w / max(total, served) * 10**_PLACES) for w in weights.values()]
    parts = dict(zip(weights, split(amount, whole), strict=True))
    shares = {name: w / max(total, served) for name, w in weights.items()}
    over = total / served - 1.0
    flag = f"journeys make {1.0 + over:.0%} of the requests it served" if over > OVER_FRAC else ""
    return parts, shares, flag


def journey_unit_costs(
    unit_costs: pd.DataFrame, requests: _Requests, column: str = "usd_per_1000"
) -> dict[tuple[str, str, str], tuple[Decimal | None, str]]:
    """Cost of 1,000 journeys: requests of one journey times the unit cost of each service, added up.

    Parameters
    ----------
    unit_costs
        month, service, currency and ``column`` (Decimal a 1,000 requests, or None), of
        :func:`capacity.costs.unit_costs`.

    Returns
    -------
    dict
        (journey, month, currency) -> cost (None where a service of the journey has a cost that month and no unit cost)
        and, then, the reason. Services without any cost in a month cost nothing.
    """
    out: dict[tuple[str, str, str], tuple[Decimal | None, str]] = {}
    for (month, currency), rows in unit_costs.groupby(["month", "currency"], sort=True):
        per = dict(zip(rows["service"].astype(str), rows[column], strict=True))
        for journey, of in requests.items():
            lacking = [s for s in of if s in per and not isinstance(per[s], Decimal)]
            if lacking:
                text = f"no unit cost of {', '.join(lacking)} in this month"
                out[journey, str(month), str(currency)] = None, text
                continue
            total = Decimal(0)
            for service, made in of.items():
                total = EXACT.add(total, EXACT.multiply(Decimal(repr(float(made))), per.get(service, Decimal(0))))
            out[journey, str(month), str(currency)] = total.quantize(_UNIT_COST_PLACES, ROUND_HALF_EVEN, EXACT), ""
    return out
