"""The first stage: how much of each offer to buy, by expected-excess cuts.

    least  (1 - w) mean_p C_p + w CVaR_90(C_p)     C_p = owned + sum_j price_j q_j + sum_lots hours x left on demand

With w = 0 the mean left on demand of every month is a variable under cuts; with w > 0 that of every path is, and CVaR
is Rockafellar and Uryasev's eta + mean(excess over eta) / .1. The master's optimum is a bound for every choice of q; a
choice is as good as its bill. Cuts are added at the master's choice and half way from it to the best one known (which
halves the rounds), until bound and bill agree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from capacity.domain import Floats
from capacity.optimize._highs import Matrix, Search, load, quiet, read_search
from capacity.optimize.purchases._bill import TAIL_FRAC, bill_paths, weighed
from capacity.optimize.purchases._lines import Setting
from capacity.optimize.purchases._recourse import Cuts, SecondStage

# Bound and bill agree: the accuracy that is asked of the check.
AGREES = 1e-6
_TARGET = 1e-7
_MIP_TARGET = 5e-7
# While purchases are still cut to what the policy allows, nearly the best show what breaks it.
ROUGHLY = 1e-4
_WHOLE_COST = 100.0
# What a solver's rounding leaves a whole instance short of.
_WHOLE = 1e-6
# A programme with whole instances looks at its limit now and then only: it is not begun this near to the end.
_WHOLE_SECONDS = 0.5
_ROUNDS = 200
# Rounds without progress after which the cuts are taken to be as tight as they get (rates out of proportion).
_PATIENCE = 12


@dataclass(frozen=True)
class Choice:
    """``bought`` (columns,), its billed objective, and a bound that holds for every choice within ``most``."""

    bought: Floats
    objective: float
    bound: float
    termination: str

    @property
    def gap(self) -> float:
        return max(self.objective - self.bound, 0.0) / max(abs(self.objective), 1e-9)


def search(setting: Setting, most: Floats, stage: SecondStage, seconds: float) -> Choice:
    """The best purchases with at most ``most`` (columns,) units each, once; see :class:`Searcher`."""
    return Searcher(setting, stage).best(most, seconds)


class Searcher:
    """Searches of one setting with ever other largest sizes: cuts hold for all of them, so each is made once."""

    def __init__(self, setting: Setting, stage: SecondStage) -> None:
        self.setting = setting
        self.master = _Master(setting, stage)

    def best(self, most: Floats, seconds: float, start: Choice | None = None, target: float = _TARGET) -> Choice:
        """The best purchases with at most ``most`` (columns,) units each, and never worse than ``start``.

        ``start`` is of sizes at least as large: its bound holds for smaller ones, and its purchases are cut to them.
        Whole RIs come last: the programme is first solved with parts of instances, whose cuts hold for whole ones too.
        ``target`` is the gap (relative) at which a search may end.
        """
        self.master.limit(most)
        deadline = time.perf_counter() + seconds
        nothing = Choice(np.zeros(len(most)), np.inf, -np.inf, "no round was made")
        choice = nothing if start is None else replace(start, bought=np.minimum(start.bought, most))
        choice = _rounds(self.master, deadline, choice, target, integer=False)
        whole = [c.integer for c in self.setting.columns]
        if any(i and m > 0 for i, m in zip(whole, most, strict=True)):
            floor = replace(choice, bought=np.where(whole, np.floor(choice.bought + _WHOLE), choice.bought))
            choice = _rounds(self.master, deadline - _WHOLE_SECONDS, floor, target, integer=True)
        return choice


def _rounds(master: _Master, deadline: float, start: Choice, target: float, integer: bool) -> Choice:
    """Rounds from ``start``, whose bound holds here too. With no time left, ``start`` itself, where it has a bound."""
    best, bound, termination, since = start.bought, start.bound, start.termination, 0
    value, points = master.billed(best), [best]
    for _ in range(_ROUNDS):
        if time.perf_counter() >= deadline and np.isfinite(bound):
            break
        for x in points:
            master.add(x)
        found = master.solve(integer, max(deadline - time.perf_counter(), 0.01))
        termination = found.termination
        if found.columns is None:
            break
        point = master.bought(found.columns, integer)
        new_bound = max(bound, found.bound)
        points = [point] if integer else [point, (point + best) / 2]
        new_value, new_best = min([(value, best), *((master.billed(x), x) for x in points)], key=lambda pair: pair[0])
        scale = max(abs(new_value), 1e-9)
        moved = (new_bound - bound > target * scale) or (value - new_value > target * scale)
        since = 0 if moved else since + 1
        bound, value, best = new_bound, new_value, new_best
        if value - bound <= target * scale or since >= _PATIENCE:
            break
    timed_out = time.perf_counter() >= deadline
    return Choice(best, value, bound, "time limit" if timed_out else termination)


class _Master:
    """The programme over (q, theta, and for CVaR eta and the excesses), to which cuts are added."""

    def __init__(self, setting: Setting, stage: SecondStage) -> None:
        self.setting, self.stage = setting, stage
        self.most = np.array([c.most for c in setting.columns], dtype=float)
        self.risk = setting.problem.policy.risk_weight
        self.q = len(setting.columns)
        self.thetas = setting.horizon.usd.shape[0] if self.risk else len(setting.horizon.months)
        self.runs = setting.runs
        self.pool = np.array([c.pool for c in setting.columns], dtype=int)
        self.fixed = np.array([p.fixed for p in setting.pools]).reshape(-1, len(setting.horizon.hours))
        # Feasibility is absolute in HiGHS: with the whole cost counted as a hundred, 1e-7 is what it should be.
        self.money = max(self.billed(np.zeros(self.q)), 1.0) / _WHOLE_COST
        self.solver = quiet(0)
        load(self.solver, self._without_cuts(), relaxed=True)

    def limit(self, most: Floats) -> None:
        """At most ``most`` (columns,) from now on, in parts of instances again."""
        import highspy

        self.most = np.asarray(most, dtype=float)
        for j, column in enumerate(self.setting.columns):
            self.solver.changeColBounds(j, 0.0, float(self.most[j]))
            if column.integer:
                self.solver.changeColIntegrality(j, highspy.HighsVarType.kContinuous)

    def billed(self, bought: Floats) -> float:
        return weighed(bill_paths(self.setting, bought).cost, self.risk)

    def bought(self, columns: Floats, integer: bool) -> Floats:
        out: Floats = np.clip(columns[: self.q], 0.0, self.most)
        whole = np.array([c.integer for c in self.setting.columns], dtype=bool)
        return np.where(whole & integer, np.round(out), out)

    def solve(self, integer: bool, seconds: float) -> Search:
        import highspy

        if integer:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            for j, column in enumerate(self.setting.columns):
                self.solver.changeColIntegrality(j, kinds[int(column.integer)])
        # The limit of an LP counts from the first run of its solver.
        self.solver.setOptionValue("time_limit", float(seconds + self.solver.getRunTime()))
        self.solver.setOptionValue("mip_rel_gap", _MIP_TARGET)
        self.solver.run()
        found = read_search(self.solver)
        if found.outcome == "nothing" and found.termination == "optimal":
            # The basis it went on from has become inexact.
            self.solver.clearSolver()
            self.solver.run()
            found = read_search(self.solver)
        return replace(found, bound=found.bound * self.money)

    def add(self, bought: Floats) -> None:
        """A cut a month (a path where risk counts) at ``bought``: theta + slopes q >= constant."""
        cuts = self.stage.cuts(self.setting.units(bought))
        slopes, constant = (self._by_path if self.risk else self._by_month)(cuts)
        for i, (row, least) in enumerate(zip(slopes, constant, strict=True)):
            used, row, least = np.flatnonzero(row), row / self.money, least / self.money
            index = np.concatenate([used, [self.q + i]]).astype(np.int32)
            self.solver.addRow(float(least), np.inf, len(index), index, np.concatenate([row[used], [1.0]]))

    def _by_month(self, cuts: Cuts) -> tuple[Floats, Floats]:
        h = self.setting.horizon
        unit = cuts.unit.mean(axis=1) * h.hours
        constant = h.by_month(cuts.constant.mean(axis=0) * h.hours - (unit * self.fixed).sum(axis=0))
        return (h.by_month(unit)[self.pool] * self.runs).T, constant

    def _by_path(self, cuts: Cuts) -> tuple[Floats, Floats]:
        h = self.setting.horizon
        unit = cuts.unit * h.hours
        constant = cuts.constant @ h.hours - np.einsum("cpk,ck->p", unit, self.fixed)
        return np.einsum("jpt,jt->pj", h.by_month(unit)[self.pool], self.runs), constant

    def _without_cuts(self) -> Matrix:
        from scipy.sparse import csr_array

        q, n, risk = self.q, self.thetas, self.risk
        extra = n + 1 if risk else 0
        width = q + n + extra
        rows = np.concatenate([self._cap(width), self._excesses(width)])
        limit = self.setting.problem.policy.largest_new_hourly_usd
        capped = 0 if limit is None else self.runs.shape[1]
        matrix = csr_array(rows)
        tail = np.concatenate([[risk], np.full(n, risk / (TAIL_FRAC * n))]) if risk else np.zeros(0)
        lower = np.zeros(width)
        if risk:
            lower[q + n] = -np.inf
        return Matrix(
            variables=tuple(range(width)),
            row_names=tuple(map(str, range(len(rows)))),
            cost=np.concatenate([self.setting.price / self.money, np.full(n, (1 - risk) / n if risk else 1.0), tail]),
            lower=lower,
            upper=np.concatenate([self.most, np.full(n + extra, np.inf)]),
            integer=np.zeros(width, dtype=bool),
            row_lower=np.concatenate([np.full(capped, -np.inf), np.zeros(len(rows) - capped)]),
            row_upper=np.concatenate([np.full(capped, limit or 0.0), np.full(len(rows) - capped, np.inf)]),
            start=matrix.indptr.astype(np.int32),
            index=matrix.indices.astype(np.int32),
            value=matrix.data.astype(float),
            constant=self.setting.owned_usd / self.money,
        )

    def _cap(self, width: int) -> Floats:
        """What is paid an hour under new commitments, in every month: rows of the user's limit."""
        if self.setting.problem.policy.largest_new_hourly_usd is None:
            return np.zeros((0, width))
        rows = np.zeros((self.runs.shape[1], width))
        unit_usd = np.array([self.setting.pools[c].unit_usd for c in self.pool])
        rows[:, : self.q] = (self.runs * unit_usd[:, None]).T
        return rows

    def _excesses(self, width: int) -> Floats:
        """excess_p - theta_p + eta >= 0: rows of CVaR. What is paid for commitments is the same on every path."""
        n = self.thetas
        if not self.risk:
            return np.zeros((0, width))
        rows = np.zeros((n, width))
        rows[:, self.q : self.q + n] = -np.eye(n)
        rows[:, self.q + n] = 1.0
        rows[:, self.q + n + 1 :] = np.eye(n)
        return rows
