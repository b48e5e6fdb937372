"""The user's query for demand, filled with names that can do nothing in it."""

from __future__ import annotations

import re

from capacity.errors import UsageError

# A label matcher: its operator, and its string in double or single quotes.
_STRING = re.compile(r"""(=~|!~|!=|=)?(\s*)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_PLACE = re.compile(r"\{(service|region)\}")
_ALLOWED = 'PromQL with {service} (and {region}) inside quoted label values, such as rate(x{app="{service}"}[5m])'


def fill(template: str, service: str, region: str) -> str:
    """``template`` for one unit; as a regular expression where the matcher is =~ or !~.

    Raises
    ------
    UsageError
        No place for the service, a place outside a quoted string, or a string in backticks, which knows no escapes.
    """
    names = {"service": service, "region": region}

    def put(match: re.Match[str]) -> str:
        operator, space, quoted = match.group(1) or "", match.group(2), match.group(3)
        pattern = operator in ("=~", "!~")
        filled = _PLACE.sub(lambda m: _inside(names[m.group(1)], pattern), quoted)
        return f"{operator}{space}{filled}"

    if "`" in template:
        raise UsageError(f"--demand-query: found a string in backticks; allowed: {_ALLOWED}")
    bare = _outside(template)
    outside = _PLACE.search(bare)
    if outside is not None or "{service}" not in template:
        said = f"{outside.group(0)} outside a string" if outside else "no {service}"
        raise UsageError(f"--demand-query: found {said} in {template!r}; allowed: {_ALLOWED}")
    return _STRING.sub(put, _single(template))


def _outside(template: str) -> str:
    return _STRING.sub(lambda m: f"{m.group(1) or ''}''", template)


def _single(template: str) -> str:
    """Doubled braces as single ones, outside strings: PromQL has none, and some write them."""
    pieces, end = [], 0
    for match in _STRING.finditer(template):
        pieces += [template[end : match.start()].replace("{{", "{").replace("}}", "}"), match.group(0)]
        end = match.end()
    return "".join([*pieces, template[end:].replace("{{", "{").replace("}}", "}")])


def _inside(text: str, pattern: bool) -> str:
    """``text`` for a PromQL string in either kind of quotes: quotes, backslashes and controls by their numbers."""
    if pattern:
        text = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
    return "".join(
        "\ufffd" if 0xD800 <= ord(c) <= 0xDFFF
        else f"\\u{ord(c):04x}" if c in "\"'\\" or ord(c) < 32 or ord(c) == 127
        else c
        for c in text
    )  # fmt: skip
