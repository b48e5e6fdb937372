"""The frame around every page: navigation, title, whose plan it is, and what to do where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit import net_util

from capacity.errors import CapacityError, MissingDataError
from capacity.plan import Plan
from capacity.ui import (
    _budget,
    _commitments,
    _cost,
    _data,
    _decisions,
    _event,
    _fleet,
    _mix,
    _scenarios,
    _service,
    _sign_in,
    _trust,
    _waste,
)
from capacity.ui import _format as fmt
from capacity.ui import _widgets as ui

_ICON = Path(__file__).with_name("icon.png")


@dataclass(frozen=True)
class PageInfo:
    """A page: its address, its name, and what draws it from a plan."""

    key: str
    title: str
    icon: str
    help: str
    draw: Callable[[Plan], None]


PAGES = (
    PageInfo("fleet", "Fleet", ":material/dashboard:", "What needs a decision now, headroom and spend.", _fleet.draw),
    PageInfo("service", "Service", ":material/trending_up:", "One service: demand, limits, instances.", _service.draw),
    PageInfo("mix", "Fleet plan", ":material/inventory_2:", "What to run and buy, and what each promise costs.",
             _mix.draw),
    PageInfo("scenarios", "Scenarios", ":material/alt_route:", "Make plans and compare them.", _scenarios.draw),
    PageInfo("cost", "Cost to serve", ":material/payments:", "The bill by service, to the cent.", _cost.draw),
    PageInfo("budget", "Budget", ":material/savings:", "Spend to come against budgets.", _budget.draw),
    PageInfo("commitments", "Commitments", ":material/handshake:", "What commitments did, what ends, what to buy.",
             _commitments.draw),
    PageInfo("waste", "Waste", ":material/delete_sweep:", "What could stop, and who takes it.", _waste.draw),
    PageInfo("event", "Peak event", ":material/bolt:", "Whether the fleet holds a peak event.", _event.draw),
    PageInfo("decisions", "Decisions", ":material/gavel:", "What was decided, by whom and why.", _decisions.draw),
    PageInfo("trust", "Trust", ":material/verified:", "Freshness, errors, solver, provenance.", _trust.draw),
)  # fmt: skip


# The first page is served at "/", and Streamlit knows it by no other address; people type its name all the same, so a
# page of that name leads there, and the first one has a name that nobody types.
_FIRST, _ROOT = "fleet", "root"
# Before Streamlit refuses a foreign page that knocks, it asks a host of the internet for this machine's address, to see
# whether the page comes from here. No setting keeps it from that, and nobody is to be asked.
net_util.get_external_ip = lambda: None


def run() -> None:
    """The body of the script."""
    st.set_page_config(page_title="Capacity", page_icon=str(_ICON), layout="wide")
    pages = [
        st.Page(_page(info), title=info.title, icon=info.icon, url_path=_ROOT if info.key == _FIRST else info.key,
                default=info.key == _FIRST, help=info.help)
        for info in PAGES
    ]  # fmt: skip
    st.session_state[ui.PAGES] = dict(zip((info.key for info in PAGES), pages, strict=True))
    first = next(i for i, info in enumerate(PAGES) if info.key == _FIRST)
    by_name = st.Page(_to(pages[first]), title=PAGES[first].title, url_path=_FIRST, visibility="hidden")
    # A stranger is shown no way through the pages either; their addresses stay, so that links still lead there.
    st.navigation([*pages, by_name], position="top" if _sign_in.is_admitted() else "hidden").run()
    _data.settle()
    # Streamlit makes the page's own icon the tab's, and fetches it from a host of fonts: ours is set last.
    st.set_page_config(page_icon=str(_ICON))


def _to(page: st.Page) -> Callable[[], None]:
    def elsewhere() -> None:
        st.switch_page(page, query_params=st.query_params.to_dict())

    return elsewhere


def _page(info: PageInfo) -> Callable[[], None]:
    def page() -> None:
        show(info.key)

    return page


def show(key: str) -> None:
    """Draw page ``key``: header, then the page, or what is missing; for a stranger the door alone."""
    if not _sign_in.is_admitted():
        _sign_in.door()
        return
    info = next(p for p in PAGES if p.key == key)
    folder = _data.plans_folder()
    choices = _data.planned(folder)
    if folder is None or not choices:
        _no_plan(info, folder)
        _sign_in.who_reads()
        return
    scenario = _title(info, list(choices))
    try:
        plan = _data.read(choices[scenario])
    except CapacityError as error:
        ui.problem("This plan cannot be read", str(error).splitlines())
        _sign_in.who_reads()
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        ui.about(plan, scenario)
        _sign_in.who_reads()
    ui.stale(plan)
    info.draw(plan)


def _title(info: PageInfo, names: list[str]) -> str:
    """The page's name, and the choice of scenario beside it where there is one to choose."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.title(info.title, anchor=False)
    if len(names) == 1 or info.key == "scenarios":
        return names[0]
    chosen = right.selectbox("Scenario", names, key="scenario", bind="query-params", format_func=fmt.visible)
    return chosen if chosen in names else names[0]  # limits of a widget hold in the browser only


def _no_plan(info: PageInfo, folder: Path | None) -> None:
    st.title(info.title, anchor=False)
    st.info("There is no plan yet. Make one with one of these commands, then reload this page.", icon=":material/info:")
    out = f" --out {folder}" if folder else " --out PLANS"
    st.code(f"capacity demo\ncapacity plan -c CONFIG{out}", language=None)
    if folder is not None:
        st.text(str(MissingDataError(f"{folder}: no plan.json here")))
    if info.key == "scenarios":
        _scenarios.make(folder, ())
