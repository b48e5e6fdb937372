"""Pictures of every page for docs/front-end.md, from plans that are there.

    capacity demo --out PLANS
    python -m tools.page_pictures PLANS [docs/pages]

The first screen of each page, as a projector of 1280 × 800 shows it, in a palette of 64 colours.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from capacity.ui._shell import PAGES
from tests.e2e.conftest import Reader, served

WIDTH, HEIGHT = 1280, 800
COLOURS = 64
MOST_BYTES = 90_000


def main(plans: Path, out: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp, served(plans, Path(tmp) / "log") as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for page in PAGES:
            reader = Reader(browser, "light", WIDTH, HEIGHT)
            reader.open(f"{address}/{'' if page.key == 'fleet' else page.key}")
            path = out / f"{page.key}.png"
            path.write_bytes(small(reader.page.screenshot()))
            print(f"{path} {path.stat().st_size:,} bytes")
            reader.context.close()
        browser.close()


def small(picture: bytes) -> bytes:
    """The same picture in few colours; as many fewer as it takes to be no larger than :data:`MOST_BYTES`."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (COLOURS, COLOURS // 2, COLOURS // 4):
        buffer = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path("docs/pages"))
