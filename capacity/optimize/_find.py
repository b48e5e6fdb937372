"""Find a plan and a bound on all plans until a deadline, and tell honestly how that ended.

Small fleets are searched as one model, large ones by columns. Where time ends a search before it has a plan, one is
made by arithmetic: every call ends with a plan, with a conflict that is named, or with the word that none was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

from capacity.domain import Candidate, Floats, MixProblem, MixSolution, UnitRequirement
from capacity.errors import CapacityError, InfeasiblePlanError, NoPlanInTimeError, PlanCheckError, PlanError
from capacity.optimize import _apart, _beside
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._direct import plan_directly
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._highs import Search, search_highs
from capacity.optimize._least import least_usd, short_quota
from capacity.optimize._near import nearer
from capacity.optimize._quick import quick_plan
from capacity.optimize._result import Plan, Proof, solution_of
from capacity.optimize.columns.memory import Memory
from capacity.optimize.columns.plan import ByColumns, plan_by_columns
from capacity.optimize.explain import explain_infeasible, nothing_may_serve

Solver = Literal["highs", "cbc"]

# Pairs of a load and a type up to which the whole model is solved as one: it is exact there, and as quick.
DIRECT_PAIRS = 6000

# Beyond this many even building the whole model takes longer than most limits (10 s at 80,000), and its search ends
# at gaps of tens of per cent.
HOPELESS_PAIRS = 20_000

# Building the whole model cannot be ended: it is not begun where it would take more than this share of the limit.
_SECONDS_A_PAIR, _BUILD_SHARE = 1.5e-4, 0.5
# Of so few it takes no time worth a thought.
_QUICKLY_BUILT = 1500

BY_ARITHMETIC = "no search ended with a plan: one type a service, changed until the quotas were met"
MADE_TO_FIT = "no search ended with a plan that keeps the quotas: what was found by then, changed until they were met"

# What a type that holds nothing of a need is taken to hold of it, as a share of what the least one holds that does.
_TRACE_FRAC = 1e-9

# Past the limit: for what conflicts to be worked out, where there is no plan.
_CONFLICT_SECONDS = 0.7
# Past the limit: for a plan to be brought nearer to what runs.
_NEAR_SECONDS = 0.5


@dataclass(frozen=True)
class Asked:
    """What a search is asked for. ``most_types`` bounds the plan that is made by arithmetic only."""

    deadline: Deadline
    seconds: float
    gap_frac: float
    solver: Solver
    seed: int
    most_types: int | None = None


@dataclass(frozen=True)
class Found:
    """A plan of ``fleet`` and what is proven; how the search ended is in the proof.

    ``must_hold``: the plan comes from a model that knows every requirement, so it is a fault where one is broken.
    ``rough``: a cheaper choice that breaks quotas, where one is known: what the types' use of commitments is like.
    """

    fleet: Fleet
    plan: Plan
    proof: Proof
    must_hold: bool = True
    rough: Plan | None = None

    def solution(self) -> MixSolution:
        """Billed, framed and verified.

        Raises
        ------
        PlanCheckError
            It breaks a requirement, or costs less than was proven to be possible.
        """
        return solution_of(self.fleet, self.plan, self.proof)


def find(problem: MixProblem, asked: Asked, memory: Memory) -> Iterator[Found]:
    """Plans, the best first: the next is worth asking for only where one fails the checker.

    Raises
    ------
    InfeasiblePlanError, NoPlanInTimeError
        In place of a plan: where it is proven that there is none, and where none was found.
    """
    fleet = fleet_of(problem)
    if conflicts := nothing_may_serve(fleet):
        raise InfeasiblePlanError("no plan exists: what is asked cannot be met by any instance type", conflicts)
    if short_quota(fleet) is not None:
        _raise_infeasible(problem, asked)
    floor, pairs, rough = least_usd(fleet), _pairs(fleet), None
    began, clock = asked.deadline.at - asked.seconds, asked.deadline.clock
    proof = Proof(float(floor.sum()), "time limit reached", asked.gap_frac, asked.solver, began, clock=clock)
    if asked.solver == "highs":
        _apart.come_up()
        if pairs > DIRECT_PAIRS:
            _beside.come_up()
            found = _by_columns(_with_traces(fleet), asked, memory, floor)
            own = replace(proof, bound=found.bound, termination=found.termination, notes=found.notes)
            if found.plan is not None:
                yield Found(fleet, found.plan, own, must_hold=False)
            else:
                rough = found.rough
                ended = proof.termination if asked.deadline.passed else found.termination
                proof = replace(proof, bound=max(proof.bound, found.bound), termination=ended)
            proof = replace(proof, notes=("no choice of columns met the quotas: the whole model was searched instead",))
    if _may_build(pairs, asked):
        direct = plan_directly(fleet, asked.deadline, asked.gap_frac, asked.solver, asked.seed)
        if direct.outcome == "infeasible":
            _raise_infeasible(problem, asked)
        proof = replace(proof, bound=max(proof.bound, direct.bound), termination=direct.termination)
        if direct.plan is not None:
            yield Found(fleet, direct.plan, proof, must_hold=direct.outcome == "found")
    fitted = quick_plan(fleet, rough=rough) if rough is not None and asked.most_types is None else None
    if fitted is not None:
        yield Found(fleet, fitted, replace(proof, notes=(MADE_TO_FIT,)), must_hold=False)
    plan = quick_plan(fleet, asked.most_types)
    if plan is not None:
        yield Found(fleet, plan, replace(proof, notes=(BY_ARITHMETIC,)), must_hold=False, rough=rough)
    raise _no_plan(problem, asked, proof.termination)


def first_verified(
    plans: Iterable[Found], asked: Asked, told: Callable[[Found], Found] | None = None
) -> tuple[Found, MixSolution]:
    """The first of ``plans`` that the checker lets pass, as near to what runs as its proof allows.

    What they raise in place of a plan is raised. ``told`` changes what is told of a plan before it is verified.
    """
    for given in plans:
        found = told(given) if told is not None else given
        with suppress(TimeIsUp, PlanCheckError):
            until = asked.deadline.later(_NEAR_SECONDS)
            plan, proof = nearer(given.fleet, given.plan, given.proof, asked.most_types, until)
            if plan is not given.plan:
                near = replace(given, plan=plan, proof=proof)
                near = told(near) if told is not None else near
                return near, near.solution()
        try:
            return found, found.solution()
        except PlanCheckError:
            if found.must_hold:
                raise
    raise AssertionError("a search ends with a plan or with an error")


def _pairs(fleet: Fleet) -> int:
    """Loads times types: how large the model is."""
    return sum(
        sum(c.allowed for c in r.candidates) * (len(r.blocks) if r.autoscaled else len({b.month for b in r.blocks}))
        for r in fleet.requirements
    )


def _may_build(pairs: int, asked: Asked) -> bool:
    """Whether there is time for the whole model; after columns failed it is worth it only where it is not hopeless."""
    if pairs > DIRECT_PAIRS and asked.solver == "highs" and (pairs > HOPELESS_PAIRS or asked.deadline.passed):
        return False
    return pairs * _SECONDS_A_PAIR <= _BUILD_SHARE * asked.seconds or pairs <= _QUICKLY_BUILT


def _by_columns(fleet: Fleet, asked: Asked, memory: Memory, floor: Floats) -> ByColumns:
    """``plan`` None where no choice of columns keeps the quotas: whether there is a plan is for others to say."""

    def search(lp: Any, start: dict[Any, float], left: float, gap: float) -> Search:
        return search_highs(lp, start, left, gap, asked.seed)

    try:
        return plan_by_columns(
            fleet, memory, asked.deadline.at, asked.gap_frac, search, asked.seed, asked.deadline, floor
        )  # fmt: skip
    finally:
        _beside.forget()


def _with_traces(fleet: Fleet) -> Fleet:
    """Types that hold nothing of some need as holding a trace of it, where several types or instances are asked for.

    As one among several such a type may run; the covers that columns and bounds are made of know only types that hold
    some of every need. What serves a fleet serves one with traces, so its bound is one of the fleet as it is, and the
    traces of a plan are within the checker's tolerance.
    """
    out = tuple(_traced(r) if r.least_types > 1 or r.min_per_zone > 1 else r for r in fleet.requirements)
    changed = any(a is not b for a, b in zip(out, fleet.requirements, strict=True))
    return fleet_of(replace(fleet.problem, requirements=out)) if changed else fleet


def _traced(r: UnitRequirement) -> UnitRequirement:
    needed = sorted({name for b in r.blocks for name in b.further})
    holds = {c.instance_type: {"": (c.safe, c.zone_loss), **_further(c, needed)} for c in r.candidates}
    if not any(c.allowed and _is_idle(r, holds[c.instance_type].values()) for c in r.candidates):
        return r
    traces = {
        name: _TRACE_FRAC * min((x for own in holds.values() for x in own[name] if x > 0), default=0.0)
        for name in ("", *needed)
    }
    candidates = []
    for c in r.candidates:
        own = {name: (up or traces[name], lost or traces[name]) for name, (up, lost) in holds[c.instance_type].items()}
        safe, zone_loss = own.pop("")
        candidates.append(replace(c, safe=safe, zone_loss=zone_loss, further={**c.further, **own}))
    return replace(r, candidates=tuple(candidates))


def _further(c: Candidate, needed: Iterable[str]) -> dict[str, tuple[float, float]]:
    return {name: c.further.get(name, (0.0, 0.0)) for name in needed}


def _is_idle(r: UnitRequirement, holds: Iterable[tuple[float, float]]) -> bool:
    return any(up <= 0 or (r.zones_survived > 0 and lost <= 0) for up, lost in holds)


# --- no plan -----------------------------------------------------------------------------------------------


def _no_plan(problem: MixProblem, asked: Asked, termination: str) -> PlanError:
    """The conflict where there is one; else no plan was found, which proves nothing."""
    if conflicts := _conflicts(problem, asked):
        return InfeasiblePlanError("no plan exists: these requirements cannot hold together", conflicts)
    return NoPlanInTimeError(
        f"no plan was found within {asked.seconds:g} s ({termination}); whether one exists is not known. "
        "Give optimize: time_limit_seconds more, or loosen gap_frac"
    )


def _conflicts(problem: MixProblem, asked: Asked) -> tuple[str, ...]:
    until = max(asked.deadline.at, asked.deadline.clock()) + _CONFLICT_SECONDS
    return explain_infeasible(problem, Deadline(asked.deadline.clock, until))


def _raise_infeasible(problem: MixProblem, asked: Asked) -> NoReturn:
    conflicts = _conflicts(problem, asked)
    if not conflicts and not asked.deadline.passed:
        raise CapacityError("the solver found no plan, yet no requirement conflicts: a fault of the model")
    late = (f"which requirements conflict was not found within {asked.seconds:g} s: give time_limit_seconds more",)
    raise InfeasiblePlanError("no plan exists: these requirements cannot hold together", conflicts or late)
