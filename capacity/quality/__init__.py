"""Whether the data can be trusted: usage that is odd, and bills judged by the rules of FOCUS.

Of the 621 rules of FOCUS 1.2 the tool runs 294 tests of its own: 259 as published, 15 corrected (the published test
contradicts the rule's words or the specification's own examples), 20 that the model leaves to a person but a bill
decides. 142 composite rules are put together from them. 185 are not run: 156 that no bill can tell (what an invoice
says, what a provider publishes), 25 about formats that the format test of each column covers, 4 that are defective
and have no test to stand in. ``focus_rules()`` names each with its origin and the reason.
"""

from __future__ import annotations

from capacity.quality._arrivals import arrivals, late_points
from capacity.quality._finding import DataFinding, by_severity, findings_table
from capacity.quality._focus_plan import focus_rules
from capacity.quality._focus_report import FocusFinding, FocusReport, FocusRule
from capacity.quality._focus_run import validate_bill
from capacity.quality._usage import usage_findings

__all__ = [
    "DataFinding",
    "FocusFinding",
    "FocusReport",
    "FocusRule",
    "arrivals",
    "by_severity",
    "findings_table",
    "focus_rules",
    "late_points",
    "usage_findings",
    "validate_bill",
]
