"""Decisions: what the plan asks, what was decided by whom and why, recorded in the meeting."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pandas as pd
import streamlit as st

from capacity import decisions
from capacity.decisions import Decision
from capacity.errors import CapacityError
from capacity.plan import Finding, Plan
from capacity.report import decided, write_report
from capacity.ui import _data as data
from capacity.ui import _format as fmt
from capacity.ui import _sign_in
from capacity.ui import _widgets as ui
from capacity.words import unique

_MOST_REASON = 1_000
_FILES = {"report.html": "Report", "report.xlsx": "Workbook", "order-dates.ics": "Order dates"}


def draw(plan: Plan) -> None:
    """The whole page."""
    folder = _folder(plan)
    if folder is None:
        return
    try:
        taken = decisions.read(folder)
    except CapacityError as error:
        ui.problem("The decisions cannot be read", str(error).splitlines())
        return
    asked = decided.to_decide(plan)
    ui.cards(_cards(asked, taken))
    left, right = st.columns([2, 3])
    with left:
        _form(folder, plan, asked)
    with right:
        _asked(asked, taken)
    _taken(taken)
    _export(folder, taken)


def _folder(plan: Plan) -> Path | None:
    return data.planned(data.plans_folder()).get(plan.scenario)


def _cards(asked: tuple[Finding, ...], taken: tuple[Decision, ...]) -> list[ui.Card]:
    must = [f for f in asked if f.severity == "act"]
    last = [decided.standing_of(f, taken) for f in must]
    open_ones = [f for f, d in zip(must, last, strict=True) if d is None]
    first = min((f.by for f in open_ones if f.by), default=None)
    return [
        ui.Card("Open", f"{len(open_ones)} of {len(must)}", "that need a decision", "orange" if open_ones else "green"),
        ui.Card("Approved", str(sum(d is not None and d.status == "approved" for d in last)), "", "green"),
        ui.Card("Rejected", str(sum(d is not None and d.status == "rejected" for d in last))),
        ui.Card("First open one by", fmt.day(first, fmt.NONE), "decide by then" if first else "nothing is waiting",
                "orange" if first else "green"),
    ]  # fmt: skip


def _form(folder: Path, plan: Plan, asked: tuple[Finding, ...]) -> None:
    with ui.card("Record a decision", "Kept as a file beside the plan; none is ever written over."):
        if not asked:
            st.caption("Nothing in this plan needs a decision.")
            return
        names = dict(zip(unique([fmt.shorten(fmt.visible(f.text), 110) for f in asked]), asked, strict=True))
        with st.form("decision", border=False):
            chosen = st.selectbox("About", list(names), key="decision_about")
            status = ui.one_of("Status", get_args(decisions.Status), "proposed", "decision_status")
            author = st.text_input("Who decides", _sign_in.author()[:120], key="decision_author", max_chars=120)
            reason = st.text_area("Reason", key="decision_reason", max_chars=_MOST_REASON)
            sent = st.form_submit_button("Record", type="primary", icon=":material/gavel:")
        if sent:
            _record(folder, plan, names.get(chosen or "", asked[0]), status, author, reason)


def _record(folder: Path, plan: Plan, finding: Finding, status: str | None, author: str, reason: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        made = decisions.about(finding, status or "proposed", author, reason, at=now, as_of=plan.as_of)  # type: ignore[arg-type]
        decisions.record(folder, made)
    except CapacityError as error:
        ui.problem("Not recorded", str(error).splitlines())
        return
    st.toast(f"Recorded: {made.status}", icon=":material/check:")
    st.rerun()


def _asked(asked: tuple[Finding, ...], taken: tuple[Decision, ...]) -> None:
    rows = [(f, decided.standing_of(f, taken)) for f in asked]
    frame = pd.DataFrame(
        [
            (d.status if d else "open", f.by, fmt.visible(f.text), fmt.visible(d.author) if d else "")
            for f, d in rows
        ],
        columns=["Status", "By", "Finding", "Decided by"],
    )  # fmt: skip
    with ui.card("What the plan asks", stretch=True):
        ui.table(
            frame,
            "Findings of this plan and what was decided about them",
            {
                "Finding": st.column_config.TextColumn(width=390),
                "Status": st.column_config.TextColumn(width=80),
                "Decided by": st.column_config.TextColumn(width=96),
            },
            "Nothing in this plan needs a decision.",
            most_rows=8,
            lines=3,
        )


def _taken(taken: tuple[Decision, ...]) -> None:
    found = decided.table(taken)
    frame = pd.DataFrame([found.words(r) for r in found.rows], columns=[c.head for c in found.columns])
    with ui.card("Decisions taken", "Report and workbook hold them too, once they are written again: below."):
        ui.table(
            frame,
            "Every decision, the newest first",
            {"Finding": st.column_config.TextColumn(width=340), "Reason": st.column_config.TextColumn(width=260)},
            decided.NOTHING,
            lines=3,
        )


def _export(folder: Path, taken: tuple[Decision, ...]) -> None:
    """Report and workbook with the decisions, written beside the plan and taken along from there."""
    note = "As capacity report writes them beside the plan: report.html, report.xlsx and order-dates.ics."
    with ui.card("To take along", note):
        if st.button("Write report and workbook", key="write_report", icon=":material/description:"):
            with st.spinner("Writing the report"):
                try:
                    write_report(folder)
                except (CapacityError, OSError) as error:
                    ui.problem("The report was not written", str(error).splitlines())
                    return
        written = {name: folder / name for name in _FILES if (folder / name).is_file()}
        if not written:
            st.caption("Not written yet.")
            return
        moment = datetime.fromtimestamp(min(p.stat().st_mtime for p in written.values()), UTC)
        # A decision's moment is in whole seconds.
        missing = sum(d.at > moment for d in taken)
        late = f": {fmt.count(missing, 'decision')} since, write them again" if missing else ", with every decision"
        st.text(f"Written {fmt.moment(moment)}{late}.")
        with st.container(horizontal=True):
            for name, path in written.items():
                # Read when it is asked for: a page is drawn many times, a report taken along once.
                st.download_button(_FILES[name], path.read_bytes, name, on_click="ignore", key=f"take_{name}",
                                   icon=":material/download:")  # fmt: skip
