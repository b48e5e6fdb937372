"""The independent checker: every requirement, from the plan's frames and the problem, not from the model.

It shares no expression with ``model`` or ``_billing``: NumPy and pandas on what will be shown. Slack is relative to
what is required (a share of demand, of a quota, of a sum of money) and must not be below -1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from capacity.domain import CheckedRequirement, Commitment, Floats, MixProblem, UnitRequirement
from capacity.errors import PlanCheckError

TOLERANCE = 1e-6

_UNUSED = "(commitments unused)"


def check(
    problem: MixProblem,
    provisioned: pd.DataFrame,
    running: pd.DataFrame,
    commitment_use: pd.DataFrame,
    spend: pd.DataFrame,
) -> tuple[CheckedRequirement, ...]:
    """Verify every family of requirements of ``problem`` on the frames of a plan.

    Returns
    -------
    tuple of CheckedRequirement
        One a family: the worst slack and how many rows were looked at.

    Raises
    ------
    PlanCheckError
        Names each family that is violated, where, and by how much.
    """
    plan = _Plan(problem, provisioned, running, commitment_use, spend)
    families = (
        ("frames agree with the problem", _frames_agree),
        ("demand is served", _demand),
        ("demand is served with zones lost", _zone_loss),
        ("running within provisioned", _within),
        ("smallest count", _minimum),
        ("largest count", _maximum),
        ("vertical units keep their count", _vertical),
        ("pinned counts are kept", _pinned),
        ("quotas", _quotas),
        ("commitments are not overdrawn", _commitment_limits),
        ("commitments cover only what may be covered", _commitment_scopes),
        ("commitments are paid whole", _commitment_paid),
        ("spend adds up", _spend),
    )
    results, faults = [], []
    for name, family in families:
        slacks = list(family(plan))
        worst = min(slacks, key=lambda s: s[0] if s[0] == s[0] else -math.inf, default=(math.inf, ""))
        if slacks and not worst[0] >= -TOLERANCE:  # NaN is a violation too
            faults.append(f"{name}: {worst[1]} (slack {worst[0]:.3g})")
        results.append(CheckedRequirement(name, worst[0] if slacks else 0.0, len(slacks)))
        if name == "frames agree with the problem" and faults:
            break  # what follows would only repeat it
    if faults:
        raise PlanCheckError("the plan breaks its own requirements:\n" + "\n".join(f"  - {f}" for f in faults))
    return tuple(results)


Slack = tuple[float, str]


class _Plan:
    """The frames, and the few lookups that the families share."""

    def __init__(
        self,
        problem: MixProblem,
        provisioned: pd.DataFrame,
        running: pd.DataFrame,
        use: pd.DataFrame,
        spend: pd.DataFrame,
    ) -> None:
        self.problem, self.provisioned, self.running, self.use, self.spend = problem, provisioned, running, use, spend
        self.n = provisioned.groupby(["unit", "month", "instance_type"])["per_zone"].sum().to_dict()
        self.r = running.groupby(["unit", "month", "block", "instance_type"])["per_zone"].sum().to_dict()
        self.by_unit = {str(r.unit): r for r in problem.requirements}

    def provisioned_counts(self, r: UnitRequirement, month: str) -> Floats:
        return np.array([self.n.get((str(r.unit), month, c.instance_type), 0) for c in r.candidates], dtype=float)

    def running_counts(self, r: UnitRequirement, month: str, block: str) -> Floats:
        keys = [(str(r.unit), month, block, c.instance_type) for c in r.candidates]
        return np.array([self.r.get(k, 0) for k in keys], dtype=float)

    def each_block(self) -> Iterator[tuple[UnitRequirement, str, str, float, Floats]]:
        for r in self.problem.requirements:
            for b in r.blocks:
                yield r, b.month, b.block, b.demand, self.running_counts(r, b.month, b.block)

    def each_month(self) -> Iterator[tuple[UnitRequirement, str, Floats]]:
        for r in self.problem.requirements:
            for month in sorted({b.month for b in r.blocks}):
                yield r, month, self.provisioned_counts(r, month)


# --- frames ------------------------------------------------------------------------------------------------


def _frames_agree(plan: _Plan) -> Iterator[Slack]:
    """Known units, months, blocks and allowed types; whole counts; the derived columns follow from the counts."""
    for frame, name, keys in (
        (plan.provisioned, "provisioned", ["unit", "month", "instance_type"]),
        (plan.running, "running", ["unit", "month", "block", "instance_type"]),
    ):
        yield _agree(not frame.duplicated(keys).any(), f"{name} has repeated rows")
        for row in frame.to_dict("records"):
            where = f"{name}: {row['unit']} {row['month']} {row['instance_type']}"
            requirement = plan.by_unit.get(row["unit"])
            types = {} if requirement is None else {c.instance_type: c for c in requirement.candidates if c.allowed}
            candidate = types.get(row["instance_type"])
            known = requirement is not None and candidate is not None and row["month"] in plan.problem.months
            yield _agree(known, f"{where} is not in the problem")
            if requirement is None or candidate is None:
                continue
            per_zone, instances = row["per_zone"], row["instances"]
            whole = per_zone == int(per_zone) and per_zone >= 0 and instances == per_zone * requirement.zones
            yield _agree(whole, f"{where}: {per_zone} per zone, {instances} instances")
            if name == "provisioned":
                yield _near(row["vcpu"], instances * candidate.vcpu, f"{where}: vcpu")
                yield _near(row["usd_per_hour"], instances * candidate.usd_per_hour, f"{where}: usd_per_hour")
            else:
                blocks = {(b.month, b.block): b.hours for b in requirement.blocks}
                hours = blocks.get((row["month"], row["block"]))
                yield _agree(hours is not None, f"{where} {row['block']}: no such block")
                yield _near(row["hours"], hours or 0.0, f"{where}: hours")
                yield _near(row["usd"], instances * candidate.usd_per_hour * (hours or 0.0), f"{where}: usd")


def _agree(fine: bool, text: str) -> Slack:
    return (0.0 if fine else -1.0), text


def _near(value: float, wanted: float, text: str) -> Slack:
    return -abs(value - wanted) / max(abs(wanted), 1.0), f"{text} is {value:g}, not {wanted:g}"


# --- requirements of a unit --------------------------------------------------------------------------------


def _demand(plan: _Plan) -> Iterator[Slack]:
    for r, month, block, demand, counts in plan.each_block():
        held = r.zones * float(counts @ np.array([c.safe for c in r.candidates], dtype=float))
        yield _covered(held, demand, f"{r.unit} {month} {block}: holds {held:g} of {demand:g}")


def _zone_loss(plan: _Plan) -> Iterator[Slack]:
    for r, month, block, demand, counts in plan.each_block():
        if r.zones_survived:
            left = max(r.zones - r.zones_survived, 0)
            held = left * float(counts @ np.array([c.zone_loss for c in r.candidates], dtype=float))
            text = f"{r.unit} {month} {block}: with {r.zones_survived} zone(s) lost holds {held:g} of {demand:g}"
            yield _covered(held, demand, text)


def _covered(held: float, demand: float, text: str) -> Slack:
    return (held - demand) / demand if demand > 0 else 0.0, text


def _within(plan: _Plan) -> Iterator[Slack]:
    for r, month, block, _, counts in plan.each_block():
        provisioned = plan.provisioned_counts(r, month)
        text = f"{r.unit} {month} {block}"
        yield float((provisioned - counts).min(initial=0.0)), f"{text}: more runs than is provisioned"
        if not r.autoscaled or r.vertical:
            yield -float(np.abs(provisioned - counts).max(initial=0.0)), f"{text}: static, yet less runs"


def _minimum(plan: _Plan) -> Iterator[Slack]:
    for r, month, block, _, counts in plan.each_block():
        yield float(counts.sum()) - r.min_per_zone, f"{r.unit} {month} {block}: {counts.sum():g} < {r.min_per_zone}"


def _maximum(plan: _Plan) -> Iterator[Slack]:
    for r, month, counts in plan.each_month():
        yield r.max_per_zone - float(counts.sum()), f"{r.unit} {month}: {counts.sum():g} > {r.max_per_zone}"


def _vertical(plan: _Plan) -> Iterator[Slack]:
    for r, month, counts in plan.each_month():
        if r.vertical:
            total = sum(r.running.values())
            kept = -(-total // r.zones) if total else max(1, r.min_per_zone)
            one_type = np.count_nonzero(counts) <= 1
            text = f"{r.unit} {month}: {counts.sum():g} per zone of {np.count_nonzero(counts)} types, not {kept} of 1"
            yield -abs(float(counts.sum()) - kept) if one_type else -1.0, text


def _pinned(plan: _Plan) -> Iterator[Slack]:
    for r, month, counts in plan.each_month():
        pinned = {i: n for (m, i), n in (r.pinned or {}).items() if m == month}
        if pinned:
            wanted = np.array([pinned.pop(c.instance_type, 0) for c in r.candidates], dtype=float)
            off = float(np.abs(counts - wanted).max(initial=0.0)) + sum(pinned.values())
            yield -off, f"{r.unit} {month}: differs from the pinned mix"


# --- quotas and commitments --------------------------------------------------------------------------------


def _quotas(plan: _Plan) -> Iterator[Slack]:
    for quota in plan.problem.quotas:
        for month in plan.problem.months:
            used = 0.0
            for r in plan.problem.requirements:
                if (r.account_id, r.unit.region) == (quota.account_id, quota.region):
                    vcpu = [c.vcpu if c.quota_code == quota.code else 0 for c in r.candidates]
                    used += r.zones * float(plan.provisioned_counts(r, month) @ np.array(vcpu, dtype=float))
            text = f"{quota.code} in {quota.region} of {quota.account_id}, {month}: {used:g} of {quota.limit:g} vCPU"
            yield (quota.limit - used) / max(quota.limit, 1.0), text


def _active_frac(problem: MixProblem, owned: Commitment, month: str) -> float:
    """Share of a month's planned hours in which a commitment runs; a first month is its last hours."""
    begin = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
    following = (begin + timedelta(days=32)).replace(day=1)
    total = problem.month_hours[problem.months.index(month)]
    if month == problem.months[0]:
        begin = following - timedelta(hours=total)
    end = begin + timedelta(hours=total)
    start, stop = (m if m.tzinfo else m.replace(tzinfo=UTC) for m in (owned.start, owned.end))
    overlap = (min(stop, end) - max(start, begin)).total_seconds() / 3600
    return max(overlap, 0.0) / total


def _levels(problem: MixProblem, month: str) -> dict[str, tuple[float, float]]:
    """Name -> (begin, end) of the month's levels, as shares of its hours: blocks of one name, or ranks of demand."""
    ranked = [u for u in (_ranked(problem, r, month) for r in problem.requirements) if u]
    if not ranked:
        return {"all": (0.0, 1.0)}
    clock = _on_the_clock(problem, month)
    longest = [u for u in ranked if len(u) == max(len(v) for v in ranked)]
    names = [{u[k][0] for u in longest} for k in range(len(longest[0]))]
    ends = np.mean([np.cumsum([hours for _, hours in u]) / sum(hours for _, hours in u) for u in longest], axis=0)
    begins = [0.0, *ends[:-1]]
    labels = [n.pop() if clock or len(n) == 1 else f"level {k + 1}" for k, n in enumerate(names)]
    return {label: (float(a), float(b)) for label, a, b in zip(labels, begins, ends, strict=True)}


def _on_the_clock(problem: MixProblem, month: str) -> bool:
    """Whether all units have the same blocks of the same hours, so that names tell what runs together."""
    own = [{b.block: b.hours for b in r.blocks if b.month == month} for r in problem.requirements]
    own = [o for o in own if o]
    return all(o.keys() == own[0].keys() and all(abs(o[k] - own[0][k]) <= TOLERANCE for k in o) for o in own)


def _ranked(problem: MixProblem, r: UnitRequirement, month: str) -> list[tuple[str, float]]:
    """A unit's blocks and their hours: by name where names are hours of the clock, else from the highest demand."""
    blocks = [b for b in r.blocks if b.month == month]
    if _on_the_clock(problem, month):
        return sorted((b.block, b.hours) for b in blocks)
    return [(b.block, b.hours) for b in sorted(blocks, key=lambda b: (-b.demand, b.block))]


def _value_in_levels(plan: _Plan, owned: Commitment, month: str) -> dict[str, float]:
    """Level -> on-demand value of what runs there in the scope of ``owned``: cumulative value read at the edges."""
    levels = _levels(plan.problem, month)
    out = dict.fromkeys(levels, 0.0)
    for r in plan.problem.requirements:
        ranked = _ranked(plan.problem, r, month)
        if not ranked:
            continue
        price = np.array([c.usd_per_hour * _in_scope(owned, r, c.instance_type, c.family) for c in r.candidates])
        usd = [h * r.zones * float(plan.running_counts(r, month, name) @ price) for name, h in ranked]
        total = sum(h for _, h in ranked)
        ends = np.concatenate([[0.0], np.cumsum([h for _, h in ranked]) / total])
        running_total = np.concatenate([[0.0], np.cumsum(usd)])
        for name, (begin, end) in levels.items():
            out[name] += float(np.interp(end, ends, running_total) - np.interp(begin, ends, running_total))
    return out


def _used(plan: _Plan) -> dict[tuple[str, str, str], tuple[float, float, float]]:
    columns = plan.use[["month", "block", "id", "used_usd", "paid_usd", "unused_usd"]]
    return {(str(m), str(b), str(i)): (u, p, x) for m, b, i, u, p, x in columns.itertuples(index=False, name=None)}


def _in_scope(owned: Commitment, r: UnitRequirement, instance_type: str, family: str) -> bool:
    place = owned.account_id in ("", r.account_id) and owned.region in ("", r.unit.region)
    scopes = {"standard_ri": instance_type, "ec2_instance_sp": family, "compute_sp": owned.scope}
    return place and owned.scope == scopes[owned.product]


def _commitment_limits(plan: _Plan) -> Iterator[Slack]:
    """A Savings Plan covers at most hourly / rate of on-demand value; an RI at most its count of its own type."""
    used = _used(plan)
    for owned in plan.problem.commitments:
        prices = [
            c.usd_per_hour
            for r in plan.problem.requirements
            for c in r.candidates
            if _in_scope(owned, r, c.instance_type, c.family)
        ]
        dearest = max(prices, default=0.0)
        rate = plan.problem.committed_rate.get(owned.id, math.nan)
        per_hour = owned.count * dearest if owned.product == "standard_ri" else owned.hourly_usd / rate
        for month, level, hours in _level_hours(plan.problem):
            most = per_hour * hours * _active_frac(plan.problem, owned, month)
            value = used.get((month, level, owned.id), (0.0, 0.0, 0.0))[0]
            text = f"{owned.id} {month} {level}: covers {value:g} of at most {most:g} USD"
            yield (most - value) / max(most, 1.0), text
            yield min(value, 0.0), f"{owned.id} {month} {level}: covers less than nothing"


def _level_hours(problem: MixProblem) -> Iterator[tuple[str, str, float]]:
    for month, total in zip(problem.months, problem.month_hours, strict=True):
        for level, (begin, end) in _levels(problem, month).items():
            yield month, level, (end - begin) * total


def _commitment_scopes(plan: _Plan) -> Iterator[Slack]:
    """What all commitments inside one scope cover is at most what runs in that scope."""
    used = _used(plan)
    for owned in plan.problem.commitments:
        inside = [k.id for k in plan.problem.commitments if _is_inside(k, owned)]
        for month in plan.problem.months:
            share = _active_frac(plan.problem, owned, month) if inside == [owned.id] else 1.0
            for level, runs in _value_in_levels(plan, owned, month).items():
                value = sum(used.get((month, level, i), (0.0, 0.0, 0.0))[0] for i in inside)
                text = f"scope of {owned.id} {month} {level}: {value:g} covered of {runs * share:g} USD that runs"
                yield (runs * share - value) / max(runs * share, 1.0), text


def _is_inside(inner: Commitment, outer: Commitment) -> bool:
    place = outer.account_id in ("", inner.account_id) and outer.region in ("", inner.region)
    if outer.product == "compute_sp":
        return place
    if inner.product == outer.product:
        return place and inner.scope == outer.scope
    nested = outer.product == "ec2_instance_sp" and inner.product == "standard_ri"
    return place and nested and inner.scope.split(".")[0] == outer.scope


def _commitment_paid(plan: _Plan) -> Iterator[Slack]:
    """paid = hourly x active hours; unused = paid - rate x used (Savings Plans), between 0 and paid (RIs)."""
    used = _used(plan)
    expected = set()
    for owned in plan.problem.commitments:
        for month, block, hours in _level_hours(plan.problem):
            active = hours * _active_frac(plan.problem, owned, month)
            if active <= 0:
                continue
            expected.add((month, block, owned.id))
            value, paid, unused = used.get((month, block, owned.id), (0.0, math.nan, math.nan))
            where = f"{owned.id} {month} {block}"
            yield _near(paid, owned.hourly_usd * active, f"{where}: paid")
            if owned.product == "standard_ri":
                yield min(unused, paid - unused) / max(paid, 1.0), f"{where}: {unused:g} unused of {paid:g} paid"
            else:
                rate = plan.problem.committed_rate[owned.id]
                yield _near(unused, paid - rate * value, f"{where}: unused")
    for row in sorted(used.keys() - expected):
        yield -1.0, f"{row[2]} is not active in {row[0]} {row[1]}"


def _spend(plan: _Plan) -> Iterator[Slack]:
    """By month: on demand = value of what runs - what is covered; committed = what was paid."""
    runs = plan.running.groupby("month")["usd"].sum().to_dict()
    runs_of = plan.running.groupby(["unit", "month"])["usd"].sum().to_dict()
    spend = plan.spend
    yield _agree(not spend.duplicated(["unit", "month"]).any(), "spend has repeated rows")
    for month in plan.problem.months:
        use = plan.use[plan.use["month"] == month]
        rows = spend[spend["month"] == month]
        covered, paid, unused = (float(use[c].sum()) for c in ("used_usd", "paid_usd", "unused_usd"))
        names = {*plan.by_unit, _UNUSED}
        yield _agree(set(rows["unit"]) == names, f"spend of {month} does not name every unit once")
        yield _near(float(rows["on_demand_usd"].sum()), runs.get(month, 0.0) - covered, f"{month}: on demand")
        yield _near(float(rows["committed_usd"].sum()), paid, f"{month}: committed")
        idle = float(rows.loc[rows["unit"] == _UNUSED, "total_usd"].sum())
        yield _near(idle, unused, f"{month}: unused")
    for row in spend.to_dict("records"):
        where, od, committed = f"{row['unit']} {row['month']}", row["on_demand_usd"], row["committed_usd"]
        yield _near(row["total_usd"], od + committed, f"{where}: total")
        value = runs_of.get((row["unit"], row["month"]), 0.0)
        yield min(od, committed, value - od) / max(value, 1.0), f"{where}: on demand {od:g} of {value:g} USD"
