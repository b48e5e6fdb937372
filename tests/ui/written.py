"""The words of a page's own HTML: rows of facts, names and findings."""

from __future__ import annotations

import html
import re

from streamlit.testing.v1 import AppTest


def rows(app: AppTest) -> list[str]:
    """Each cell of each piece of HTML, as a reader sees it."""
    bodies = [str(piece.proto.body) for piece in app.get("html")]
    return [html.unescape(cell) for body in bodies for cell in re.findall(r">([^<>]+)<", body)]
