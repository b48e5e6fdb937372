"""``python -m bench.allocation [ROWS ...]``: large bills to 500 services by 200 rules and 10 linked pools.

The bar: 5,000,000 rows in at most 20 s and 3 GiB on two cores, for attribution, allocation and the check that it adds
up. The bill is read as Parquet files (only the columns that the rules need) and from a store; reading is told apart.
Each run is a process of its own. CPU seconds stand beside the wall's: a machine that does other work lengthens these.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.make_bill import ACCOUNTS, make
from bench.measure import measure

ROWS = (1_000_000, 5_000_000)
BAR_ROWS, MOST_SECONDS, MOST_GIB = 5_000_000, 20, 3
SERVICES = 500


def main(sizes: Iterable[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            _bill(Path(folder) / f"{rows}", rows)


def _bill(folder: Path, rows: int) -> None:
    make(folder / "bills", rows)
    print(f"bill of {rows:,} rows, {SERVICES} services", flush=True)
    from bench.bills import _ingest  # the same ingest, measured there

    _ingest("into the store", folder / "bills", folder / "store")
    for where in ("parquet", "store"):
        place = folder / ("bills" if where == "parquet" else "store")
        command = (sys.executable, "-m", "bench.allocation", "child", where, str(place))
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        whole = measure(command, 1)
        print(whole.line(f"  whole process, from {where}"))
        parts = ", ".join(f"{n} {wall:.1f} s ({cpu:.1f} CPU)" for n, (wall, cpu) in told["seconds"].items())
        print(f"    {parts}; {told['rules']} rules, {told['pieces']:,} pieces, {told['lines']:,} lines, "
              f"{told['rows']:,} allocated rows", flush=True)  # fmt: skip
        spent = sum(told["seconds"][n][0] for n in ("attribute", "allocate", "verify"))
        if rows == BAR_ROWS:
            held = spent <= MOST_SECONDS and whole.peak_bytes <= MOST_GIB * 2**30
            print(f"  the bar ({MOST_SECONDS} s, {MOST_GIB} GiB): {spent:.1f} s, {'held' if held else 'NOT HELD'}")


def config() -> tuple[Any, list[str]]:
    """200 rules of every kind and 10 pools, three of which feed others."""
    from capacity.config import CostsConfig

    rng = random.Random(3)
    services = [f"workload-{i}" for i in range(SERVICES)]
    rules = [
        {"name": f"team-{i}", "service": services[i], "tags": {"team": f"team-{i}", "cost-center": f"40{i:02d}"}}
        for i in range(60)
    ]
    rules += [
        {"name": f"account-{i}", "service": services[60 + i],
         "match": {"SubAccountId": f"1000000000{i:02d}", "ServiceName": f"Elastic Thing {i}"}}
        for i in range(ACCOUNTS)
    ]  # fmt: skip
    rules += [
        {"name": f"box-{i}", "service": services[110 + i], "match": {"ResourceId": f".*:box/i-0+{i:x}[0-9a-f]{{2}}"}}
        for i in range(40)
    ]
    rules += [
        {"name": f"provider-{i}", "service": services[150 + i],
         "match": {"ServiceName": f"(?i)elastic thing {i + 20}", "RegionId": "us-.*"}}
        for i in range(39)
    ]  # fmt: skip
    rules += [
        {"name": f"shared-{i}", "pool": f"pool-{i}", "match": {"ServiceName": f"Elastic Thing ({60 + i}|{65 + i})"}}
        for i in range(10)
    ]
    rules.append({"name": "by tag", "service_from_tag": "team"})
    shares = {s: rng.randint(1, 9) for s in services[:50]}
    pools: list[dict[str, Any]] = [
        {"name": "pool-0", "split": "even", "to_pools": ["pool-1"]},
        {"name": "pool-1", "split": "cost", "to_pools": ["pool-2", "pool-3"]},
        {"name": "pool-2", "split": "fixed", "shares": {**shares, "pool-3": 5}},
        {"name": "pool-3", "split": "cost", "base": "direct_and_shared"},
        *({"name": f"pool-{i}", "split": ("even", "cost")[i % 2]} for i in range(4, 10)),
    ]
    return CostsConfig.model_validate({"rules": rules, "pools": pools, "tax_pool": "pool-9"}), services


def _child(where: str, place: str) -> None:
    from capacity import costs

    seconds: dict[str, tuple[float, float]] = {}

    def timed(name: str, work: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        out = work()
        seconds[name] = (time.perf_counter() - wall, time.process_time() - cpu)
        return out

    rules, services = config()
    wanted = costs.needed_columns(rules)
    table = timed(
        "read", lambda: _from_files(Path(place), wanted) if where == "parquet" else _from_store(place, wanted)
    )
    attribution = timed("attribute", lambda: costs.attribute(table, rules, services))
    allocation = timed("allocate", lambda: costs.allocate(attribution, rules))
    timed("verify", lambda: allocation.verify(table))
    rows = timed("rows", lambda: costs.allocated_rows(table, attribution, allocation))
    print(json.dumps({
        "seconds": seconds, "rules": len(rules.rules), "pieces": attribution.pieces.num_rows,
        "lines": allocation.lines.num_rows, "rows": rows.num_rows,
    }))  # fmt: skip


def _from_files(folder: Path, wanted: Iterable[str]) -> Any:
    """The columns that rules need, text as codes of its distinct values, as Parquet has it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(folder.glob("*.parquet"))
    schema = pq.read_schema(files[0])
    columns = [c for c in wanted if c in schema.names]
    text = [c for c in columns if pa.types.is_string(schema.field(c).type)]
    table = pa.concat_tables([pq.read_table(f, columns=columns, read_dictionary=text) for f in files])
    source = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), table.num_rows), ["bill"])
    return table.append_column("source", source)


def _from_store(place: Path, wanted: tuple[str, ...]) -> Any:
    from capacity.store import Store

    return Store(str(place)).read("cost", columns=wanted, coded=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _child(*sys.argv[2:])
    else:
        main([int(a) for a in sys.argv[1:]] or ROWS)
