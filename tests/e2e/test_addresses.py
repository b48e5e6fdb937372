"""Addresses that people type, and the order of a page's headings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.e2e.conftest import Reader

pytestmark = pytest.mark.e2e
# How deep each heading of the page stands, in reading order.
LEVELS = "[...document.querySelectorAll('[data-testid=stMain] :is(h1,h2,h3,h4,h5,h6)')].map(h => +h.tagName[1])"


def test_the_first_page_is_found_by_its_name_and_headings_leave_out_no_level(
    reader: Callable[..., Reader], address: str
) -> None:
    one = reader("light")
    one.open(f"{address}/fleet?region=us-east-1")
    one.page.wait_for_url(f"{address}/?region=us-east-1")
    text = one.settle()
    assert "Needs a decision now" in text
    assert one.page.get_by_role("dialog").count() == 0
    levels = one.page.evaluate(LEVELS)
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert not one.faults
