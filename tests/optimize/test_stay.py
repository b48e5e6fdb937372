"""A fleet stays with the types it runs as far as that is as cheap; who saves more than the penalty moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import MixProblem
from capacity.optimize import solve_few_types
from tests.optimize.makers import candidate, commitment, problem, unit

PENALTY = 0.02
OLD = candidate("m5.large", 0.100, 10.0)
HARDLY_CHEAPER = candidate("c5.large", 0.099, 10.0)
MUCH_CHEAPER = candidate("c6.large", 0.080, 10.0)
RUNS = {("m5.large", zone): 3 for zone in "abc"}


def fleet(*others: str, owned: float = 0.0) -> MixProblem:
    """Three services on m5; the first may also run what ``others`` names. ``owned`` USD an hour of m5 are paid for."""
    kinds = {"hardly": HARDLY_CHEAPER, "much": MUCH_CHEAPER}
    first = unit("a", [60, 31], [OLD, *(kinds[o] for o in others)], running=RUNS)
    rest = [unit(name, [60, 40], [OLD, HARDLY_CHEAPER], running=RUNS) for name in ("b", "c")]
    plans = [commitment("esp", "ec2_instance_sp", "m5", hourly=owned)] if owned else []
    return problem(first, *rest, commitments=plans, rates={"esp": 0.6} if owned else {}, penalty=PENALTY)


def types(p: MixProblem) -> dict[str, set[str]]:
    found = solve_few_types(p, 2, gap_frac=0.0)
    assert all(check.worst_slack >= -1e-6 for check in found.checks)
    return found.provisioned.groupby("service")["instance_type"].agg(set).to_dict()


def test_what_saves_less_than_the_penalty_moves_nobody() -> None:
    assert types(fleet("hardly")) == {name: {"m5.large"} for name in "abc"}


def test_who_saves_more_than_the_penalty_moves_alone() -> None:
    found = types(fleet("hardly", "much"))
    assert found["a"] == {"c6.large"}
    assert found["b"] == found["c"] == {"m5.large"}


@pytest.mark.parametrize("owned", [0.5, 5.0])
def test_a_commitment_of_the_old_family_is_shared_and_counts_in_the_move(owned: float) -> None:
    """Half a dollar an hour is used by b and c whoever leaves; of five, all is idle that a leaves, so a stays."""
    assert types(fleet("much", owned=owned))["a"] == ({"c6.large"} if owned < 1 else {"m5.large"})


def test_nothing_runs_nothing_stays() -> None:
    bare = fleet("hardly")
    bare = replace(bare, requirements=tuple(replace(r, running={}) for r in bare.requirements))
    assert types(bare) == {name: {"c5.large"} for name in "abc"}


@given(st.lists(st.floats(0.05, 0.2), min_size=3, max_size=3), st.floats(0, 2.0), st.integers(1, 4))
def test_staying_costs_at_most_the_penalty_more_than_choosing_anew(usd: list[float], owned: float, count: int) -> None:
    running = {("m5.large", zone): count for zone in "abc"}
    units = [
        unit(name, [60, 31], [OLD, candidate("c5.large", price, 10.0), candidate("r5.large", price * 1.1, 11.0)],
             running=running)
        for name, price in zip("abc", usd, strict=True)
    ]  # fmt: skip
    plans = [commitment("esp", "ec2_instance_sp", "m5", hourly=owned)] if owned > 0.01 else []
    p = problem(*units, commitments=plans, rates={"esp": 0.6} if plans else {}, penalty=PENALTY)
    kept = solve_few_types(p, 2, gap_frac=0.0)
    anew = solve_few_types(replace(p, switching_penalty_frac=0.0), 2, gap_frac=0.0)
    spent, least = (float(s.spend["total_usd"].sum()) for s in (kept, anew))
    # New types count the penalty dearer in the choice, and staying may cost as much again.
    assert spent <= least * (1 + PENALTY) ** 2 + 1e-6


def test_a_type_that_is_left_is_not_called_against_policy() -> None:
    p = fleet("hardly", "much")
    barred = replace(p.requirements[1], candidates=(replace(OLD, allowed=False), HARDLY_CHEAPER))
    found = solve_few_types(replace(p, requirements=(p.requirements[0], barred, p.requirements[2])), 2)
    told = [note for note in found.notes if "against its policy" in note]
    assert told == [f"{barred.unit} runs m5.large against its policy: priced, not planned"]
