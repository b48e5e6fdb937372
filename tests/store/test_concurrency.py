"""Four ingests, eight readers and a compaction at once, as processes: no error, no torn period, conflicts retried."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from capacity.store import Store, ingest
from tests.store import crowd
from tests.store.frames import NOW

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("CAPACITY_TEST_PROFILE") == "full"
SECONDS = 120 if FULL else 6


@pytest.mark.timeout(SECONDS + 240)
def test_ingests_readers_and_a_compaction_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    total = crowd_on(store, SECONDS)
    assert total["write conflicts"] + total["tidy conflicts"] > 0 or not FULL
    settled(store)


@pytest.mark.skipif(not FULL, reason="the stand-in takes a minute for it: make test-full")
@pytest.mark.timeout(SECONDS + 240)
def test_the_same_on_s3(s3_prefix: str) -> None:
    store = Store(s3_prefix)
    crowd_on(store, SECONDS)
    settled(store)


def crowd_on(store: Store, seconds: float) -> Counter[str]:
    """What the processes counted together; none of them met an error."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.crowd", store.root, str(seconds)],
        cwd=ROOT, capture_output=True, text=True, timeout=seconds + 200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["error"] for r in results if "error" in r] == []
    assert len(results) == crowd.WRITERS + crowd.READERS + 1
    total: Counter[str] = Counter()
    for r in results:
        total.update({f"{r['job']} {k}": v for k, v in r.items() if k != "job"})
    print(dict(total))
    assert total["write rounds"] >= crowd.WRITERS
    assert total["read periods"] > 0
    assert total["read points"] > 0
    return total


def settled(store: Store) -> None:
    """Each ingest once more, alone: what it delivers is there, and again changes nothing."""
    for me in range(crowd.WRITERS):
        assert ingest(crowd.deliveries(me, 1), store, NOW).failures == ()
        versions = store.versions()
        assert ingest(crowd.deliveries(me, 1), store, NOW).versions == versions
    cost = store.read("cost")
    assert cost.num_rows == 2 * sum(len(crowd.rows_of(i, 1)) for i in range(4)) + len(crowd.rows_of(3, 1))
