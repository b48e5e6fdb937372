"""The independent checker catches every kind of wrong plan, and passes the right one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from capacity.domain import MixProblem, MixSolution
from capacity.errors import PlanCheckError
from capacity.optimize import check, solve, solve_few_types
from capacity.optimize.check import FAMILIES, check_objective
from tests.optimize.makers import HOURS, MONTHS, SMALL, candidate, commitment, problem, quota, unit


@dataclass
class Frames:
    provisioned: pd.DataFrame
    running: pd.DataFrame
    commitment_use: pd.DataFrame
    spend: pd.DataFrame


def _problem() -> MixProblem:
    db = [candidate("r6i.xlarge", 0.25, 30.0, 4), candidate("r6i.2xlarge", 0.5, 60.0, 8)]
    return problem(
        unit("auto", [90, 40], months=MONTHS),
        unit("db", [50, 50], db, months=MONTHS, vertical=True, running={("r6i.xlarge", z): 1 for z in "abc"}),
        unit("pin", [60, 30], months=MONTHS, autoscaled=False, pinned={(MONTHS[0], "m5.large"): 5}),
        unit("still", [60, 30], months=MONTHS, autoscaled=False, least=2, most=6),
        months=MONTHS,
        commitments=[
            commitment("csp", "compute_sp", hourly=0.3),
            commitment("esp", "ec2_instance_sp", "m7g", hourly=0.2, end=datetime(2026, 2, 10, tzinfo=UTC)),
            commitment("ri", "standard_ri", "m5.large", hourly=0.12, count=2),
        ],
        rates={"csp": 0.72, "esp": 0.6},
        quotas=[quota(200.0)],
    )


@pytest.fixture(scope="module")
def planned() -> tuple[MixProblem, MixSolution]:
    p = _problem()
    return p, solve(p, gap_frac=0.0)


@pytest.fixture
def frames(planned: tuple[MixProblem, MixSolution]) -> Frames:
    s = planned[1]
    return Frames(s.provisioned.copy(), s.running.copy(), s.commitment_use.copy(), s.spend.copy())


def _check(p: MixProblem, f: Frames) -> None:
    check(p, f.provisioned, f.running, f.commitment_use, f.spend)


def test_a_right_plan_passes_and_says_what_was_looked_at(planned: tuple[MixProblem, MixSolution]) -> None:
    checks = {c.name: c for c in planned[1].checks}
    assert [*checks] == [*(name for name, _ in FAMILIES), "the objective is spend and switching penalty"]
    assert all(c.worst_slack >= -1e-6 for c in checks.values())
    nothing_asked = {
        "further resources are held", "further resources are held with zones lost",
        "demand is served with a region lost", "spot serves no more than its share", "spot spreads over enough types",
        "spot quotas", "reservations that are not used are paid",
    }  # fmt: skip
    assert {name for name, c in checks.items() if c.rows == 0} == nothing_asked


def _set_count(f: Frames, service: str, per_zone: int, p: MixProblem) -> None:
    """Another count everywhere, with all derived columns in agreement: only the requirement itself is broken."""
    r = next(r for r in p.requirements if r.unit.service == service)
    kind = {c.instance_type: c for c in r.candidates}
    for frame in (f.provisioned, f.running):
        rows = frame["service"] == service
        first = frame["instance_type"] == frame.loc[rows, "instance_type"].iloc[0]
        frame.drop(frame[rows & ~first].index, inplace=True)
        rows = frame["service"] == service
        c = kind[frame.loc[rows, "instance_type"].iloc[0]]
        frame.loc[rows, "per_zone"] = per_zone
        frame.loc[rows, "instances"] = per_zone * r.zones
        if "vcpu" in frame:
            frame.loc[rows, "vcpu"] = per_zone * r.zones * c.vcpu
            frame.loc[rows, "usd_per_hour"] = per_zone * r.zones * c.usd_per_hour
        else:
            frame.loc[rows, "usd"] = per_zone * r.zones * c.usd_per_hour * frame.loc[rows, "hours"]


def _less_than_demand(f: Frames, p: MixProblem) -> None:
    _set_count(f, "auto", 1, p)


def _above_the_largest_count(f: Frames, p: MixProblem) -> None:
    _set_count(f, "still", 7, p)


def _below_the_smallest_count(f: Frames, p: MixProblem) -> None:
    _set_count(f, "still", 1, p)


def _another_vertical_count(f: Frames, p: MixProblem) -> None:
    _set_count(f, "db", 2, p)


def _another_pinned_count(f: Frames, p: MixProblem) -> None:
    _set_count(f, "pin", 6, p)


def _over_quota(f: Frames, p: MixProblem) -> None:
    _set_count(f, "auto", 30, p)


def _fraction(f: Frames, _p: MixProblem) -> None:
    f.running["per_zone"] = f.running["per_zone"].astype(float)
    f.running.loc[f.running.index[0], "per_zone"] += 0.5


def _forbidden_type(f: Frames, _p: MixProblem) -> None:
    f.provisioned.loc[f.provisioned.index[0], "instance_type"] = "x1.32xlarge"


def _more_runs_than_is_there(f: Frames, _p: MixProblem) -> None:
    f.provisioned.drop(f.provisioned[f.provisioned["service"] == "auto"].index, inplace=True)


def _static_follows_the_load(f: Frames, _p: MixProblem) -> None:
    rows = (f.running["service"] == "still") & (f.running["block"] == "b2")
    f.running.drop(f.running[rows].index, inplace=True)


def _wrong_vcpu(f: Frames, _p: MixProblem) -> None:
    f.provisioned.loc[f.provisioned.index[0], "vcpu"] += 2


def _wrong_value(f: Frames, _p: MixProblem) -> None:
    f.running.loc[f.running.index[0], "usd"] *= 0.9


def _repeated(f: Frames, _p: MixProblem) -> None:
    f.running = pd.concat([f.running, f.running.iloc[:1]], ignore_index=True)


def _overdrawn(f: Frames, _p: MixProblem) -> None:
    f.commitment_use["used_usd"] *= np.where(f.commitment_use["id"] == "csp", 1.2, 1.0)


def _outside_scope(f: Frames, _p: MixProblem) -> None:
    rows = f.commitment_use["id"] == "ri"
    f.commitment_use.loc[rows, "used_usd"] = 0.0
    esp = f.commitment_use["id"] == "esp"
    f.commitment_use.loc[esp, "used_usd"] = f.commitment_use.loc[esp, "paid_usd"] / 0.6 * 3


def _not_paid(f: Frames, _p: MixProblem) -> None:
    f.commitment_use["paid_usd"] *= 0.5


def _waste_hidden(f: Frames, _p: MixProblem) -> None:
    rows = f.commitment_use["id"] == "csp"
    f.commitment_use.loc[rows, "unused_usd"] -= 1.0


def _after_its_end(f: Frames, p: MixProblem) -> None:
    del p
    row = f.commitment_use[f.commitment_use["id"] == "esp"].iloc[:1].assign(id="gone", used_usd=0.0)
    f.commitment_use = pd.concat([f.commitment_use, row], ignore_index=True)


def _spend_too_low(f: Frames, _p: MixProblem) -> None:
    f.spend.loc[f.spend.index[0], ["on_demand_usd", "total_usd"]] -= 1.0


def _spend_left_out(f: Frames, _p: MixProblem) -> None:
    f.spend = f.spend[f.spend["service"] != "db"]


def _not_a_number(f: Frames, _p: MixProblem) -> None:
    f.spend.loc[f.spend.index[0], "total_usd"] = float("nan")


@pytest.mark.parametrize(
    ("tamper", "family"),
    [
        (_less_than_demand, "demand is served"),
        (_less_than_demand, "demand is served with zones lost"),
        (_above_the_largest_count, "largest count"),
        (_below_the_smallest_count, "smallest count"),
        (_another_vertical_count, "vertical units keep their count"),
        (_another_pinned_count, "pinned counts are kept"),
        (_over_quota, "quotas"),
        (_fraction, "frames agree with the problem"),
        (_forbidden_type, "frames agree with the problem"),
        (_wrong_vcpu, "frames agree with the problem"),
        (_wrong_value, "frames agree with the problem"),
        (_repeated, "frames agree with the problem"),
        (_more_runs_than_is_there, "running within provisioned"),
        (_static_follows_the_load, "running within provisioned"),
        (_overdrawn, "commitments are not overdrawn"),
        (_outside_scope, "commitments cover only what may be covered"),
        (_not_paid, "commitments are paid whole"),
        (_waste_hidden, "commitments are paid whole"),
        (_after_its_end, "commitments are paid whole"),
        (_spend_too_low, "spend adds up"),
        (_spend_left_out, "spend adds up"),
        (_not_a_number, "spend adds up"),
    ],
)
def test_a_tampered_plan_is_refused_by_name(
    planned: tuple[MixProblem, MixSolution], frames: Frames, tamper: Callable[[Frames, MixProblem], None], family: str
) -> None:
    tamper(frames, planned[0])
    with pytest.raises(PlanCheckError) as error:
        _check(planned[0], frames)
    assert f"  - {family}: " in str(error.value)


def test_one_instance_fewer_is_refused(planned: tuple[MixProblem, MixSolution]) -> None:
    p = problem(unit("a", [60], [SMALL], autoscaled=False))
    plan = solve(p)
    f = Frames(plan.provisioned, plan.running, plan.commitment_use, plan.spend)
    _set_count(f, "a", int(plan.provisioned["per_zone"].iloc[0]) - 1, p)
    with pytest.raises(PlanCheckError, match="demand is served with zones lost"):
        _check(p, f)


def test_the_checker_reads_the_problem_not_the_plan(planned: tuple[MixProblem, MixSolution], frames: Frames) -> None:
    p = planned[0]
    harder = tuple(replace(r, zones_survived=2) if r.unit.service == "auto" else r for r in p.requirements)
    with pytest.raises(PlanCheckError, match="with 2 zone"):
        _check(replace(p, requirements=harder), frames)


def test_an_objective_without_the_penalty_is_caught() -> None:
    """Three of m5.large run today and none is kept: .1 of 3 x .10 USD an hour for all hours of the month."""
    running = {("m5.large", zone): 1 for zone in "abc"}
    p = problem(unit("a", [60], [SMALL, candidate("n3.large", 0.05, 10.0)], running=running), penalty=0.1)
    for found in (solve(p, gap_frac=0.0), solve_few_types(p, 2, gap_frac=0.0)):
        assert set(found.running["instance_type"]) == {"n3.large"}
        spend, penalty = float(found.spend["total_usd"].sum()), 0.1 * 3 * 0.10 * HOURS[0]
        assert found.status.objective == pytest.approx(spend + penalty)
        checked = check_objective(p, found.running, found.spend, spend + penalty, 1e-6)
        assert (checked.name, checked.rows) == (found.checks[-1].name, 1)
        for wrong in (spend, spend + 2 * penalty, float("nan")):
            with pytest.raises(PlanCheckError, match="switching penalty"):
                check_objective(p, found.running, found.spend, wrong, 1e-6)
