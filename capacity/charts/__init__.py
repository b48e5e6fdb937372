"""Frames and plans as Altair charts: one definition serves the page and the report.

Every chart is as wide as its container, has no title and no ground of its own, and comes in a light and a dark theme
whose text keeps a contrast of at least 4.5. Nothing is told by colour alone. Empty input gives a chart that says so.
"""

from capacity.charts._demand import event_bars, fan, load_duration, saturation_curves
from capacity.charts._headroom import headroom_heatmap
from capacity.charts._money import cost_stack, mix_compare, scenario_compare, spend_months, unit_cost_trend
from capacity.charts._promise import promises
from capacity.charts._svg import to_png, to_svg
from capacity.charts._theme import INKS, Ink, Theme, contrast, unit_label, visible
from capacity.charts._totals import spend_totals
from capacity.charts._why import decomposition

__all__ = [
    "INKS",
    "Ink",
    "Theme",
    "contrast",
    "cost_stack",
    "decomposition",
    "event_bars",
    "fan",
    "headroom_heatmap",
    "load_duration",
    "mix_compare",
    "promises",
    "saturation_curves",
    "scenario_compare",
    "spend_months",
    "spend_totals",
    "to_png",
    "to_svg",
    "unit_cost_trend",
    "unit_label",
    "visible",
]
