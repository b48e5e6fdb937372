"""The report of a plan: one HTML file for reading and printing, one workbook for reckoning on.

Both are functions of the plan alone: no clock, no request to any host, no script, no formula.
"""

from capacity.report._document import render_html
from capacity.report._table import Column, Table, say
from capacity.report._workbook import write_workbook
from capacity.report._write import write_report
from capacity.report.check import write_check
from capacity.report.check_tables import Checked
from capacity.report.review import write_review

__all__ = [
    "Checked", "Column", "Table", "render_html", "say", "write_check", "write_report", "write_review", "write_workbook"
]  # fmt: skip
