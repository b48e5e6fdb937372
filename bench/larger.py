"""A company of many services, made of a real plan: each service again under other names, with all that is said of it.

Frames have the shapes and values of the real plan's; money of the copies is in no bill, so totals do not add up.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

# A service's name stands in these columns; where a level says of what, only in the rows of services.
_NAMED = ("service", "caller", "callee")


def enlarge(source: Path, target: Path, services: int) -> int:
    """Write the plan in ``source``, and its scenarios, to ``target`` with at least ``services`` services.

    Returns
    -------
    How many services there are.
    """
    shutil.rmtree(target, ignore_errors=True)
    found = 0
    for plan in (source, *sorted(p.parent for p in source.glob("scenarios/*/plan.json"))):
        found = _enlarge(plan, target / plan.relative_to(source), services)
    return found


def _enlarge(source: Path, target: Path, services: int) -> int:
    document = json.loads((source / "plan.json").read_text(encoding="utf-8"))
    names = sorted({u["service"] for u in document["units"]})
    copies = range(-(-services // max(len(names), 1)))
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.parquet")):
        _more_rows(pd.read_parquet(path), names, copies).to_parquet(target / path.name, index=False)
    shutil.copy(source / "run.json", target / "run.json")
    text = json.dumps(_more_document(document, names, copies), ensure_ascii=False)
    (target / "plan.json").write_text(text, encoding="utf-8")
    return len(names) * len(copies)


def _called(name: str, copy: int) -> str:
    return f"{name}-{copy:02d}" if copy else name


def _more_rows(frame: pd.DataFrame, names: list[str], copies: Iterable[int]) -> pd.DataFrame:
    columns = [c for c in _NAMED if c in frame.columns]
    of_level = {"level", "name"} <= set(frame.columns)
    own = pd.Series(False, index=frame.index)
    for column in columns:
        own |= frame[column].isin(names)
    if of_level:
        own |= frame["level"].eq("service") & frame["name"].isin(names)
        columns = [*columns, "name"]
    if not own.any():
        return frame
    parts = [frame[~own]] if (~own).any() else []
    for copy in copies:
        renamed = {n: _called(n, copy) for n in names}
        parts.append(
            frame[own].assign(**{c: frame.loc[own, c].map(lambda n, to=renamed: to.get(n, n)) for c in columns})
        )
    return pd.concat([p.astype(frame.dtypes.to_dict()) for p in parts], ignore_index=True)


def _more_document(document: Mapping[str, Any], names: list[str], copies: Iterable[int]) -> dict[str, Any]:
    copies = list(copies)
    out = dict(document)
    for key in ("units", "findings"):
        out[key] = _more_items(document[key], names, copies)
    out["events"] = [_more_event(event, names, copies) for event in document["events"]]
    return out


def _more_event(event: Mapping[str, Any], names: list[str], copies: list[int]) -> dict[str, Any]:
    return {k: _more_items(v, names, copies) if isinstance(v, list) else v for k, v in event.items()}


def _more_items(items: list[Any], names: list[str], copies: list[int]) -> list[Any]:
    """Each item that names a service again for every copy; what names none once."""
    out = []
    for item in items:
        text = json.dumps(item)
        about = _service_of(item)
        out += (
            [item] if about not in names else [json.loads(text) if not k else _renamed(item, names, k) for k in copies]
        )
    return out


def _service_of(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    units = [item.get(key) for key in ("unit", "caller")]
    named = [u.get("service") for u in units if isinstance(u, dict)]
    return str(next((n for n in (item.get("service"), *named) if n), ""))


def _renamed(item: Any, names: list[str], copy: int) -> Any:
    if isinstance(item, dict):
        return {
            k: _called(v, copy) if k in _NAMED and v in names else _renamed(v, names, copy) for k, v in item.items()
        }
    if isinstance(item, list):
        return [_renamed(v, names, copy) for v in item]
    return item
