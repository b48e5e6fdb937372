"""Frames and plans as Altair charts: one definition serves the page and the report.

Every chart is as wide as its container, has no title and no ground of its own, and comes in a light and a dark theme
whose text keeps a contrast of at least 4.5. Nothing is told by colour alone. Empty input gives a chart that says so.
"""

from capacity.charts._around import MAX_SIDE, calls_around, utilisation_weeks
from capacity.charts._bridge import bridge_waterfall
from capacity.charts._budget import spend_budget
from capacity.charts._check import event_after
from capacity.charts._commitments import commitment_coverage, purchase_ladder, purchase_regret
from capacity.charts._demand import event_bars, fan, load_duration, saturation_curves
from capacity.charts._event import event_calls, event_timeline
from capacity.charts._headroom import headroom_heatmap
from capacity.charts._money import cost_stack, mix_compare, scenario_compare, spend_months, unit_cost_trend
from capacity.charts._planned import coverage_months, family_counts, fleet_shapes, headroom_months, plan_total
from capacity.charts._price import headroom_price, price_points, purchase_savings, requirement_prices
from capacity.charts._promise import promises
from capacity.charts._review import commitment_rates, waste_by_kind
from capacity.charts._sizes import MOST_MONTHS, coverage_ahead, headroom_moved, moved_points, purchase_sizes, size_name
from capacity.charts._svg import to_png, to_svg
from capacity.charts._theme import INKS, Ink, Theme, contrast, unit_label, visible
from capacity.charts._totals import spend_totals
from capacity.charts._unit_cost import journey_stack, unit_cost_outlook
from capacity.charts._why import decomposition

__all__ = [
    "INKS",
    "MAX_SIDE",
    "MOST_MONTHS",
    "Ink",
    "Theme",
    "bridge_waterfall",
    "calls_around",
    "commitment_coverage",
    "commitment_rates",
    "contrast",
    "cost_stack",
    "coverage_ahead",
    "coverage_months",
    "decomposition",
    "event_after",
    "event_bars",
    "event_calls",
    "event_timeline",
    "family_counts",
    "fan",
    "fleet_shapes",
    "headroom_heatmap",
    "headroom_months",
    "headroom_moved",
    "headroom_price",
    "journey_stack",
    "load_duration",
    "mix_compare",
    "moved_points",
    "plan_total",
    "price_points",
    "promises",
    "purchase_ladder",
    "purchase_regret",
    "purchase_savings",
    "purchase_sizes",
    "requirement_prices",
    "saturation_curves",
    "scenario_compare",
    "size_name",
    "spend_budget",
    "spend_months",
    "spend_totals",
    "to_png",
    "to_svg",
    "unit_cost_outlook",
    "unit_cost_trend",
    "unit_label",
    "utilisation_weeks",
    "visible",
    "waste_by_kind",
]
