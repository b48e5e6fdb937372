"""How old the data is, and where that would mislead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import Config
from capacity.domain import Unit
from capacity.errors import StaleDataError
from capacity.plan import Freshness

# A bill is finished days after its month; a fleet that does not change may not be observed for weeks.
STALE_AFTER_DAYS: Mapping[str, int] = {"fleet": 45, "cost": 45}
_DAY = pd.Timedelta(days=1)


def freshness(
    usage: pd.DataFrame, fleet: pd.DataFrame, cost: pa.Table, config: Config, as_of: datetime
) -> tuple[Freshness, ...]:
    """The newest good point of each source of usage and bills, and of the fleet, and whether it is too old."""
    found = [("usage", str(k), v) for k, v in usage.groupby("source", observed=True)["ts"].max().items()]
    if len(fleet):
        found.append(("fleet", "fleet", fleet["ts"].max()))
    if cost.num_rows:
        moment = pa.scalar(as_of, cost.schema.field("ChargePeriodStart").type)
        begun = pc.less(cost["ChargePeriodStart"], moment)
        usage_rows = cost.filter(pc.and_(pc.equal(cost["ChargeCategory"], "Usage"), begun))  # a fee may be for later
        ends = (
            usage_rows.select(["source", "ChargePeriodEnd"]).group_by("source").aggregate([("ChargePeriodEnd", "max")])
        )
        found += [
            ("cost", str(r["source"]), min(pd.Timestamp(r["ChargePeriodEnd_max"]), pd.Timestamp(as_of)))
            for r in ends.to_pylist()
        ]
    out = []
    for frame, source, last in sorted(found, key=lambda item: item[:2]):
        age = max(0.0, (pd.Timestamp(as_of) - last) / _DAY)
        limit = STALE_AFTER_DAYS.get(frame, config.forecast.stale_after_days)
        out.append(Freshness(source, frame, last.to_pydatetime(), round(age, 3), age > limit))
    return tuple(out)


def refuse_stale(
    known: tuple[Freshness, ...], demand: Mapping[Unit, pd.Timestamp], config: Config, as_of: datetime
) -> None:
    """Refuse to forecast from demand that ends too early: the days between would be invented.

    Raises
    ------
    StaleDataError
        All usage is too old, or the demand of some units is; each is named with its last point.
    """
    allowed = config.forecast.stale_after_days
    ages = [f.age_days for f in known if f.frame == "usage" and f.age_days is not None]
    if ages and min(ages) > allowed:
        raise StaleDataError(
            f"usage ends {min(ages):.1f} days before the moment asked about; "
            f"allowed: {allowed} (forecast.stale_after_days). "
            f"Run `capacity ingest -c {config.path}`, or ask for an earlier --as-of"
        )
    late = {u: at for u, at in demand.items() if (pd.Timestamp(as_of) - at) / _DAY > allowed}
    if late:
        named = "; ".join(f"{unit} ends {at:%Y-%m-%d %H:%M}Z" for unit, at in sorted(late.items()))
        raise StaleDataError(
            f"the demand of {len(late)} of {len(demand)} units ends more than {allowed} days "
            f"(forecast.stale_after_days) before the moment asked about: {named}. "
            f"Run `capacity ingest -c {config.path}`; take a service that has ended out of the config"
        )


def refuse_stale_of(frame: str, known: tuple[Freshness, ...], question: str, mend: str) -> None:
    """Refuse ``question`` where every source of ``frame`` is too old for it.

    Raises
    ------
    StaleDataError
        Names each source and its age.
    """
    mine = [f for f in known if f.frame == frame]
    if mine and all(f.stale for f in mine):
        named = ", ".join(f"{f.source} ({f.age_days:.0f} days old)" for f in mine)
        raise StaleDataError(
            f"{question} from {frame} data that is too old would mislead: {named}; "
            f"allowed: {STALE_AFTER_DAYS[frame]} days. {mend}"
        )
