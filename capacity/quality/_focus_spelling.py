"""How values are spelt: the patterns that formats and types are tested with.

``READABLE_…`` is what this tool's reader takes for a number or a time stamp, tolerantly; a value beyond that makes a
bill unusable. The others are the spelling that FOCUS asks for. All are RE2 patterns for a whole value.
"""

from __future__ import annotations

# FOCUS NumericFormat: integer, decimal or E notation; the only signs are a minus, also of the exponent.
NUMBER = r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE]-?[0-9]+)?"
# What the reader takes beside it: a plus sign, $10,000.00 as spreadsheets write it.
READABLE_NUMBER = (
    r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
    r"|[-+]?\$?[-+]?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?"
)
# FOCUS DateTimeFormat: YYYY-MM-DDTHH:mm:ssZ and nothing else.
TIME = (
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"
)  # fmt: skip
# What the reader takes beside it: no zone (UTC), an offset, a date alone, hours beyond 23.
READABLE_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?( ?(Z|[-+][0-9]{2}(:?[0-9]{2})?))?)?"
)
SLASHED_DATE = r"[0-9]{1,2}/[0-9]{1,2}/([0-9]{4}|[0-9]{2})"

# FOCUS UnitFormat: base units in capitals joined by hyphens, a quantity before them, one slash before a time.
# A small letter may stand before the capital (vCPU), b is a bit; "/" may carry a quantity (Units/3 Months).
_BASE = r"([a-z]?[A-Z][A-Za-z0-9]*( [A-Za-z0-9]+)*|b)"
UNIT = rf"([1-9][0-9]* )?{_BASE}(-{_BASE})*(/([1-9][0-9]* )?{_BASE}(-{_BASE})*)?"
# Times have listed names (Year, Month, Day, Hour, Minute, Second and their plurals): these are not among them.
SHORT_TIME = r"(^|[-/ ])(Yr|Yrs|Mo|Mos|Mth|Mths|Hr|Hrs|Min|Mins|Sec|Secs)($|[-/ ])"

# FOCUS KeyValueFormat (ECMA-404): one object; values are numbers, text, true, false or null.
_STRING = r'"([^"\\\x00-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
_SCALAR = rf"({_STRING}|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null)"
_PAIR = rf"\s*{_STRING}\s*:\s*{_SCALAR}\s*"
FLAT_OBJECT = rf"\s*\{{(\s*|{_PAIR}(,{_PAIR})*)\}}\s*"

# What stands for "no value" where FOCUS wants a null, folded; the reader makes the usual ones null in CSV.
PLACEHOLDERS = ("", "n/a", "not applicable", "null", "none")

# Text that was decoded wrongly carries Unicode's replacement character.
REPLACEMENT = "�"

# Prices and quantities of bills are rounded to 9 to 12 decimals: a product may be off by a millionth of the cost, and
# by a millionth of a currency unit where the cost is small.
PRODUCT_TOLERANCE = 1e-6
