"""Ink and grounds of the charts, for a light and a dark page."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

if TYPE_CHECKING:
    import altair as alt

Theme = Literal["light", "dark"]


@dataclass(frozen=True)
class Ink:
    """Colours of one theme. Text colours have a contrast of at least 4.5 on ``ground`` (WCAG 2.2, 1.4.3).

    ``series`` tells up to eight lines apart and is always joined by a dash and a shape (:data:`DASHES`,
    :data:`SHAPES`), so that no reading needs colour.
    """

    ground: str
    text: str
    muted: str
    grid: str
    line: str
    band80: str
    band95: str
    point: str
    limit: str
    good: str
    bad: str
    plain: str
    series: tuple[str, ...]


# The grounds are those of the page themes. Hues follow Okabe and Ito's palette, which readers with any common colour
# vision tell apart, darkened or lightened until the contrast holds; tests compute it.
INKS: dict[Theme, Ink] = {
    "light": Ink(
        ground="#ffffff", text="#0f172a", muted="#475569", grid="#e2e8f0", line="#0369a1", band80="#8ec5ea",
        band95="#d3e8f7", point="#64748b", limit="#b91c1c", good="#047857", bad="#b4231b", plain="#64748a",
        series=("#0369a2", "#b45309", "#047858", "#6d28d9", "#be185d", "#334155", "#0e7490", "#7c2d12"),
    ),
    "dark": Ink(
        ground="#0f172a", text="#e5e9f0", muted="#a3b1c6", grid="#2c3a52", line="#7dd3fc", band80="#25638f",
        band95="#1b3a5b", point="#9fb0c7", limit="#fca5a5", good="#6ee7b7", bad="#fda4a4", plain="#94a3b8",
        series=("#7dd3fd", "#fcd34d", "#6ee7b8", "#c4b5fd", "#f9a8d4", "#cbd5e1", "#67e8f9", "#fdba74"),
    ),
}  # fmt: skip

DASHES: tuple[tuple[int, int], ...] = ((1, 0), (6, 3), (2, 2), (10, 3), (4, 1), (8, 2), (3, 3), (12, 4))
SHAPES: tuple[str, ...] = (
    "circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left",
)  # fmt: skip

# A name longer than this many pixels ends in "…" on an axis or in a legend.
LABEL_PIXELS = 190
_SHORT_NAME = 14  # letters: four of them and their marks in the 480 px that half of a page of 1280 leaves a chart
FONT = "Source Sans, Roboto, Helvetica Neue, Arial, DejaVu Sans, sans-serif"
HEIGHT = 300


def styled(chart: Any, theme: Theme, height: int | Any = HEIGHT) -> Any:
    """``chart`` as wide as its container, on no ground of its own, in the theme's ink."""
    import altair as alt

    ink = INKS[theme]
    out = chart.copy(deep=False)  # once: each of altair's own steps would lay the layers together anew
    out.width, out.height = "container", height
    out.config = alt.Config(
        background="transparent", font=FONT, padding={"left": 4, "top": 4, "right": 12, "bottom": 4},
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=ink.muted, titleColor=ink.muted, gridColor=ink.grid, domainColor=ink.grid, tickColor=ink.grid,
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelLimit=LABEL_PIXELS,
        ),
        legend=alt.LegendConfig(
            labelColor=ink.text, titleColor=ink.muted, labelFontSize=11, titleFontSize=11, orient="top", title=None,
            labelLimit=LABEL_PIXELS, columns=4, symbolStrokeWidth=2, symbolOpacity=1, offset=8,
        ),
    )  # fmt: skip
    return out


def legend_columns(names: Sequence[str]) -> int:
    """Columns of a legend of ``names`` that stay within a chart of half a page: two where a name is long."""
    return 4 if max((len(n) for n in names), default=0) <= _SHORT_NAME else 2


def nothing(text: str, theme: Theme) -> alt.Chart:
    """A chart that says why there is none."""
    import altair as alt

    frame = pd.DataFrame({"text": [text]})
    mark = alt.Chart(frame).mark_text(color=INKS[theme].muted, fontSize=13).encode(text=alt.Text("text:N"))
    return styled(mark, theme, 80)


def days(values: pd.Series) -> pd.Series:
    """Days without a zone: a browser and the SVG writer then show the same day wherever they run."""
    stamps = pd.to_datetime(values, errors="coerce", utc=True)
    return pd.Series(stamps).dt.tz_localize(None).dt.normalize()


def floats(values: pd.Series) -> pd.Series:
    """Decimals and None as floats and NaN, which a chart can carry."""
    return pd.to_numeric(values.map(lambda v: None if v is None else float(v)), errors="coerce").astype(float)


# A frame names the same few units in each of its rows.
@lru_cache(maxsize=8192, typed=True)
def visible(text: Hashable) -> str:
    """``text`` on one line, with control and direction-changing characters shown as "�": a label says what it is.

    None and NaN are no text.
    """
    if text is None or text != text:
        return ""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(text))


@lru_cache(maxsize=8192, typed=True)
def unit_label(service: Hashable, region: Hashable) -> str:
    """The planning unit as charts and the report name it."""
    return f"{visible(service)} · {visible(region)}"


def series_scales(names: list[str], theme: Theme) -> dict[str, Any]:
    """Scales of colour, dash and shape that agree on ``names``, in this order."""
    import altair as alt

    n = len(names)
    turn = {"color": INKS[theme].series, "dash": DASHES, "shape": SHAPES}
    return {
        key: alt.Scale(domain=names, range=[list(v) if isinstance(v, tuple) else v for v in (values * n)[:n]])
        for key, values in turn.items()
    }


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two #rrggbb colours, 1 to 21 (WCAG 2.2, definition of contrast ratio)."""
    first, second = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def readable_on(ground: str) -> str:
    """Black or nearly white, whichever reads better on ``ground``; one of them always reaches 4.5.

    Not quite the page's white, which the report swaps with the theme: a cell keeps its colour, so must its text.
    """
    return max(("#000000", "#fefefe"), key=lambda ink: contrast(ink, ground))


def _luminance(colour: str) -> float:
    """Relative luminance of sRGB (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
