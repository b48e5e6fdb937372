r"""Regular expressions that must match a value whole, over the distinct values of a column.

Python's ``re`` defines what a rule means. Over many values Arrow's RE2 is several times faster, so it answers
where it cannot differ: a pattern of plain parts (literals, ``.``, classes, groups, ``|``, ``* + ? {n,m}``, ``\d``,
``\w``) on ASCII values. Everything else goes to ``re``.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Below this many values the set-up of a kernel costs more than it saves (measured: break-even near 500).
_FEW_VALUES = 500
_PLAIN = r"[A-Za-z0-9 _:/@,=#;<>~!%&'\"-]|\\[-./\\+*?()\[\]|:@dw]|\."
_CLASS = r"\[\^?(?:[A-Za-z0-9_:/@,=#.]|[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9])+-?\]"
_COUNT = r"\{[0-9]{1,2}(?:,[0-9]{0,2})?\}"
# What is no literal text of a plain sequence: classes, escapes, dots, and whatever a * or ? makes optional.
_PART = re.compile(rf"(?:{_CLASS}|\\.|[^*+?])(?:[*+?]|{_COUNT})|{_CLASS}|\\.|\.")
_PORTABLE = re.compile(
    rf"(?:\(\?i\))?(?:(?:{_PLAIN}|{_CLASS}|\))(?:(?:[*+?]|{_COUNT})(?![*+?{{]))?|\||\((?:\?:)?(?![*+?{{]))*"
)


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
    literal = _needed_literal(pattern.pattern)
    if literal:
        at = np.flatnonzero(_mask(pc.match_substring(values, literal)))
        out = np.zeros(len(values), np.bool_)
        out[at] = _by_re2(pattern, values.take(pa.array(at)))
        return out
    return _by_re2(pattern, values)


def _needed_literal(pattern: str) -> str:
    """The longest text that every match must hold, of a pattern that is one plain sequence; else ""."""
    if "(" in pattern or "|" in pattern:
        return ""
    parts = _PART.split(pattern)
    return max(parts, key=len) if len(parts) > 1 else pattern


def _mask(found: pa.Array) -> npt.NDArray[np.bool_]:
    out: npt.NDArray[np.bool_] = pc.fill_null(found, False).to_numpy(zero_copy_only=False).copy()
    return out


def _by_re2(pattern: re.Pattern[str], values: pa.Array) -> npt.NDArray[np.bool_]:
    try:
        out = _mask(pc.match_substring_regex(values, rf"\A(?:{pattern.pattern})\z"))
    except pa.ArrowInvalid:  # RE2 bounds how often counted repetitions may nest
        return _by_python(pattern, values)
    other = np.flatnonzero(~pc.fill_null(pc.string_is_ascii(values), True).to_numpy(zero_copy_only=False))
    if len(other):  # classes and case differ between the engines outside ASCII
        out[other] = _by_python(pattern, values.take(pa.array(other)))
    return out
