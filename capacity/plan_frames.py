"""The frames that stand beside plan.json: their names, and what their columns mean."""

from __future__ import annotations

from collections.abc import Mapping

# Frames that stand beside plan.json, and their columns.
FRAMES: Mapping[str, tuple[str, ...]] = {
    # quantiles of every forecast, schema "forecast"; target mean and peak are daily, total is spend
    "forecast": ("service", "region", "metric", "target", "scenario", "origin_ts", "ts", "q025", "q05", "q10", "q50",
                 "q90", "q95", "q975", "q99", "model"),
    # what happened: daily mean and peak of each unit, and the limits' own metrics (target level)
    "history": ("service", "region", "metric", "target", "ts", "value"),
    # headroom of what runs by week, all zones up; utilisation is of its vCPU at that peak, null where not they but
    # something else bounds what is served
    "headroom": ("service", "region", "week_start", "peak_quantile", "safe", "headroom_frac", "policy_frac",
                 "utilisation_frac"),
    "saturation": ("service", "region", "limit_name", "ts", "probability"),
    # every limit with its chance within a quarter (up to last_day), and the money at stake: what serving the demand of
    # that time costs at the unit cost of the newest closed month; weighed is chance times money, the most first
    "at_stake": ("service", "region", "limit_name", "last_day", "probability", "money", "currency", "month", "weighed"),
    # what was forecast of each unit's daily peak about a quarter ago (basis: a stored plan, or made again as of then,
    # which has no interval), up to its last day: to be laid over what came
    "past_forecast": ("service", "region", "metric", "origin_ts", "ts", "q10", "q50", "q90", "basis"),
    # who calls whom: calls for each request of the caller, the demand that makes of late, and its part of the callee's
    "calls": ("caller", "caller_region", "callee", "callee_region", "per_request", "demand", "share_frac"),
    # why each fleet may be as busy as it may: the promise, what works in parallel in an instance, and bursts, in words;
    # binds is what bounds what its instances serve: vcpu, load test, or another resource
    "utilisation": ("service", "region", "rho_star", "zone_loss_frac", "slo_p99_ms", "service_time_ms", "vcpu_least",
                    "vcpu_most", "service_cv2", "arrival_cv2", "binds", "words"),
    "blocks": ("service", "region", "month", "block", "hours", "demand", "required"),
    "mix": ("service", "region", "month", "purchase", "instance_type", "per_zone", "instances", "vcpu", "usd_per_hour"),
    "running": ("service", "region", "month", "block", "purchase", "instance_type", "per_zone", "instances", "hours",
                "usd"),
    "spend_plan": ("service", "region", "month", "on_demand_usd", "spot_usd", "committed_usd", "total_usd",
                   "running_total_usd"),
    # share of futures with no hour above safe capacity, as an independent simulation of the plan found it; the same
    # with one instance a zone fewer in the block that binds
    "coverage": ("service", "region", "month", "coverage_frac", "required_frac", "one_fewer_frac", "hours_above_frac",
                 "headroom_coverage_frac", "zone_loss_coverage_frac"),
    # buffer between a month's peak (at the tier's service level) and what is safe, of what runs and of what is planned
    "headroom_months": ("service", "region", "month", "peak", "safe_running", "headroom_running_frac", "safe_planned",
                        "headroom_planned_frac", "policy_frac", "holds", "holds_running", "survives_running",
                        "survives_planned"),
    # what each service level would cost over the horizon: the price of headroom
    "cost_curve": ("service_level", "cost_usd", "bound_usd", "status"),
    # what the fleet would cost with the headroom that every tier keeps moved by so many points (-0.1: ten fewer); 0 is
    # the plan itself
    "headroom_curve": ("moved_frac", "cost_usd", "bound_usd", "status"),
    # commitments to buy, by offer and month; quantiles are over joint futures of usage, money over the whole term
    "purchases": ("offer", "product", "scope", "region", "account_id", "term_years", "payment", "month", "hourly_usd",
                  "count", "upfront_usd", "monthly_usd", "utilisation_q10", "utilisation_q50", "utilisation_q90",
                  "break_even", "saving_q10", "saving_mean", "saving_q90", "regret_q10", "regret_q90",
                  "waiting_usd_per_month", "not_bought_usd", "coverage_before_frac", "coverage_after_frac",
                  "safe_after"),
    # the same at other sizes (times what is recommended, 0 to 2): of all together (offer and month "", what is renewed
    # later left out), then of each alone with the others as planned; savings are against size 0
    "purchase_sizes": ("offer", "month", "size_frac", "hourly_usd", "saving_q10", "saving_q50", "saving_q90",
                       "saving_mean", "utilisation_q10", "utilisation_q50", "utilisation_q90"),
    # the share of each month's usage (at on-demand prices, means over the futures) that each product will cover, owned
    # and to be bought apart; what is left to 1 stays on demand. Months go on to the end of the longest term
    "coverage_ahead": ("month", "product", "owned", "covered_frac", "usage_usd"),
    # offers that were not considered, by name, and why (a rate that is not known is never guessed)
    "purchase_refusals": ("offer", "reason"),
    # what moving one requirement by one unit costs a year (below zero: saves): between low and high, by solving again
    "requirement_prices": ("requirement", "service", "region", "moved", "low_usd_per_year", "high_usd_per_year",
                           "words"),
    # verified plans that cost nearly the same and look different; what they run at the horizon's peak month
    "alternatives": ("name", "cost_usd", "extra_frac", "distance_frac", "words"),
    "alternative_mix": ("name", "service", "region", "month", "instance_type", "instances"),
    # why this type: each unit's chosen types and the next best ones
    "type_choice": ("service", "region", "instance_type", "chosen", "usd_per_year", "extra_frac", "reason"),
    # the model's price of the fleet of the newest closed month against the bill, by service
    "tie_services": ("service", "region", "month", "currency", "modelled", "billed_effective", "remainder",
                     "difference_frac", "ties", "words"),
    # what the plan's months cost in all: rows of part "total" are exactly the sums of the other parts
    "plan_total": ("month", "part", "service", "region", "amount", "basis"),
    # what load tests say an instance serves within the SLO
    "load_tests": ("service", "instance_type", "safe_low", "safe", "safe_high", "gamma", "alpha", "beta", "knee",
                   "tested_max", "flags"),
    # invoices of each billing month and currency (entered, or the sum of the bill's rows) against what is allocated
    "invoice_ties": ("month", "currency", "account", "invoice_total", "total_from", "number", "direct", "shared",
                     "unallocated", "difference", "ties", "words"),
    # what was negotiated: Contracted over List of usage, by the provider's service
    "private_discounts": ("month", "currency", "provider_service", "list_cost", "contracted_cost", "discount",
                          "discount_frac", "rows", "rows_without_list"),
    # the cost of several currencies in the company's own, by rates that the config gives; empty where there is one
    "cost_converted": ("month", "currency", "service", "kind", "pool", "BilledCost", "EffectiveCost", "ListCost",
                       "ContractedCost", "from_currency", "rate", "rate_as_of", "rate_source"),
    # what the review could not do, and why
    "review_notes": ("topic", "words"),
    # commitments by month, currency and product ("all": together): rates are shares of 1, money is exact; what each
    # column means stands at costs.commitment_review.CommitmentReview. The same over all months; what ends soon
    "commitment_review": ("month", "currency", "product", "coverage_frac", "utilisation_frac",
                          "effective_savings_rate_frac", "on_demand_equivalent", "committed", "unused", "saving",
                          "uncovered", "flags", "eligible", "on_demand_list", "covered_savings_rate_frac",
                          "list_savings_rate_frac", "unknown", "rows_used", "rows_unused", "rows_uncovered"),
    "commitment_total": ("months", "currency", "product", "coverage_frac", "utilisation_frac",
                         "effective_savings_rate_frac", "on_demand_equivalent", "committed", "unused", "saving",
                         "uncovered", "flags", "eligible", "on_demand_list", "covered_savings_rate_frac",
                         "list_savings_rate_frac", "unknown", "rows_used", "rows_unused", "rows_uncovered"),
    "commitment_expiry": ("id", "account_id", "product", "scope", "region", "start", "end", "days_left", "hourly_usd",
                          "month", "currency", "covers_frac", "monthly_committed", "monthly_on_demand", "monthly_more",
                          "words"),
    # the plan's purchases beside AWS's own recommendations; savings a month; empty where AWS was not asked
    "commitment_comparison": ("product", "scope", "region", "term_years", "payment", "ours_hourly", "aws_hourly",
                              "difference_hourly", "ours_count", "aws_count", "ours_saving", "aws_saving", "currency",
                              "lookback_days", "made_on", "reasons"),
    # waste, an instance counted once; in_plan_usd is what the recommended mix saves of it, held_usd what is none, for
    # the reason given
    "waste": ("kind", "service", "region", "what", "monthly_usd", "currency", "confidence", "reason", "taken_by",
              "evidence", "in_plan_usd", "held_usd"),
    # energy and emissions of instances (operational, location-based), only where carbon is enabled
    "carbon": ("month", "service", "region", "currency", "effective_cost", "kwh", "kg_co2e", "covered_frac", "sources",
               "unknown_types", "instance_hours", "flags"),
    # what each service was billed for by month and part, exactly, up to its last whole day
    "spend_actual": ("service", "month", "currency", "part", "amount", "last_day"),
    # months (2026-10), quarters (2026-Q4) and years from the one in progress on: billed so far, the whole of it as
    # forecast, and the budget; basis says what amounts include; p_over is null where the period is not complete
    "budget_outlook": ("level", "name", "period_kind", "period", "currency", "actual", "q10", "q50", "q90", "run_rate",
                       "projected", "budget", "p_over", "aws_mean", "aws_low", "aws_high", "share_actual_frac",
                       "complete", "basis", "run_rate_7", "width_factor", "aws_words"),
    # closed periods that have a budget: what they came to (running spend, or all), exactly
    "budget_closed": ("level", "name", "period", "currency", "includes", "budget", "actual", "variance",
                      "variance_frac"),
    # how months up to so many ahead were forecast at past origins, and how "same as last month" would have done
    "spend_backtest": ("level", "name", "horizon_months", "origins", "months", "variance_frac", "grade",
                       "naive_variance_frac", "beats_naive", "coverage80_frac", "words"),
    # what single SKUs cost of late beyond what was to be expected, the dearest first, and the bridge term behind it
    "spend_anomalies": ("service", "provider_service", "sku", "currency", "first_day", "last_day", "amount", "expected",
                        "low", "high", "extra", "probability", "term", "words"),
    # what each rule took, by month; of the newest closed month every rule stands there, with zeros if it took nothing
    "rule_hits": ("rule", "target", "month", "currency", "rows", "BilledCost", "EffectiveCost", "ListCost",
                  "ContractedCost"),
    # how each shared pool was split: to services, to other pools, or to nobody; share_frac is of what was in the pool
    "pool_steps": ("month", "currency", "pool", "to_kind", "to", "method", "share_frac", "EffectiveCost"),
    # unit cost by level (company, tier, team, service, journey) and driver; money a 1,000 units. Marginal: of daily
    # cost on daily units (marginal_basis days) or over months, with its 80 % interval; long_run: over months, with what
    # the fleet and prices did meanwhile; trend: relative, a month
    "unit_cost_groups": ("level", "name", "driver", "month", "currency", "effective_cost", "units", "per_1000",
                         "average_per_1000", "marginal_per_1000", "marginal_low", "marginal_high", "fixed_share_frac",
                         "trend_frac_per_month", "trend_low", "trend_high", "flags", "unit", "per", "coverage_frac",
                         "marginal_basis", "marginal_points", "long_run_per_1000", "long_run_low", "long_run_high",
                         "trend_months"),
    # each service's cost by the journeys that made its requests; "(not explained)" is what none did. The rows of a
    # service are exactly its cost
    "journey_costs": ("journey", "service", "month", "currency", "requests_per_journey", "effective_cost", "share_frac",
                      "journeys", "flags"),
    # cost of 1,000 units in coming whole months, from joint futures of spend and demand; basis says what is in it
    "unit_cost_forecast": ("level", "name", "month", "currency", "q10", "q50", "q90", "basis", "driver", "unit", "per",
                           "scenario"),
    # why the bill moved, by SKU: the newest closed month against the one before, and the newest whole quarter; start,
    # then the eight terms (they add up to end, exactly), end; SKUs that moved little are one row "(others)" a service
    "bridge": ("from_period", "to_period", "currency", "kind", "name", "provider_service", "sku", "charge", "start",
               "volume", "efficiency", "mix", "list_rate", "negotiated_rate", "commitment_rate", "new_and_ended",
               "one_off", "end"),
    "cost": ("month", "currency", "service", "kind", "pool", "BilledCost", "EffectiveCost", "ListCost",
             "ContractedCost"),
    "unit_cost": ("month", "service", "currency", "effective_cost", "units", "usd_per_1000"),
    "unallocated": ("currency", "ServiceName", "SubAccountId", "rows", "EffectiveCost", "suggested_rule"),
    # running spend of coming months; model and reason say whether demand drives it
    "spend_forecast": ("service", "month", "q10", "q50", "q90", "model", "reason"),
    # tax, credit, refund and one_off by month: as billed (known), or as assumed and why; not in spend_forecast
    "spend_apart": ("month", "part", "amount", "known", "assumption"),
    "excuses": ("service", "region", "instance_type", "reason"),
    # days of late that were not to be expected, the rarest first; money is the value less what was expected
    "anomalies": ("frame", "service", "region", "target", "ts", "value", "q50", "low", "high", "probability", "money"),
    # each unit's demand as Prophet decomposes it, the last 400 days and the horizon: a level and factors, whose product
    # is fitted; target mean and peak
    "explanation": ("service", "region", "target", "ts", "actual", "trend", "weekly", "yearly", "events", "fitted"),
    # what moves demand beside trend and season: events, holidays and lasting jumps (kind shift); the multiplier has its
    # 80 % interval, end is null for what lasts, source is learned, given or detected
    "occasions": ("service", "region", "target", "name", "kind", "start", "end", "multiplier", "low", "high",
                  "occurrences", "source"),
    # totals from joint paths, by month (2026-10) and quarter (2026-Q4); demand is the mean over the period's days
    "totals": ("level", "name", "measure", "unit", "month", "q10", "q50", "q90"),
    # what the plan of about a quarter ago promised of days that are over: by month, and the largest peak of its horizon
    # (target horizon_peak, month first/last day; covered is null while it may still change)
    "promise": ("service", "region", "metric", "target", "origin_ts", "month", "q10", "q50", "q90", "actual", "covered",
                "error_frac"),
    # events that are over: what was said of each unit before (basis: a stored plan, or made again as of that day), and
    # what came. multipliers are over the demand without the event, as forecast then; held is whether the peak stayed
    # within the safe capacity of what ran
    "event_review": ("event", "service", "region", "start", "end", "basis", "origin", "p50", "p95", "actual",
                     "error_frac", "within_p95", "multiplier", "multiplier_realised", "safe", "held", "said_go",
                     "probability_holds", "words"),
    # what is odd in the data, the gravest first
    "quality": ("severity", "frame", "source", "scope", "rule", "rows", "of", "column", "example", "message"),
}  # fmt: skip
