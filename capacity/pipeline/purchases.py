"""Which commitments to buy for the plan: offers from the rate card, usage from the plan and its joint futures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from capacity import words
from capacity.config import CommitmentPolicy, Config
from capacity.domain import Floats, Offer, Unit
from capacity.optimize.purchases import PurchasePlan, PurchasePolicy, Recommendation, evenly, recommend, usage_groups
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.mix import Mix, UnitNeed, offers
from capacity.pipeline.progress import Progress, silent
from capacity.plan import FRAMES

# Purchases are searched for at most this long; the demo's takes a second.
_SECONDS = 60.0


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(FRAMES[name]))


@dataclass(frozen=True)
class Purchases:
    """Frames ``purchases``, ``purchase_refusals``, ``purchase_sizes`` and ``coverage_ahead``.

    ``notes`` say what was assumed.
    """

    purchases: pd.DataFrame = field(default_factory=lambda: _empty("purchases"))
    purchase_refusals: pd.DataFrame = field(default_factory=lambda: _empty("purchase_refusals"))
    notes: tuple[str, ...] = ()
    purchase_sizes: pd.DataFrame = field(default_factory=lambda: _empty("purchase_sizes"))
    coverage_ahead: pd.DataFrame = field(default_factory=lambda: _empty("coverage_ahead"))


def purchases(mix: Mix | None, inputs: Inputs, tell: Progress = silent) -> Purchases:
    """What to buy for the fleet of ``mix``; nothing where ``optimize: commitments`` is absent.

    The mix is planned at on-demand prices and owned commitments; purchases are then made for what it runs in each
    future, and do not change it.
    """
    policy = inputs.config.optimize.commitments
    if mix is None or policy is None:
        return Purchases()
    tell("commitments to buy", 0, 1)
    planned = {(str(r), str(t)) for r, t in zip(mix.solution.running["region"], mix.solution.running["instance_type"],
                                                strict=True)}  # fmt: skip
    offered, missing = offers(inputs.prices, mix.problem.requirements, policy, planned)
    refused = [(text.split(": ", 1)[0], text.split(": ", 1)[-1]) for text in missing]
    if not offered:
        return Purchases(purchase_refusals=_refusals(refused))
    asked = usage_groups(replace(mix.problem, offers=offered), mix.solution, demand_means(mix.needs, inputs.config))
    found = recommend(replace(asked, policy=purchase_policy(policy, mix.problem.months)), _SECONDS)
    tell("commitments to buy", 1, 1)
    refused += [(r.offer, r.reason) for r in found.refused]
    return Purchases(_frame(found, offered), _refusals(refused), tuple(found.assumptions), _sizes(found), _ahead(found))


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


def _frame(found: PurchasePlan, offered: tuple[Offer, ...]) -> pd.DataFrame:
    rows = [_row(r) for r in found.recommendations]
    return pd.DataFrame(rows, columns=list(FRAMES["purchases"]))


def _row(r: Recommendation) -> tuple[object, ...]:
    return (
        r.offer, r.product, r.scope, r.region, r.account_id, r.term_years, r.payment, r.buy_month, r.hourly_usd,
        r.count, r.upfront_usd, r.monthly_usd, r.utilisation.p10, r.utilisation.p50, r.utilisation.p90,
        r.break_even_month, r.saving.p10, r.saving.mean, r.saving.p90, r.regret_p10_usd, r.regret_p90_usd,
        r.waiting_month_usd, r.waiting_term_usd,
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
