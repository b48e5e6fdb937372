"""Pages in light and dark, at 1280 and 1920, over plans as nobody would wish them.

One server for all: its folder of plans is a link that is turned to the next company.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capacity.ui._shell import PAGES
from tests.e2e import companies
from tests.e2e.conftest import FULL, Reader, assert_fits, assert_sound, served
from tests.e2e.test_accessibility import grave_findings

# In the full profile a test is every page in four looks: minutes beside all other tests.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200 if FULL else 300)]

EVERY = tuple("" if p.key == "fleet" else p.key for p in PAGES)
# Where each kind is most likely to break a page; every page of it in every look in make test-full. The normal one is
# drawn at 1280 in tests/e2e/test_pages.py.
TELLING = {
    "nothing": ("scenarios",), "normal": ("", "service"), "no service": ("",), "one point": ("service",),
    "300 services": ("",), "80 letters": ("service",), "NO-GO": ("event",),
}  # fmt: skip
LOOKS = (("light", 1280), ("dark", 1280), ("light", 1920), ("dark", 1920))
# Letters that nobody reads on a projector: smaller than 10 px.
SMALLEST_PX = 10

# Words that are cut, hang out of the window or are too small; and charts that are an empty box.
UNREADABLE = """smallest => {
  const main = document.querySelector('[data-testid=stMain]');
  const found = [];
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement, words = node.data.trim();
    if (!words || e.closest('svg, canvas, [data-testid=stIconMaterial], .visually-hidden')) continue;
    if (!e.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (box.width < 2) continue;
    if (parseFloat(style.fontSize) < smallest) found.push(`${style.fontSize}: ${words}`);
    if (box.right > innerWidth + 1 || box.left < -1) found.push(`out of the window: ${words}`);
    const cut = style.overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1 && style.textOverflow !== 'ellipsis';
    if (cut && style.overflowX === 'hidden') found.push(`cut: ${words}`);
  }
  for (const e of main.querySelectorAll('[data-testid=stMetricValue], [data-testid=stMetricValue] *'))
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'hidden')
      found.push(`figure cut: ${e.innerText}`);
  for (const e of main.querySelectorAll('[data-testid=stVegaLiteChart]')) {
    const box = e.getBoundingClientRect();
    if (box.width < 40 || box.height < 40) found.push(`chart of ${box.width} × ${box.height} px`);
    for (const t of e.querySelectorAll('svg text')) {
      const at = t.getBoundingClientRect();
      if (!t.checkVisibility({opacityProperty: true})) continue;  // a label that would lie on its neighbour
      if (t.textContent.trim() && at.width && (at.right > box.right + 3 || at.left < box.left - 3))
        found.push(`hangs out of its chart: ${t.textContent}`);
    }
  }
  return found;
}"""


class Place:
    """A server whose plans can be exchanged."""

    def __init__(self, address: str, link: Path, made: Path) -> None:
        self.address, self._link, self._made = address, link, made

    def show(self, kind: str) -> str:
        """Turn the link to the plans of ``kind``; the address."""
        self._link.unlink()
        self._link.symlink_to(companies.write(self._made, kind))
        return self.address


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("every")
    link = folder / "plans"
    link.symlink_to(companies.write(folder, "nothing"))
    with served(link, folder / "server.log") as address:
        yield Place(address, link, folder)


@pytest.mark.timeout(1800)  # every page of a kind in four looks, in the full profile
@pytest.mark.parametrize("kind", companies.KINDS)
def test_pages_bear_it(place: Place, reader: Callable[..., Reader], pictures: Path, kind: str) -> None:
    address = place.show(kind)
    for scheme, width in LOOKS if FULL else LOOKS[2:] if kind == "normal" else LOOKS[:1]:
        one = reader(scheme, width)
        for page in EVERY if FULL else TELLING[kind]:
            text = one.open(f"{address}/{page}")
            where = f"{kind}-{page or 'fleet'}-{scheme}-{width}"
            assert ("There is no plan yet" in text) == (kind == "nothing"), where
            assert_sound(one)
            assert_fits(one)
            assert one.page.evaluate(UNREADABLE, SMALLEST_PX) == [], where
            if FULL:
                assert grave_findings(one) == [], where
            if "CAPACITY_PICTURES" in os.environ:
                one.picture(pictures / f"{where.replace(' ', '_')}.png")
