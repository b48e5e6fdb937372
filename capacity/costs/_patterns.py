r"""Regular expressions that must match a value whole, over the distinct values of a column.

Python's ``re`` defines what a rule means. Over many values Arrow's RE2 is several times faster, so it answers
where it cannot differ: a pattern of plain parts (literals, ``.``, classes, groups, ``|``, ``* + ?``, ``\d``,
``\w``) on ASCII values. Everything else goes to ``re``.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Below this many values the set-up of a kernel costs more than it saves (measured: break-even near 300).
_FEW_VALUES = 500
_PLAIN = r"[A-Za-z0-9 _:/@,=#;<>~!%&'\"-]|\\[-./\\+*?()\[\]|:@dw]|\."
_CLASS = r"\[\^?(?:[A-Za-z0-9_:/@,=#.]|[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9])+-?\]"
_PORTABLE = re.compile(rf"(?:\(\?i\))?(?:(?:{_PLAIN}|{_CLASS}|\))(?:[*+?](?![*+?]))?|\||\((?:\?:)?(?![*+?]))*")


def compile_whole(pattern: str) -> re.Pattern[str]:
    """``pattern`` compiled; used with ``fullmatch`` only.

    Raises
    ------
    re.error
        The pattern is not a regular expression.
    """
    return re.compile(pattern)


def whole_matches(pattern: re.Pattern[str], values: pa.Array) -> npt.NDArray[np.bool_]:
    """(len(values),) where ``pattern`` matches the whole value; a null never matches."""
    if len(values) > _FEW_VALUES and _PORTABLE.fullmatch(pattern.pattern):
        return _by_arrow(pattern, values)
    return _by_python(pattern, values)


def _by_python(pattern: re.Pattern[str], values: pa.Array) -> npt.NDArray[np.bool_]:
    match = pattern.fullmatch
    return np.fromiter((v is not None and match(v) is not None for v in values.to_pylist()), np.bool_, len(values))


def _by_arrow(pattern: re.Pattern[str], values: pa.Array) -> npt.NDArray[np.bool_]:
    found = pc.match_substring_regex(values, rf"\A(?:{pattern.pattern})\z")
    out: npt.NDArray[np.bool_] = pc.fill_null(found, False).to_numpy(zero_copy_only=False).copy()
    other = np.flatnonzero(~pc.fill_null(pc.string_is_ascii(values), True).to_numpy(zero_copy_only=False))
    if len(other):  # classes and case differ between the engines outside ASCII
        out[other] = _by_python(pattern, values.take(pa.array(other)))
    return out
