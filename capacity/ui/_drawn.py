"""Charts as Streamlit sends them: Altair takes most of the time that a page costs the server, so each is made once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa

from capacity.ui import _kept

_TO_ARROW = "capacity_arrow"
_DIGEST_BYTES = 16
# What Altair does with data is a setting of the whole process.
_altair_settings = threading.Lock()


def spec(make: Callable[..., Any], *args: object, **named: object) -> dict[str, Any]:
    """What ``make(*args, **named)``, a function of :mod:`capacity.charts`, draws: Vega-Lite with Arrow tables."""
    made = _kept.result(_vega_lite_of, make, *args, **named)
    return {**made, "datasets": dict(made["datasets"])}  # Streamlit takes the data out of what it is given


def _vega_lite_of(make: Callable[..., Any], *args: object, **named: object) -> dict[str, Any]:
    return vega_lite(make(*args, **named))


def vega_lite(chart: Any) -> dict[str, Any]:
    """An Altair chart as Vega-Lite whose ``datasets`` are Arrow tables.

    It is not held against Vega-Lite's schema, which takes long; tests of the charts do that.
    """
    import altair

    tables: dict[str, pa.Table] = {}
    altair.data_transformers.register(_TO_ARROW, _named_table)
    with _altair_settings, altair.data_transformers.enable(_TO_ARROW, tables=tables), altair.theme.enable("none"):
        found: dict[str, Any] = chart.to_dict(validate=False)
    return {**found, "datasets": tables}


def _named_table(data: pd.DataFrame, tables: dict[str, pa.Table]) -> dict[str, str]:
    """``data`` among ``tables``, under a name that says what is in it: the same rows travel once."""
    table = pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    written = sink.getvalue()
    name = hashlib.blake2b(written, digest_size=_DIGEST_BYTES).hexdigest()
    tables[name] = pa.ipc.open_stream(written).read_all()  # its own memory: the frame's may change
    return {"name": name}
