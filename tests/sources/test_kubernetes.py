"""OpenCost's answers and exports, and AWS's split cost allocation, into the table kubernetes_cost."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from capacity.config import KubernetesSource
from capacity.errors import CorruptDataError, MissingDataError
from capacity.schemas import KUBERNETES_COST
from capacity.sources import Batch, Context, build
from capacity.store import Store, ingest

NOW = datetime(2026, 10, 5, tzinfo=UTC)
WINDOW = {"start": "2026-09-01T00:00:00Z", "end": "2026-09-02T00:00:00Z"}


def _batch(path: Path, **more: Any) -> Batch:
    source = build(KubernetesSource(kind="kubernetes", name="opencost", path=str(path), **more), Context(Path))
    (batch,) = source.batches(None, NOW)
    assert batch.table.schema.equals(KUBERNETES_COST.schema)
    return batch


def _allocation(**fields: Any) -> dict[str, Any]:
    return {"window": WINDOW, "start": "2026-09-01T03:00:00Z", "end": "2026-09-01T05:00:00Z", "cpuCost": 1.5,
            "cpuCostAdjustment": -0.5, "ramCost": 2, "totalCost": 3.0, "gpuCost": None, **fields}  # fmt: skip


def _answer(path: Path, allocations: dict[str, Any], code: int = 200) -> Path:
    path.write_text(json.dumps({"code": code, "status": "success", "data": [allocations, None]}), encoding="utf-8")
    return path


def test_an_answer_of_the_api_is_read_by_its_window(tmp_path: Path) -> None:
    properties = {"cluster": "prod", "namespace": "shop", "controller": "cart", "controllerKind": "deployment",
                  "pod": "cart-1", "labels": {"app": "cart"}}  # fmt: skip
    path = _answer(
        tmp_path / "day.json",
        {
            "prod/cart-1/main": _allocation(properties=properties),
            "prod/cart-1/proxy": _allocation(properties=properties, sharedCost=0.25),
            "prod/__idle__": _allocation(properties={"cluster": "prod"}),
            "__unallocated__": _allocation(),
        },
    )
    rows = _batch(path).table.to_pylist()
    assert [(r["kind"], r["cluster"], r["namespace"], r["controller"], r["pod"]) for r in rows] == [
        ("workload", "opencost", "__unallocated__", "", ""),
        ("idle", "prod", "", "", ""),
        ("workload", "prod", "shop", "cart", "cart-1"),
    ]
    pod = rows[2]
    assert (pod["ts"], pod["period_end"]) == (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC))
    assert (pod["cpu_cost"], pod["ram_cost"], pod["gpu_cost"], pod["shared_cost"]) == (2, 4, None, Decimal("0.25"))
    assert (pod["total_cost"], pod["labels"]) == (6, '{"app": "cart"}')


EXPORT = (
    "Date,Namespace,ControllerKind,ControllerName,Pod,Container,Labels,CPUCost,RAMCost,NetworkCost,PVCost,GPUCost,"
    "TotalCost\n"
    '2026-09-01,shop,deployment,cart,cart-1,main,"{""app"":""cart""}",0.3,0.6,0.9,2,0.8,4.6000000000000005\n'
    "2026-09-01,shop,deployment,cart,cart-1,proxy,,1,,,,,\n"
    "2026-09-02,__idle__,,,,,,1,1,0,0,0,2\n"
)


@pytest.mark.parametrize("packed", [False, True])
def test_an_export_is_read_by_the_day_for_the_cluster_that_the_config_names(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("export.csv.gz" if packed else "export.csv")
    path.write_bytes(gzip.compress(EXPORT.encode()) if packed else EXPORT.encode())
    batch = _batch(path, cluster="prod")
    rows = batch.table.to_pylist()
    assert [(r["cluster"], r["kind"], r["ts"].day, r["total_cost"]) for r in rows] == [
        ("prod", "workload", 1, Decimal("5.600000000000")),  # 12 decimals are more than enough for a proportion
        ("prod", "idle", 2, 2),
    ]
    assert batch.notes == ("lines without TotalCost: the sum of their parts (1 rows)",)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "no JSON at line 1"),
        ("a.json", '{"code": 500, "message": "window too long"}', "no map of allocations|no object"),
        ("a.json", '{"code": 500, "message": "too long", "data": []}', "answered with code 500: too long"),
        ("a.json", '{"data": [{"x": 3}]}', "allocation 'x' is no object"),
        (
            "a.json",
            '{"data": [{"x": {"window": {"start": "2026-09-01", "end": null}}}]}',
            "allocation 'x': window from",
        ),
        ("a.json", '{"data": [{"x": {"cpuCost": "much"}}]}', "allocation 'x': cpuCost: found 'much'"),
        ("a.csv", "Day,Namespace\n", "line 1: no column Date, TotalCost"),
        ("a.csv", "Date,Namespace,TotalCost\n1.9.2026,a,1\n", "line 2: Date: found '1.9.2026'"),
        ("a.csv", "Date,Namespace,TotalCost\n2026-09-01,a,NaN\n", "line 2: TotalCost: found 'NaN'"),
        ("a.csv.gz", "no gzip", "cannot be read"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CorruptDataError, match=said) as caught:
        _batch(path)
    assert str(path) in str(caught.value)


def test_a_sound_file_counts_beside_a_faulty_one_and_a_later_one_replaces(tmp_path: Path) -> None:
    one = {"shop": _allocation()}
    _answer(tmp_path / "1.json", one)
    _answer(tmp_path / "2.json", {"shop": _allocation(totalCost=9)})
    (tmp_path / "3.json").write_text("[", encoding="utf-8")
    source = build(KubernetesSource(kind="kubernetes", name="k", path=str(tmp_path)), Context(Path))
    found = source.batches(None, NOW)
    batch = next(found)
    assert batch.table.column("total_cost").to_pylist() == [9]
    assert "the later file's are kept (1 rows)" in batch.notes[0]
    with pytest.raises(CorruptDataError, match=r"3\.json"):
        next(found)


def test_no_file_and_a_cluster_for_aws_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="names no file"):
        _batch(tmp_path)
    with pytest.raises(ValidationError, match="cluster belongs to format: opencost"):
        KubernetesSource(kind="kubernetes", name="k", path="x", format="aws_split_cost", cluster="c")


# --- AWS -------------------------------------------------------------------------------------------------------


def _line(
    split: float | None, unused: float, kind: str = "EKS-EC2-vCPU-Hours", net: float | None = None
) -> dict[str, Any]:
    tags = {"aws_eks_cluster_name": "prod", "aws_eks_namespace": "shop", "aws_eks_workload_type": "Deployment",
            "aws_eks_workload_name": "cart", "user_team": "a"}  # fmt: skip
    return {
        "line_item_usage_start_date": datetime(2026, 9, 1, 5, tzinfo=UTC),
        "line_item_usage_type": kind,
        "split_line_item_split_cost": split,
        "split_line_item_unused_cost": unused if split is not None else None,
        "split_line_item_net_split_cost": net,
        "resource_tags": list(tags.items()),
    }


def test_aws_lines_are_summed_by_day_and_workload_with_what_is_unused_as_idle(tmp_path: Path) -> None:
    lines = [_line(1.5, 0.5), _line(2, 0.25, "EKS-EC2-GB-Hours"), _line(9, 0, net=4), _line(None, 0)]
    types = {"resource_tags": pa.map_(pa.string(), pa.string()), "split_line_item_net_split_cost": pa.float64()}
    columns = {n: pa.array([line[n] for line in lines], types.get(n)) for n in lines[0]}
    pq.write_table(pa.table(columns), tmp_path / "cur-1.parquet")
    pq.write_table(pa.table(columns), tmp_path / "cur-2.parquet")
    rows = _batch(tmp_path, format="aws_split_cost").table.to_pylist()
    assert [
        (r["kind"], r["namespace"], r["controller"], r["cpu_cost"], r["ram_cost"], r["total_cost"]) for r in rows
    ] == [
        ("idle", "", "", 1, Decimal("0.5"), Decimal("1.5")),
        ("workload", "shop", "cart", 11, 4, 15),
    ]
    assert rows[1]["labels"] == '{"user_team": "a"}'


def test_the_legacy_report_spells_its_columns_its_own_way(tmp_path: Path) -> None:
    path = tmp_path / "cur.csv"
    path.write_text(
        "lineItem/UsageStartDate,lineItem/UsageType,splitLineItem/SplitCost,splitLineItem/UnusedCost,"
        "resourceTags/aws:ecs:clusterName,resourceTags/aws:eks:cluster-name,resourceTags/aws:eks:namespace\n"
        "2026-09-01T05:00:00Z,EKS-EC2-vCPU-Hours,1.25,0,,prod,shop\n2026-09-01T06:00:00Z,BoxUsage,,,,,\n",
        encoding="utf-8",
    )
    (row,) = _batch(path, format="aws_split_cost").table.to_pylist()
    assert (row["cluster"], row["namespace"], row["total_cost"]) == ("prod", "shop", Decimal("1.25"))


def test_a_report_without_split_costs_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "cur.csv").write_text("line_item_usage_start_date\n", encoding="utf-8")
    with pytest.raises(CorruptDataError, match="opt in to split cost allocation data"):
        _batch(tmp_path / "cur.csv", format="aws_split_cost")


def test_it_goes_into_the_store_once(tmp_path: Path) -> None:
    _answer(tmp_path / "day.json", {"shop": _allocation()})
    source = build(KubernetesSource(kind="kubernetes", name="k", path=str(tmp_path / "day.json")), Context(Path))
    store = Store(tmp_path / "store")
    for _ in range(2):
        assert not ingest([source], store, NOW).failed
    assert store.read("kubernetes_cost").num_rows == 1
