"""Four services of the demo company as one run planned them, kept in demo_plan.json: golden files do not move with the
forecast and the optimizer.

Kept anew with: python -m tests.handover.frozen_demo PLAN_DIR
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from capacity import plan as plans
from capacity.plan import Plan
from tests.factory import known_plan

KEPT = Path(__file__).with_name("demo_plan.json")
UNITS = (("checkout", "us-east-1"), ("payments", "us-west-2"), ("orders-db", "us-east-1"), ("thumbnails", "us-east-1"))
FRAMES = ("mix", "running", "headroom_months", "forecast", "plan_total")


def load() -> Plan:
    """The plan that was kept; what a later version says beside is as in a plan that says nothing."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    found = plans.from_json(json.dumps({**json.loads(plans.to_json(known_plan(services=0))), **kept["plan"]}))
    frames = {name: pd.DataFrame(rows, columns=columns) for name, (columns, rows) in kept["frames"].items()}
    frames["forecast"]["ts"] = pd.to_datetime(frames["forecast"]["ts"])
    frames["plan_total"]["amount"] = frames["plan_total"]["amount"].map(Decimal)
    return replace(found, frames=frames)


def keep(found: Plan) -> None:
    """Write what the hand-over reads of ``found``, of four services."""
    units = tuple(u for u in found.units if (u.service, u.region) in UNITS)
    events = tuple(
        replace(e, flows=(), verdicts=tuple(v for v in e.verdicts if (v.unit.service, v.unit.region) in UNITS))
        for e in found.events
    )
    services = {u.service for u in units}
    findings = tuple(f for f in found.findings if not f.service or f.service in services)
    document = json.loads(plans.to_json(replace(found, units=units, events=events, findings=findings)))
    frames = {name: _rows(found, name) for name in FRAMES}
    text = json.dumps({"plan": document, "frames": frames}, ensure_ascii=True, allow_nan=False, default=str)
    KEPT.write_text(text.replace("], [", "],\n[") + "\n", encoding="utf-8")


def _rows(found: Plan, name: str) -> tuple[list[str], list[Any]]:
    frame = found.frame(name)
    if name == "plan_total":
        frame = frame[frame["part"] == "total"]
    else:
        of = list(zip(frame["service"], frame["region"], strict=True))
        frame = frame[[u in UNITS for u in of]]
    if name == "forecast":
        ts = pd.to_datetime(frame["ts"])
        frame = frame[(frame["target"] == "peak") & (ts < ts.min() + pd.Timedelta(days=5))]
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return list(frame.columns), rows


if __name__ == "__main__":
    keep(plans.read(Path(sys.argv[1])))
