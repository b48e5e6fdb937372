"""The Streamlit front end: seven pages over plans that are already there, and one button that makes them anew.

``main`` is the body of the Streamlit script; ``launch`` builds the command that serves it; ``jobs`` runs a plan
in a child process. Only this package imports streamlit, and only once a page is drawn. No page computes: every
number is read from a :class:`capacity.plan.Plan`.
"""

from __future__ import annotations

from capacity.ui import jobs, launch

__all__ = ["jobs", "launch", "main"]


def main() -> None:
    """Draw the page that the address asks for. Run by Streamlit, once an interaction."""
    from capacity.ui._shell import run

    run()
