"""Tables and forms for the parts of a scenario: each gives back the YAML's plain data, and shows its own faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pandas as pd
import streamlit as st

from capacity import scenario
from capacity.config import CommitmentPolicy, CommitmentProduct, Payment
from capacity.ui import _edit_rows as edit
from capacity.ui import _format as fmt
from capacity.ui import _widgets as ui

_ROW_PX = 31
_LEAST_ROWS, _MOST_ROWS = 3, 8
_PRODUCTS = {"compute_sp": "Compute Savings Plan", "ec2_instance_sp": "EC2 Instance Savings Plan",
             "standard_ri": "Standard RI"}  # fmt: skip
_PAYMENTS = {"no_upfront": "No upfront", "partial_upfront": "Partial upfront", "all_upfront": "All upfront"}
_AS_CONFIGURED = "As configured"


def table(part: edit.Part, plain: Mapping[str, Any], choices: edit.Choices, key: str) -> list[dict[str, Any]]:
    """An editable table of ``part``, filled from ``plain``; rows are added at its end and deleted by their mark."""
    st.caption(f"{part.note} The empty row adds an entry; a mark at the left of a row, and Delete, take it away.")
    start = edit.frame(part, plain)
    shown = min(max(len(start) + 2, _LEAST_ROWS), _MOST_ROWS)
    edited = st.data_editor(
        start,
        key=key,
        num_rows="dynamic",
        hide_index=True,
        height=_ROW_PX * (shown + 1) + 4,
        column_config={c.key: _column(c, start, choices) for c in part.columns},
        placeholder="",
        alt=f"{part.title} of the scenario, editable: choose a cell and type; the last row adds one",
    )
    return edit.rows(part, edited)


def _column(column: edit.Column, start: pd.DataFrame, choices: edit.Choices) -> Any:
    about: dict[str, Any] = {"label": column.label, "help": column.help, "width": column.width}
    match column.kind:
        case "names":
            options = _with_present(choices.of(column.choices), start[column.key])
            return st.column_config.MultiselectColumn(
                **about, options=options, color="gray", format_func=fmt.visible,
                accept_new_options=column.choices == "families" and not choices.families,
            )  # fmt: skip
        case "name":
            options = _with_present(choices.of(column.choices), start[column.key])
            return st.column_config.SelectboxColumn(**about, options=options, format_func=fmt.visible)
        case "number":
            return st.column_config.NumberColumn(**about, format="%.6g")
        case "day":
            return st.column_config.DateColumn(**about, format="DD MMM YYYY")
        case "moment":
            return st.column_config.DatetimeColumn(**about, format="DD MMM YYYY HH:mm", timezone="UTC", step=60)
        case "flag":
            return st.column_config.CheckboxColumn(**about, default=False)
        case _:
            return st.column_config.TextColumn(**about)


def _with_present(known: Sequence[str], present: pd.Series[Any]) -> list[str]:
    """Choices, with what the file says already: opening a scenario must not empty a cell."""
    said = [n for cell in present if cell is not None for n in ([cell] if isinstance(cell, str) else cell)]
    return list(dict.fromkeys([*known, *said]))


def loss(plain: Mapping[str, Any], choices: edit.Choices, key: str) -> dict[str, Any] | None:
    """What is lost for the whole horizon: nothing, a region, or zones."""
    st.caption("What is gone for the whole horizon. A region's traffic moves to the other regions of its services.")
    was = plain.get("failure") or {}
    kinds = ("Nothing", "A region", "Zones")
    first = kinds[1] if "region" in was else kinds[2] if "zones" in was else kinds[0]
    kind = ui.one_of("Lost", kinds, first, f"{key}_kind")
    if kind == kinds[1]:
        regions = list(dict.fromkeys([*choices.regions, *([was["region"]] if "region" in was else [])]))
        index = regions.index(was["region"]) if "region" in was else 0
        region = st.selectbox("Region", regions, index=index, key=f"{key}_region", format_func=fmt.visible)
        return {"region": region}
    if kind == kinds[2]:
        zones = st.number_input("Zones lost at once, 0 to 3", 0, 3, int(was.get("zones", 1)), key=f"{key}_zones")
        return {"zones": zones}
    return None


def commitments(plain: Mapping[str, Any], policy: CommitmentPolicy | None, key: str) -> dict[str, Any] | None:
    """What may be bought: as the config says, by other rules, or nothing."""
    here = "The config buys nothing." if policy is None else "An empty field stays as configured."
    st.caption(f"Which commitments the plan may buy, and what a purchase must keep to. {here}")
    was = plain.get("commitments")
    kinds = (_AS_CONFIGURED, "Other rules", "Buy none")
    first = kinds[0] if was is None else kinds[2] if was.get("buy") is False else kinds[1]
    kind = ui.one_of("Purchases", kinds, first, f"{key}_kind")
    if kind == kinds[0]:
        return None
    if kind == kinds[2]:
        return {"buy": False}
    return _rules(was or {}, policy or CommitmentPolicy(), key) or {"buy": True}


def _rules(was: Mapping[str, Any], policy: CommitmentPolicy, key: str) -> dict[str, Any]:
    left, middle, right = st.columns(3)
    with left:
        said: dict[str, Any] = {
            "products": _several(
                "Products", get_args(CommitmentProduct), was.get("products"), _PRODUCTS, f"{key}_products"
            ),
            "terms": _terms(was.get("terms"), f"{key}_terms"),
            "payments": _several("Payment", get_args(Payment), was.get("payments"), _PAYMENTS, f"{key}_payments"),
        }  # fmt: skip
    months = was.get("max_break_even_months") or {}
    with middle:
        limits = {
            year: _number(f"Latest break-even of {year} y, months", months.get(str(year)), now, f"{key}_months_{year}")
            for year, now in ((y, policy.max_break_even_months.get(y)) for y in (1, 3))
        }
        said["max_break_even_months"] = {year: most for year, most in limits.items() if most is not None}
        said["ladder_months"] = _field("ladder_months", "Months to spread purchases over", was, policy, key)
    with right:
        for name, label in (
            ("least_utilisation_frac", "Least utilisation, 0 to 1"),
            ("risk_weight", "Weight of the worst futures, 0 to 1"),
            ("least_hourly_usd", "Smallest purchase, USD an hour"),
            ("largest_new_hourly_usd", "Most in all, USD an hour"),
        ):
            said[name] = _field(name, label, was, policy, key)
    order = scenario.Commitments.model_fields
    return {name: said[name] for name in order if said.get(name) not in (None, [], {})}


def _several(label: str, options: Sequence[str], was: Any, words: Mapping[str, str], key: str) -> list[str]:
    found: list[str] = st.multiselect(
        label, options, default=was, key=key, format_func=lambda o: words.get(o, o), placeholder=_AS_CONFIGURED
    )
    return found


def _terms(was: Any, key: str) -> list[int]:
    found: list[int] = st.multiselect(
        "Terms", (1, 3), default=was, key=key, format_func=lambda y: f"{y} y", placeholder=_AS_CONFIGURED
    )
    return found


def _field(name: str, label: str, was: Mapping[str, Any], policy: CommitmentPolicy, key: str) -> int | float | None:
    return _number(label, was.get(name), getattr(policy, name), f"{key}_{name}")


def _number(label: str, was: Any, configured: Any, key: str) -> int | float | None:
    """A number that may stay empty; its faults are told by the models, not by the field."""
    now = _AS_CONFIGURED if configured is None else f"{_AS_CONFIGURED}: {configured:g}"
    value = st.number_input(label, value=None if was is None else float(was), key=key, placeholder=now, format="%.6g")
    return None if value is None else edit.number(value)
