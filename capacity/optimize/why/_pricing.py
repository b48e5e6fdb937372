"""Moves priced one by one: by arithmetic as far as that goes, else by the smallest part of the fleet that tells it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from capacity.domain import MixProblem, MixSolution, Unit
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize.columns.memory import Memory
from capacity.optimize.solve import solve
from capacity.optimize.why._bounds import FleetBounds, fleet_bounds, never_reached
from capacity.optimize.why._enclosed import Interval, enclosed
from capacity.optimize.why._leftover import cost_between
from capacity.optimize.why._pieces import Piece, Pieces, Way
from capacity.optimize.why._plan import per_year, planned_usd
from capacity.optimize.why._price import Outcome, Price, directed, words_of
from capacity.optimize.why.moves import Moved, touched

# A small fleet is solved to this gap: its gap is the width of the price. Of a part of a large one less will do.
_SMALL_GAP_FRAC, _PIECE_GAP_FRAC = 1e-6, 1e-5
# The change where a limit is never reached, which is known to be none.
_NONE: Interval = (0.0, 0.0)


@dataclass
class Pricing:
    """Solves pieces, and remembers what a piece costs before any move."""

    problem: MixProblem
    solution: MixSolution
    deadline: float
    seconds_each: float
    gap_frac: float
    solver: Literal["highs", "cbc"]
    seed: int
    memory: Memory = field(default_factory=Memory)
    before: dict[tuple[Way, frozenset[Unit]], Interval] = field(default_factory=dict)
    bounds: list[FleetBounds] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pieces = Pieces(self.problem, self.solution)

    def _piece(self, move: Moved) -> Piece:
        return self.pieces.of(touched(self.problem, move.problem))

    def enclosed(self, moved: Sequence[Moved], deadline: Deadline) -> dict[int, Price]:
        """By position: moves of single services between what arithmetic proves of their cost, as far as time goes."""
        by_unit: dict[frozenset[Unit], list[int]] = {}
        for k, move in enumerate(moved):
            units = touched(self.problem, move.problem)
            if len(units) == 1:
                by_unit.setdefault(units, []).append(k)
        out: dict[int, Price] = {}
        try:
            for units, own in by_unit.items():
                deadline.check()
                piece = self.pieces.of(units)
                if piece.way != "whole" and len(piece.units) == 1 and piece.beside is None:
                    out |= self._enclosed(piece, {k: moved[k] for k in own}, deadline)
        except TimeIsUp:
            pass
        return out

    def _enclosed(self, piece: Piece, moved: Mapping[int, Moved], deadline: Deadline) -> dict[int, Price]:
        began = time.perf_counter()
        asked = [piece.of(self.problem), *(piece.of(move.problem) for move in moved.values())]
        old, *found = enclosed(asked, deadline)
        seconds = (time.perf_counter() - began) / len(moved)
        return {
            k: self._priced(move, piece.way, "solved", (new[0] - old[1], new[1] - old[0]), seconds)
            for (k, move), new in zip(moved.items(), found, strict=True)
            if old is not None and new is not None
        }

    def left(self) -> float:
        return self.deadline - time.perf_counter()

    def by_solving(self, order: Sequence[int], moved: Sequence[Moved], most: int | None) -> Iterator[int]:
        """Those of ``order`` to go on with: all that the solver is not asked for, and so many that it is."""
        asked = 0
        for k in order:
            piece = self._piece(moved[k])
            solved = not self._is_bounded(piece) and piece.beside is None
            asked += solved
            if not solved or most is None or asked <= most:
                yield k

    def price(self, move: Moved) -> Price | None:
        """None where the time did not suffice to say anything."""
        began = time.perf_counter()
        try:
            for piece in self._ways(move):
                outcome, between = self._difference(piece, move)
                if outcome != "impossible":
                    break
        except TimeIsUp:
            return None
        if outcome == "no_plan_in_time" and self.left() <= 0:
            return None
        way: Way = piece.way
        if outcome == "solved" and self._is_bounded(piece):
            way = "unreached" if between is _NONE else "bounded"
        return self._priced(move, way, outcome, between, time.perf_counter() - began)

    def _ways(self, move: Moved) -> Iterator[Piece]:
        """The piece to solve, then the one that proves it where that one has no plan."""
        piece = self._piece(move)
        yield piece
        if piece.exact is not None:
            yield piece.exact

    def _priced(self, move: Moved, way: Way, outcome: Outcome, usd_between: Interval, seconds: float) -> Price:
        low, high = directed(*usd_between, move.direction)
        year = per_year(self.problem)
        words = words_of(move, low * year, high * year, way, outcome)
        return Price(move.name, move.unit, move.kind, low * year, high * year, way, outcome, seconds, words)

    def _difference(self, piece: Piece, move: Moved) -> tuple[Outcome, Interval]:
        try:
            if self._is_bounded(piece):
                return "solved", self._between(move)
            old, new = self._before(piece), self._cost(piece, move.problem)
        except InfeasiblePlanError:
            return "impossible", (math.inf, math.inf)
        except NoPlanInTimeError:
            return "no_plan_in_time", (-math.inf, math.inf)
        return "solved", (new[0] - old[1], new[1] - old[0])

    def _before(self, piece: Piece) -> Interval:
        if piece.way == "whole" and not piece.small:
            return self._as_planned()
        key = (piece.way, piece.units)
        if key not in self.before:
            self.before[key] = self._cost(piece, self.problem)
        return self.before[key]

    def _as_planned(self) -> Interval:
        """A plan of few types is told without the switching penalty; a bound without it is one with it too."""
        return self.solution.status.bound, planned_usd(self.problem, self.solution)

    def _cost(self, piece: Piece, problem: MixProblem) -> Interval:
        """What the cheapest plan of a piece costs at least and at most."""
        seconds = max(min(self.seconds_each, self.left()), 0.1)
        if piece.beside is not None:
            return cost_between(piece.of(problem), piece.beside, seconds, _PIECE_GAP_FRAC, self.solver, self.seed)
        gap = _SMALL_GAP_FRAC if piece.small else _PIECE_GAP_FRAC if piece.way != "whole" else self.gap_frac
        status = solve(piece.of(problem), seconds, gap, self.solver, self.seed).status
        return status.bound, status.objective

    # --- the whole fleet -----------------------------------------------------------------------------------

    def _is_bounded(self, piece: Piece) -> bool:
        """Whether a large fleet is told by what its loads cost: it may be bought nothing for."""
        return piece.way == "whole" and not piece.small and not self.problem.offers

    def _fleet(self, problem: MixProblem) -> FleetBounds:
        return fleet_bounds(problem, self.memory, Deadline(time.perf_counter, self.deadline), self.solver, self.seed)

    def _between(self, move: Moved) -> Interval:
        """The change of the whole fleet's cost; what was planned is a plan where less is asked."""
        if not self.bounds:
            self.bounds.append(self._fleet(self.problem))
        old = self.bounds[0]
        bound, planned = self._as_planned()
        low, high = max(old.low, bound), min(old.high, planned)
        if move.kind == "quota" and self._is_never_reached(move, high):
            return _NONE
        new = self._fleet(move.problem)
        least, most = new.low, min(new.high, high) if move.direction < 0 else new.high
        if not math.isfinite(most):
            seconds = max(min(self.seconds_each, self.left()), 0.1)
            status = solve(move.problem, seconds, self.gap_frac, self.solver, self.seed).status
            least, most = max(least, status.bound), status.objective
        return least - high, most - low

    def _is_never_reached(self, move: Moved, usd: float) -> bool:
        raised = [q for q in self.problem.quotas if q not in move.problem.quotas]
        return all(never_reached(self.bounds[0], q, usd) for q in raised)
