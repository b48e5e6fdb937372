"""What a decision on purchases takes and gives. Money is in USD, usage at on-demand price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from capacity.domain import Commitment, Floats, Offer, PaymentOption, SolveStatus


@dataclass(frozen=True)
class UsageGroup:
    """Usage that every commitment treats alike.

    Attributes
    ----------
    usd_per_hour
        On-demand price of one instance (Standard RIs are counted in instances).
    usd
        (P, K) on-demand value an hour, on each of P joint paths and in each of K lots.
    """

    account_id: str
    region: str
    family: str
    instance_type: str
    usd_per_hour: float
    usd: Floats = field(hash=False, compare=False)

    @property
    def name(self) -> str:
        return f"{self.instance_type} of {self.account_id} in {self.region}"


@dataclass(frozen=True)
class PurchasePolicy:
    """What the user allows.

    Attributes
    ----------
    largest_break_even_months
        By years of the term (9 and 18 months: the FinOps framework's rule of thumb and its like for three years);
        inf asks nothing.
    least_utilisation_frac
        The least share of a purchase's term value that must be used on the P10 path of what it may cover.
    risk_weight
        0 minimises the expected cost, 1 the mean of the worst tenth of the paths (CVaR at 90 %).
    buy_months
        Months (YYYY-MM) in which may be bought; the first month of the horizon where empty, all where ``ladder``.
    ladder
        Whether purchases may be spread over ``buy_months``; else only the first of them counts.
    least_hourly_usd
        A purchase that would cost less an hour is not worth a decision and is not made.
    largest_new_hourly_usd
        Upper bound of what is paid an hour under new commitments, in any month. None: no bound.
    """

    largest_break_even_months: Mapping[int, float] = field(default_factory=lambda: {1: 9.0, 3: 18.0}, hash=False)
    least_utilisation_frac: float = 0.0
    risk_weight: float = 0.0
    ladder: bool = False
    buy_months: tuple[str, ...] = ()
    least_hourly_usd: float = 0.0
    largest_new_hourly_usd: float | None = None


@dataclass(frozen=True)
class PurchaseProblem:
    """Usage, what is owned, and what may be bought.

    Attributes
    ----------
    months
        YYYY-MM, in order, without a gap.
    lot_month, hours
        (K,) position in ``months`` and length of each lot (month x load block); in order of months.
    committed_rate
        By id of an owned Savings Plan: the price of covered usage as a share of on demand.
    drift_a_year
        Standard deviation of the log level that usage may drift in a year beyond ``months``.
    least_months
        Usage is carried on to so many months at least, and always to the end of the longest term.
    """

    months: tuple[str, ...]
    lot_month: tuple[int, ...]
    hours: tuple[float, ...]
    groups: tuple[UsageGroup, ...]
    offers: tuple[Offer, ...]
    commitments: tuple[Commitment, ...] = ()
    committed_rate: Mapping[str, float] = field(default_factory=dict, hash=False)
    policy: PurchasePolicy = field(default_factory=PurchasePolicy)
    drift_a_year: float = 0.2
    least_months: int = 0


@dataclass(frozen=True)
class Spread:
    """A figure over the paths."""

    p10: float
    p50: float
    p90: float
    mean: float


@dataclass(frozen=True)
class RefusedOffer:
    """An offer that was not considered, or was dropped by policy, and why."""

    offer: str
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """One purchase.

    Attributes
    ----------
    hourly_usd
        What it costs an hour in all (upfront spread over the term); ``count`` instances for an RI, else 0.
    upfront_usd, monthly_usd
        Paid on the day of purchase, and in each month of the term.
    utilisation
        Share of the commitment that is used over its term; P10/P50/P90 are quantiles over the paths.
    coverage_before_frac, coverage_after_frac
        Mean share of the usage in its scope, over its term, under commitments (owned and the plan's other purchases)
        without and with it.
    break_even_month
        YYYY-MM: on the P50 path, the first month from whose end on what was paid for it stays at or below the
        on-demand value of what it covered. None where that is never.
    safe_after_month
        YYYY-MM: on the P50 path, the month from which usage may end without a loss: what it covered until then is worth
        the price of the whole term. None where that is never.
    saving
        USD over the term against not having it, all else bought as planned.
    regret_p10_usd, regret_p90_usd
        On the path at P10 (P90) of the usage in its scope: the plan's cost less the cost of the best size of this
        purchase, had that usage been known.
    waiting_month_usd, waiting_term_usd
        Mean saving that is lost if it is bought a month later (that of its first month), and if it is never bought.
    if_not_bought
        The same in words.
    """

    id: str
    offer: str
    product: str
    term_years: int
    payment: PaymentOption
    scope: str
    region: str
    account_id: str
    buy_month: str
    hourly_usd: float
    count: int
    upfront_usd: float
    monthly_usd: float
    utilisation: Spread
    coverage_before_frac: float
    coverage_after_frac: float
    break_even_month: str | None
    break_even_months: int | None
    safe_after_month: str | None
    saving: Spread
    regret_p10_usd: float
    regret_p90_usd: float
    waiting_month_usd: float
    waiting_term_usd: float
    if_not_bought: str


@dataclass(frozen=True)
class Sized:
    """Another size of a purchase, or of all of them together.

    Attributes
    ----------
    id
        Of the recommendation; "" where all change together.
    size_frac
        Times what is recommended: 0 nothing, 1 as recommended.
    hourly_usd
        What that costs an hour.
    saving
        USD over the term against a size of 0, all else as bought.
    utilisation
        Share of it that is used over its term; None where nothing is bought.
    """

    id: str
    size_frac: float
    hourly_usd: float
    saving: Spread
    utilisation: Spread | None


@dataclass(frozen=True)
class CoverageAhead:
    """``covered_frac`` of a month's usage under one product, owned or bought; ``usage_usd`` is at on-demand prices."""

    month: str
    product: str
    owned: bool
    covered_frac: float
    usage_usd: float


@dataclass(frozen=True)
class PurchasePlan:
    """Recommendations, and how far they may be trusted.

    ``cost`` and ``cost_without`` are over ``months`` (the horizon, carried on to the end of the longest term), with the
    plan's purchases and with what is owned alone. ``status.objective`` is the billed cost, weighed by the policy's
    risk; ``status.bound`` holds for every choice of purchases of the sizes that the policy leaves. ``regret_p10_usd``
    (P90) is what the plan costs more, on the path at P10 (P90) of all usage, than the best purchases had that usage
    been known, policy left aside.
    """

    recommendations: tuple[Recommendation, ...]
    refused: tuple[RefusedOffer, ...]
    status: SolveStatus
    cost: Spread
    cost_without: Spread
    cvar90: float
    cvar90_without: float
    regret_p10_usd: float
    regret_p90_usd: float
    months: tuple[str, ...]
    assumptions: tuple[str, ...]
    sizes: tuple[Sized, ...] = ()
    coverage: tuple[CoverageAhead, ...] = ()
