"""Scenarios: plans made by one button, and compared side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import streamlit as st

from capacity import charts, costs
from capacity import scenario as scenarios
from capacity.errors import CapacityError
from capacity.plan import Plan
from capacity.ui import _data, _edit, _kept, _sign_in, jobs
from capacity.ui import _format as fmt
from capacity.ui import _rows as told
from capacity.ui import _tables as tables
from capacity.ui import _widgets as ui

_MOST = 5  # side by side on one screen
_POLL_SECONDS = 1.0
# What the page still has to do after an edit was saved: say why no plan was started, and show the new plan beside.
_NOT_STARTED, _BESIDE = "run_not_started", "compare_beside"


def draw(plan: Plan) -> None:
    """The whole page. ``plan`` is the base; the others are read here."""
    del plan
    folder = _data.plans_folder()
    choices = _data.planned(folder)
    make(folder, list(choices))
    _comparison(choices)


def make(folder: Path | None, planned: Sequence[str]) -> None:
    """What makes plans and what they are made of, also where there is no plan yet."""
    run_card(folder, planned)
    _edit_card(folder)


def _edit_card(folder: Path | None) -> None:
    """The editor, where there is a config to hold scenarios against."""
    config = _data.config_path(folder)
    if folder is not None and config is not None:
        _edit.card(config, lambda name: _plan_saved(config, folder, name))


def _plan_saved(config: Path, folder: Path, name: str) -> None:
    """Plan a scenario that was just saved; its plan joins the comparison once it is there."""
    try:
        _data.runner(folder).start(config, folder, [name])
    except (CapacityError, OSError) as error:
        st.session_state[_NOT_STARTED] = str(error).splitlines()
    else:
        st.session_state[_BESIDE] = name


# --- the run button ----------------------------------------------------------------------------------------


def run_card(folder: Path | None, planned: Sequence[str]) -> None:
    """Choose scenarios, start the job, watch it, cancel it."""
    config = _data.config_path(folder)
    with ui.card("Make plans"):
        if folder is None or config is None:
            st.caption("No config is known. Start the page with one to plan from here:")
            st.code("capacity app -c CONFIG", language=None)
            return
        runner = _data.runner(folder)
        status = runner.status()
        if status is not None and status.state == "running":
            _watching(runner)
            return
        if status is not None:
            _ended(status)
        if problems := st.session_state.pop(_NOT_STARTED, None):
            ui.problem("The scenario is saved, and its plan was not started", problems)
        _choose(runner, config, folder, planned)


def _choose(runner: jobs.Runner, config: Path, folder: Path, planned: Sequence[str]) -> None:
    found = _data.known_scenarios(config)
    known, problems = found.descriptions, found.problems
    if problems:
        ui.problem("The config or a scenario file is wrong", problems)
    new = [name for name in known if name not in planned]
    with st.form("run", border=False):
        chosen = st.multiselect(
            "Scenarios to plan beside the base",
            list(known),
            default=list(known),
            format_func=fmt.visible,
            placeholder="The base only",
            help="The base is planned too. A scenario that is left out keeps the plan it has.",
        )
        pressed = st.form_submit_button(
            "Run plan", type="primary", icon=":material/play_arrow:", disabled=not known and bool(problems)
        )
    if new:
        st.text(f"Not planned yet: {fmt.visible(fmt.listed(new))}")
    if pressed:
        _start(runner, config, folder, [n for n in known if n in chosen])


def _start(runner: jobs.Runner, config: Path, folder: Path, names: Sequence[str]) -> None:
    try:
        runner.start(config, folder, names)
    except (CapacityError, OSError) as error:
        ui.problem("The plan was not started", str(error).splitlines())
    else:
        st.rerun()


def _watch(runner: jobs.Runner) -> None:
    """Progress of the running job; the whole page again once it has ended."""
    status = runner.status()
    # A part that runs alone passes no page on its way, so it looks at the door itself.
    if status is None or status.state != "running" or not _sign_in.is_admitted():
        st.rerun()
        return
    told = status.progress
    steps = f", {told.done:,} of {told.total:,}" if told.total else ""
    st.progress(told.share, text=fmt.plain(f"Planning: {told.stage}{steps}"))
    st.text("Base" + "".join(f", {fmt.visible(name)}" for name in status.scenarios))
    if st.button("Cancel", icon=":material/stop:", key="cancel"):
        with st.spinner("Ending the job"):
            runner.cancel()
        st.rerun()


_watching: Callable[[jobs.Runner], None] = st.fragment(run_every=_POLL_SECONDS)(_watch)


def _ended(status: jobs.Status) -> None:
    """How the last job ended, in words."""
    code = f" (exit code {status.exit_code})" if status.state == "failed" else ""
    text = fmt.plain(status.meaning.rstrip(".") + code + ".")
    if status.state == "done" and status.exit_code == 0:
        st.success(text, icon=":material/check_circle:")
    elif status.state == "failed":
        st.error(text, title="The plan failed. The plan that was there is unchanged.", icon=":material/error:")
        if status.error_tail:
            st.code("\n".join(status.error_tail), language=None, wrap_lines=True)
    else:
        st.warning(text, icon=":material/info:")


# --- the comparison ----------------------------------------------------------------------------------------


def _comparison(choices: Mapping[str, Path]) -> None:
    if len(choices) < 2:
        st.info("One plan is there. Make a scenario's plan above to compare.", icon=":material/info:")
        return
    with ui.card("Compare"):
        chosen = _chosen(list(choices))
    names = [name for name in chosen if name in choices][:_MOST]
    plans = _read_all({name: choices[name] for name in names})
    if len(plans) < 2:
        st.info("Choose at least two scenarios.", icon=":material/info:")
        return
    _side_by_side(plans, choices)


def _chosen(names: Sequence[str]) -> list[str]:
    """The reader's choice. It always stands in the page's address, so that the address is a link to it.

    A bound widget would leave the address empty until the first change, and a link must not depend on which
    plans there are when it is opened.
    """
    _join_saved(names)
    asked = [name for name in st.query_params.get_all("compare") if name in names]
    chosen: list[str] = st.multiselect(
        f"Scenarios, 2 to {_MOST}; the first is what the others are held against",
        names,
        default=(asked or list(names))[:_MOST],
        key="compare",
        max_selections=_MOST,
        format_func=fmt.visible,
        persist_state="session",
        help="The address of this page holds the choice: send it to reopen the same comparison.",
    )
    if st.query_params.get_all("compare") != chosen:
        st.query_params["compare"] = chosen
    return chosen


def _join_saved(names: Sequence[str]) -> None:
    """Put the plan of the scenario that was saved last beside the others, once it is there."""
    name = st.session_state.get(_BESIDE)
    if name not in names:
        return
    del st.session_state[_BESIDE]
    shown = st.session_state.get("compare") or [n for n in names if n != name]
    st.session_state["compare"] = [*[n for n in shown if n != name][: _MOST - 1], name]


def _read_all(choices: Mapping[str, Path]) -> dict[str, Plan]:
    plans = {}
    for name, folder in choices.items():
        try:
            plans[name] = _data.read(folder)
        except CapacityError as error:
            ui.problem("A plan cannot be read and is left out", str(error).splitlines())
    return plans


def _side_by_side(plans: Mapping[str, Plan], folders: Mapping[str, Path]) -> None:
    ordered = list(plans.values())
    rows = _kept.result(scenarios.compare, ordered)
    if len({p.as_of for p in ordered}) > 1:
        text = "Run them again together: differences may come from the data, not from the scenario."
        st.warning(text, title="These plans are not as of the same moment", icon=":material/schedule:")
    with ui.card("What differs"):
        told.named([(row.scenario, row.sentence) for row in rows[1:]])
    with ui.card("Side by side"):
        ui.table(
            _kept.result(tables.comparison, rows, ordered),
            "Scenarios side by side: money, risk, headroom and the peak event",
            {"Question": st.column_config.TextColumn(width=190)},
        )
        ui.chart("Money and smallest headroom of each scenario", charts.scenario_compare, plans, theme=ui.theme())
    _bridges(plans, folders)
    _by_service(ordered)


def _bridges(plans: Mapping[str, Plan], folders: Mapping[str, Path]) -> None:
    """Why each scenario's money differs from the first one's, term by term."""
    (name, first), *others = plans.items()
    found = [(other, _data.bridge(folders[name], folders[key])) for key, other in others]
    known = [(other, bridge) for other, bridge in found if bridge is not None]
    if not known:
        return
    with ui.card("Why the money differs", "All money of the months that both plans have, against the first one."):
        for other, bridge in known:
            st.text(fmt.visible(other.scenario))
            alt = f"Money of {fmt.visible(other.scenario)} against the first scenario, term by term"
            ui.chart(alt, charts.bridge_waterfall, bridge.total(), ui.theme(), bridge.months, first.currency)
            ui.lines(costs.bridge_words(bridge))


def _by_service(plans: Sequence[Plan]) -> None:
    names = tables.scenario_names(plans)
    service = st.column_config.TextColumn(width=170)
    dates = {name: st.column_config.DateColumn(format="DD MMM YYYY", width=95) for name in names}
    shares = {name: st.column_config.NumberColumn(format="percent", width=95) for name in names}
    left, right = st.columns(2)
    with left, ui.card("P50 date of the first limit", stretch=True):
        ui.table(
            _kept.result(tables.first_dates, plans), "P50 dates by service and scenario", {"Service": service, **dates}
        )
    with right, ui.card("Smallest headroom", stretch=True):
        ui.table(
            _kept.result(tables.smallest_headroom, plans),
            "Headroom by service and scenario",
            {"Service": service, **shares},
        )
    left, right = st.columns(2)
    with left:
        _unit_costs(plans, service)
    with right, ui.card("Recommended instances, end of the plan", stretch=True):
        ui.table(
            _kept.result(tables.mix_totals, plans),
            "Recommended instances by type and scenario",
            {"Instance type": st.column_config.TextColumn(width=120)},
            "No instances to choose.",
        )


def _unit_costs(plans: Sequence[Plan], service: object) -> None:
    """Unit cost ahead; the billed one, which no scenario moves, where a plan tells none."""
    month, rows = _kept.result(scenarios.unit_costs, plans)
    if rows:
        with ui.card("Unit cost", f"Expected for {month}, the middle of the futures.", stretch=True):
            ui.table(
                _kept.result(tables.unit_costs, plans, rows), "Unit cost by service and scenario", {"Service": service}
            )
        return
    note = "As billed in the last closed month: these plans do not tell unit costs ahead."
    with ui.card("Cost per 1,000 units of demand", note, stretch=True):
        ui.table(
            _kept.result(tables.billed_unit_costs, plans), "Unit cost by service and scenario", {"Service": service}
        )
