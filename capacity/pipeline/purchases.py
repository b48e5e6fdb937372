"""Which commitments to buy for the plan: offers from the rate card, usage from the plan and its joint futures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from capacity import words
from capacity.config import CommitmentPolicy, Config
from capacity.domain import Floats, MixProblem, MixSolution, Offer, Unit
from capacity.errors import PlanError
from capacity.optimize.purchases import (
    Joint,
    Pair,
    PurchasePlan,
    PurchasePolicy,
    PurchaseProblem,
    Recommendation,
    as_asked,
    as_before,
    decide_jointly,
    evenly,
    usage_groups,
)
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.mix import Mix, UnitNeed, offers, solve_again
from capacity.pipeline.progress import Progress, silent
from capacity.plan import FRAMES

# Purchases are searched for at most this long; the demo's takes a second.
_SECONDS = 60.0


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(FRAMES[name]))


@dataclass(frozen=True)
class Purchases:
    """Frames ``purchases``, ``purchase_refusals``, ``purchase_sizes`` and ``coverage_ahead``.

    ``notes`` say what was assumed. ``seen_as`` is the mix as it was asked for, at prices that hold purchases, where it
    is another than the cheapest on demand: what explains it is worked out there.
    """

    purchases: pd.DataFrame = field(default_factory=lambda: _empty("purchases"))
    purchase_refusals: pd.DataFrame = field(default_factory=lambda: _empty("purchase_refusals"))
    notes: tuple[str, ...] = ()
    purchase_sizes: pd.DataFrame = field(default_factory=lambda: _empty("purchase_sizes"))
    coverage_ahead: pd.DataFrame = field(default_factory=lambda: _empty("coverage_ahead"))
    seen_as: Mix | None = None


def purchases(mix: Mix | None, inputs: Inputs, seed: int = 1, tell: Progress = silent) -> tuple[Mix | None, Purchases]:
    """What to buy for the fleet of ``mix``, and the mix for which it is bought.

    Nothing where ``optimize: commitments`` is absent. The mix comes planned at on-demand prices and owned commitments;
    it is asked for again with purchases in mind, and changes only where it and its purchases are then cheaper together.
    """
    policy = inputs.config.optimize.commitments
    if mix is None or policy is None:
        return mix, Purchases()
    tell("commitments to buy", 0, 1)
    offered, missing = _offers_for(mix, inputs, policy, mix.solution)
    refused = [(text.split(": ", 1)[0], text.split(": ", 1)[-1]) for text in missing]
    if not offered:
        return mix, Purchases(purchase_refusals=_refusals(refused))
    if not (mix.solution.running["purchase"] == "on_demand").any():
        nothing = [(o.id, "nothing of the plan runs on demand, and spot is covered by no commitment") for o in offered]
        return mix, Purchases(purchase_refusals=_refusals([*refused, *nothing]))
    joint = _jointly(mix, inputs, policy, seed)
    tell("commitments to buy", 1, 1)
    found = joint.kept.plan
    refused += [(r.offer, r.reason) for r in found.refused]
    notes = (*found.assumptions, *_together(joint, inputs.config.currency))
    kept, seen_as = mix, None
    if joint.kept.asked_as is not None and joint.kept.answer is not None:
        kept = replace(mix, solution=joint.kept.solution, asked_as=joint.kept.asked_as)
        seen_as = replace(mix, problem=joint.kept.asked_as, solution=joint.kept.answer)
    return kept, Purchases(_frame(found), _refusals(refused), notes, _sizes(found), _ahead(found), seen_as)


def _offers_for(
    mix: Mix, inputs: Inputs, policy: CommitmentPolicy, solution: MixSolution
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    rows = zip(solution.running["region"], solution.running["instance_type"], strict=True)
    return offers(inputs.prices, mix.problem.requirements, policy, {(str(r), str(t)) for r, t in rows})


def _jointly(mix: Mix, inputs: Inputs, policy: CommitmentPolicy, seed: int) -> Joint:
    config, problem = inputs.config, mix.problem
    means, bought_by = demand_means(mix.needs, config), purchase_policy(policy, problem.months)
    every = {(r.unit.region, c.instance_type) for r in problem.requirements for c in r.candidates if c.allowed}

    def usage(solution: MixSolution) -> PurchaseProblem:
        offered, _ = _offers_for(mix, inputs, policy, solution)
        asked = usage_groups(replace(problem, offers=offered), solution, means)
        return replace(asked, policy=bought_by)

    def again(asked: MixProblem, seconds: float) -> MixSolution:
        return solve_again(asked, config.optimize, seed, mix.memory, seconds)

    return decide_jointly(
        problem,
        offers(inputs.prices, problem.requirements, policy, every)[0],
        mix.solution,
        usage,
        again,
        seconds=config.optimize.time_limit_seconds,
        purchase_seconds=_SECONDS,
        gap_frac=config.optimize.gap_frac,
    )


def _together(joint: Joint, currency: str) -> tuple[str, ...]:
    """What asking for the mix again has brought, in words; a sentence in every case."""
    until = joint.kept.plan.months[-1]
    if joint.even:
        return ("all types of each service may be had at one committed rate: no purchase makes another mix cheaper",)
    if not joint.tried:
        return ("the mix was not asked for again with purchases in mind: a limit of time",)
    if joint.kept is joint.first:
        times = "once more" if joint.tried == 1 else f"{joint.tried} times more"
        return (f"the mix was asked for {times} with purchases in mind: none was cheaper together with its own",)

    def said(of: Pair) -> str:
        return f"{words.money(of.plan.cost.mean, currency)} expected, {words.money(of.plan.cost.p50, currency)} in P50"

    frac = joint.saved_usd / joint.first.usd
    return (
        f"the mix is chosen for what it costs with purchases: until {until} it and they save "
        f"{words.money(joint.saved_usd, currency)} ({frac:.1%}) over the cheapest mix on demand with purchases of its "
        f"own; what commitments may cover costs {said(joint.kept)}, there {said(joint.first)}",
    )


def as_in_base(mix: Mix | None, base: Mix | None, inputs: Inputs, seed: int) -> tuple[Mix | None, Purchases]:
    """A scenario's mix held to the prices of its base, where that was chosen with purchases; nothing is bought anew.

    Else what the scenario changes would be chosen by other prices than what it leaves alone, and the difference taken
    for the scenario's. Where no such mix is found, the one that is there stays.
    """
    if mix is None or base is None or base.asked_as is None:
        return mix, Purchases()
    config, asked = inputs.config, as_before(mix.problem, base.problem, base.asked_as)
    try:
        answer = solve_again(asked, config.optimize, seed, mix.memory, config.optimize.time_limit_seconds)
        found = as_asked(mix.problem, answer, mix.solution, config.optimize.gap_frac)
    except PlanError:
        return mix, Purchases()
    seen_as = replace(mix, problem=asked, solution=answer)
    return replace(mix, solution=found, asked_as=asked), Purchases(seen_as=seen_as)


def declined() -> Purchases:
    """What a scenario that buys nothing says of every commitment."""
    return Purchases(purchase_refusals=_refusals([("every commitment", "the scenario buys none")]))


def purchase_policy(policy: CommitmentPolicy, months: tuple[str, ...]) -> PurchasePolicy:
    """The config's words as the purchase's own."""
    return PurchasePolicy(
        largest_break_even_months={int(term): float(most) for term, most in policy.max_break_even_months.items()},
        least_utilisation_frac=policy.least_utilisation_frac,
        risk_weight=policy.risk_weight,
        ladder=policy.ladder_months > 1,
        buy_months=months[: policy.ladder_months],
        least_hourly_usd=policy.least_hourly_usd,
        largest_new_hourly_usd=policy.largest_new_hourly_usd,
    )


def demand_means(needs: Mapping[Unit, UnitNeed], config: Config) -> dict[Unit, Floats]:
    """(P, B) mean demand of each path in the hours of each of a unit's load blocks, with what is reserved."""
    out = {}
    for unit, need in needs.items():
        chosen = evenly(len(need.hours))
        labels = need.block_of(config.optimize.load_blocks)
        months = words.month_names(need.days)
        columns = []
        for block in need.requirement.blocks:
            here = (months == block.month)[:, None] & (labels == int(block.block[1:]) - 1)
            columns.append(need.hours[chosen][:, here].mean(axis=1, dtype=float) + need.reserve)
        out[unit] = np.stack(columns, axis=1)
    return out


def _frame(found: PurchasePlan) -> pd.DataFrame:
    rows = [_row(r) for r in found.recommendations]
    return pd.DataFrame(rows, columns=list(FRAMES["purchases"]))


def _row(r: Recommendation) -> tuple[object, ...]:
    return (
        r.offer, r.product, r.scope, r.region, r.account_id, r.term_years, r.payment, r.buy_month, r.hourly_usd,
        r.count, r.upfront_usd, r.monthly_usd, r.utilisation.p10, r.utilisation.p50, r.utilisation.p90,
        r.break_even_month, r.saving.p10, r.saving.mean, r.saving.p90, r.regret_p10_usd, r.regret_p90_usd,
        r.waiting_month_usd, r.waiting_term_usd, r.coverage_before_frac, r.coverage_after_frac, r.safe_after_month,
    )  # fmt: skip


def _sizes(found: PurchasePlan) -> pd.DataFrame:
    """Every size of every recommendation, of all together first: offer and month are "" there."""
    of = {r.id: (r.offer, r.buy_month) for r in found.recommendations}
    rows = []
    for one in found.sizes:
        used = one.utilisation
        shares = (used.p10, used.p50, used.p90) if used is not None else (None, None, None)
        saving = (one.saving.p10, one.saving.p50, one.saving.p90, one.saving.mean)
        rows.append((*of.get(one.id, ("", "")), one.size_frac, one.hourly_usd, *saving, *shares))
    frame = pd.DataFrame(rows, columns=list(FRAMES["purchase_sizes"]))
    return frame.astype({f"utilisation_{q}": float for q in ("q10", "q50", "q90")})


def _ahead(found: PurchasePlan) -> pd.DataFrame:
    rows = [(c.month, c.product, c.owned, c.covered_frac, c.usage_usd) for c in found.coverage]
    return pd.DataFrame(rows, columns=list(FRAMES["coverage_ahead"]))


def _refusals(rows: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(FRAMES["purchase_refusals"]))
