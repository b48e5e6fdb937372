"""A chart as SVG or PNG, without a browser, a script or a request."""

from __future__ import annotations

import hashlib
import re
from typing import Any

# vl-convert brings Liberation Sans, as wide as Arial letter by letter: texts are measured alike on every machine, in a
# fifth of the time of a font of the system, whose file is read anew for each letter. A system with neither has, as a
# rule, DejaVu Sans, which is wider: NARROWED is the family that a page may define by it.
NARROWED = "Picture Sans"
PICTURE_FONT = f"Liberation Sans, Arial, Helvetica Neue, Helvetica, {NARROWED}, DejaVu Sans, sans-serif"

_ID = re.compile(r'(\bid="|url\(#|href="#)([A-Za-z_][\w-]*)')


def to_svg(chart: Any, width: int, height: int | None = None) -> str:
    """``chart`` as one <svg> element, ``width`` pixels wide in all.

    The same chart gives the same bytes on every machine; names in the data are escaped, no address is fetched.
    Ids carry a digest of the picture, so that several pictures may stand in one page.

    Parameters
    ----------
    height
        Of the plotting area; the chart's own where absent.
    """
    import vl_convert

    return _own_ids(vl_convert.vegalite_to_svg(_specification(chart, width, height), allowed_base_urls=[]))


def _own_ids(svg: str) -> str:
    """Ids numbered in order of appearance (the writer counts them over a process), led by the picture's digest."""
    names: dict[str, str] = {}

    def renamed(lead: str) -> str:
        return _ID.sub(lambda m: f"{m[1]}{lead}{names.setdefault(m[2], f'i{len(names)}')}", svg)

    digest = hashlib.sha256(renamed("").encode()).hexdigest()[:10]
    return renamed(f"c{digest}-")


def to_png(chart: Any, width: int, height: int | None = None, *, ground: str = "#ffffff") -> bytes:
    """``chart`` as a PNG at twice its size, on ``ground``."""
    import vl_convert

    specification = _specification(chart, width, height)
    specification["background"] = ground
    png: bytes = vl_convert.vegalite_to_png(specification, scale=2, allowed_base_urls=[])
    return png


def _specification(chart: Any, width: int, height: int | None) -> dict[str, Any]:
    specification: dict[str, Any] = chart.to_dict()
    specification["width"] = width
    if height is not None:
        specification["height"] = height
    specification["autosize"] = {"type": "fit-x", "contains": "padding"}
    # The report describes each picture in words; a label a mark would treble the file.
    specification.setdefault("config", {}).update(aria=False, font=PICTURE_FONT)
    return specification
