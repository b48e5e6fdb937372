"""The guide to the front end shows every page, in pictures that stay small."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from capacity.ui._shell import PAGES, PageInfo

DOCS = Path(__file__).resolve().parents[2] / "docs"
MOST_BYTES, WIDEST_PX = 90_000, 1280


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.key)
def test_every_page_is_told_and_shown(page: PageInfo) -> None:
    text = (DOCS / "front-end.md").read_text(encoding="utf-8")
    assert f"**{page.title}**: " in text
    assert f"![{page.title}](pages/{page.key}.png)" in text
    picture = DOCS / "pages" / f"{page.key}.png"
    assert picture.stat().st_size <= MOST_BYTES
    with Image.open(picture) as image:
        assert image.width <= WIDEST_PX
        assert image.mode == "P"
