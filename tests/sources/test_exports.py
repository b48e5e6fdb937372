"""Deliveries: which files of a folder or a bucket are a bill, and that half a delivery is none."""

from __future__ import annotations

import csv as csvlib
import gzip
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from capacity.config import BillSource, CurSource
from capacity.errors import CorruptDataError, DataError, MissingDataError, UsageError
from capacity.sources import BillReader, Context, build
from capacity.sources.bills._bucket import Bucket
from tests.sources import bills_on_s3 as s3

NOW = datetime(2026, 10, 5, tzinfo=UTC)
ROW = {
    "BillingAccountId": "0042", "BillingCurrency": "USD", "BillingPeriodStart": "2026-09-01T00:00:00Z",
    "BillingPeriodEnd": "2026-10-01T00:00:00Z", "ChargePeriodStart": "2026-09-03T00:00:00Z",
    "ChargePeriodEnd": "2026-09-04T00:00:00Z", "ChargeCategory": "Usage", "BilledCost": "1.10",
    "EffectiveCost": "1.00", "ListCost": "2", "ContractedCost": "1.5", "ServiceName": "EC2",
}  # fmt: skip


def csv(*costs: str) -> bytes:
    """A bill of one row a cost."""
    out = io.StringIO(newline="")
    writer = csvlib.DictWriter(out, list(ROW))
    writer.writeheader()
    writer.writerows(ROW | {"BilledCost": c} for c in costs)
    return out.getvalue().encode()


def gz(*costs: str) -> bytes:
    return gzip.compress(csv(*costs), mtime=0)


def parquet(*costs: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({k: [v] * len(costs) for k, v in ROW.items()} | {"BilledCost": list(costs)}), out)
    return out.getvalue()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3.server() as url:
        yield url


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    s3.credentials(monkeypatch)


@pytest.fixture
def bucket(endpoint: str) -> s3.S3:
    return s3.bucket(endpoint)


class Place:
    """A folder or a bucket, written and read the same way."""

    def __init__(self, folder: Path, bucket: s3.S3 | None) -> None:
        self.folder, self.bucket = folder, bucket

    def put(self, key: str, body: bytes | dict[str, Any]) -> None:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        if self.bucket:
            self.bucket.put(key, content)
            return
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def delete(self, key: str) -> None:
        if self.bucket:
            self.bucket.delete(key)
        else:
            (self.folder / key).unlink()

    def address(self, key: str) -> str:
        """As an exporter writes it into a manifest."""
        return f"s3://{self.bucket.bucket if self.bucket else 'far-away'}/{key}"

    def reader(self, path: str = "", kind: str = "focus_files", **other: Any) -> Any:
        where = self.bucket.url(path) if self.bucket else str(self.folder / path)
        model = BillSource if kind == "focus_files" else CurSource
        config = model.model_validate({"kind": kind, "name": "bill", "path": where, **other})
        return build(config, Context(Path, (self.bucket.access(),) if self.bucket else ()))

    def read(self, path: str = "", **other: Any) -> dict[str, list[Decimal]]:
        """Label -> BilledCost of every file."""
        return {b.label: costs(b) for b in self.reader(path, **other).bills(NOW)}


def costs(bill: Any) -> list[Decimal]:
    return [c for block in bill.blocks() for c in block["BilledCost"].to_pylist()]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, endpoint: str) -> Place:
    return Place(tmp_path, s3.bucket(endpoint) if request.param == "bucket" else None)


# --- plain files -------------------------------------------------------------------------------------------


def test_plain_files_of_all_kinds(place: Place) -> None:
    place.put("in/a.csv", csv("1"))
    place.put("in/b/c.csv.gz", gz("2", "3"))
    place.put("in/d.parquet", parquet("4"))
    place.put("in/readme.txt", b"hello")
    place.put("in/_SUCCESS/e.csv", csv("5"))
    place.put("inner.csv", csv("6"))
    reader = place.reader("in")
    assert isinstance(reader, BillReader)
    bills = list(reader.bills(NOW))
    assert [b.label for b in bills] == ["a.csv", "b/c.csv.gz", "d.parquet"]
    assert [costs(b) for b in bills] == [[1], [2, 3], [4]]
    assert not any(b.complete for b in bills)
    assert len({b.digest for b in bills}) == 3


def test_one_file(place: Place) -> None:
    place.put("in/a.csv", csv("1"))
    place.put("in/a.csv.gz", gz("2"))
    assert place.read("in/a.csv") == {"a.csv": [1]}


def test_nothing_there(place: Place) -> None:
    place.put("other/a.csv", csv("1"))
    with pytest.raises(MissingDataError, match="mend 'path'"):
        place.read("in")


def test_the_same_content_twice_is_refused(place: Place) -> None:
    place.put("a.csv", csv("1"))
    place.put("b.csv", csv("1"))
    place.put("c.csv", csv("2"))  # as long, but another bill
    with pytest.raises(CorruptDataError, match=r"same content as a\.csv"):
        place.read()
    place.delete("b.csv")
    assert place.read() == {"a.csv": [1], "c.csv": [2]}


def test_the_digest_is_of_the_content(place: Place) -> None:
    place.put("a.csv", csv("1"))
    (before,) = place.reader().bills(NOW)
    (again,) = place.reader().bills(NOW)
    assert before.digest == again.digest
    place.put("a.csv", csv("2"))
    (after,) = place.reader().bills(NOW)
    assert after.digest != before.digest


def test_a_file_that_changes_between_listing_and_reading_is_refused(place: Place) -> None:
    place.put("a.csv", csv("1"))
    (bill,) = place.reader().bills(NOW)
    place.put("a.csv", csv("1", "2"))
    with pytest.raises(DataError, match="run the ingest again"):
        costs(bill)
    (bill,) = place.reader().bills(NOW)
    place.delete("a.csv")
    with pytest.raises(DataError, match="run the ingest again"):
        costs(bill)


def test_bills_can_be_listed_first_and_read_in_any_order(place: Place) -> None:
    for name in "abc":
        place.put(f"{name}.csv", csv(str(ord(name))))
    a, b, c = place.reader().bills(NOW)
    one, two = b.blocks(), a.blocks()
    assert next(one)["BilledCost"].to_pylist() == [98]
    assert next(two)["BilledCost"].to_pylist() == [97]
    assert costs(c) == [99]
    assert costs(b) == [98]


def test_raw_is_all_the_file_has(place: Place) -> None:
    text = csv("1").replace(b"ServiceName", b"ServiceName,x_own,Empty", 1).replace(b"EC2", b"EC2,NULL,", 1)
    place.put("a.csv", text)
    place.put("b.parquet", parquet("4"))
    a, b = place.reader().bills(NOW)
    rows = pa.Table.from_batches(list(a.raw()))
    assert rows.column_names == [*ROW, "x_own", "Empty"]
    assert rows["BilledCost"].to_pylist() == ["1"]
    assert rows["x_own"].to_pylist() == rows["Empty"].to_pylist() == [None]
    assert {f.type for f in rows.schema} == {pa.string()}
    some = pa.Table.from_batches(list(a.raw({"billedcost", "xown", "nosuch"})))
    assert some.column_names == ["BilledCost", "x_own"]
    assert list(a.raw({"nosuch"})) == []
    rows = pa.Table.from_batches(list(b.raw()))
    assert rows.to_pylist() == [ROW | {"BilledCost": "4"}]
    assert {f.type for f in rows.schema} == {pa.string()}


@pytest.mark.parametrize("tags", [[[("a", "1"), ("b", None)], [], [("b", "2")]], [[("a", "1")], None, []]])
def test_raw_maps_keep_their_pairs(tmp_path: Path, tags: list[Any]) -> None:
    column = pa.array(tags, pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({k: [v] * 3 for k, v in ROW.items()} | {"Tags": column}), tmp_path / "a.parquet")
    (bill,) = Place(tmp_path, None).reader().bills(NOW)
    found = pa.Table.from_batches(list(bill.raw()))["Tags"]
    assert found.type == column.type
    assert found.to_pylist() == tags
    (block,) = bill.blocks()
    assert block["Tags"].to_pylist() == [None if t is None else json.dumps(dict(t), sort_keys=True) for t in tags]


def test_gcp_exports_are_plain_files(place: Place) -> None:
    """BigQuery's export of its FOCUS view: x_ columns, no manifest."""
    row = {**ROW, "x_ProjectId": "p", "x_Credits": "[]", "ProviderName": "Google Cloud"}
    out = io.BytesIO()
    pq.write_table(pa.table({k: [v] for k, v in row.items()}), out)
    place.put("focus/shard-000000000000.parquet", out.getvalue())
    (bill,) = place.reader("focus").bills(NOW)
    (block,) = bill.blocks()
    assert block["ProviderName"].to_pylist() == ["Google Cloud"]
    assert "columns not used: x_Credits, x_ProjectId" in bill.notes()


# --- AWS Data Exports --------------------------------------------------------------------------------------

PART = "BILLING_PERIOD=2026-09"


def export(place: Place, root: str, part: str, run: str, *costs_of: str, files: int = 2) -> list[str]:
    """One execution, as AWS delivers it: data, then the manifest that names it."""
    name, folder = root.rpartition("/")[2], f"{part}/{run}" if run else part
    keys = [f"{root}/data/{folder}/{name}-{i:05d}.csv.gz" for i in range(1, files + 1)]
    for i, key in enumerate(keys):
        place.put(key, gz(*(str(Decimal(c) + i) for c in costs_of)))
    manifest = {"executionId": "e", "dataFiles": [place.address(k) for k in keys], "columns": [{"name": "BilledCost"}]}
    place.put(f"{root}/metadata/{folder}/{name}-Manifest.json", manifest)
    return keys


def test_an_export_that_overwrites(place: Place) -> None:
    export(place, "pre/focus", PART, "", "1")
    export(place, "pre/focus", "BILLING_PERIOD=2026-08", "", "5")
    place.put(f"pre/focus/data/{PART}/left-over.csv.gz", gz("100"))
    bills = list(place.reader("pre").bills(NOW))
    assert [b.label for b in bills] == [
        f"focus/data/{p}/focus-{i:05d}.csv.gz" for p in ("BILLING_PERIOD=2026-08", PART) for i in (1, 2)
    ]
    assert [costs(b) for b in bills] == [[5], [6], [1], [2]]
    assert all(b.complete for b in bills)
    left_over = f"1 files below it belong to no delivery that is read, first focus/data/{PART}/left-over.csv.gz"
    assert [left_over in b.notes() for b in bills] == [True, False, False, False]
    # The export's own folder, and layout by name, are the same.
    assert list(place.read("pre/focus", layout="aws_data_exports").values()) == [[5], [6], [1], [2]]


def test_an_export_that_keeps_its_executions(place: Place) -> None:
    export(place, "focus", PART, "20260907T010203Z-aaa", "1")
    export(place, "focus", PART, "20260908T010203Z-bbb", "10")
    place.put(f"focus/data/{PART}/20260909T010203Z-ccc/focus-00001.csv.gz", gz("100"))  # its manifest will come
    assert list(place.read().values()) == [[10], [11]]


def test_the_newest_complete_execution_is_taken(place: Place) -> None:
    export(place, "focus", PART, "20260907T010203Z-aaa", "1")
    gone = export(place, "focus", PART, "20260908T010203Z-bbb", "10")
    place.delete(gone[1])
    bills = list(place.reader().bills(NOW))
    assert [costs(b) for b in bills] == [[1], [2]]
    assert any("a newer delivery of 2026-09 is not complete" in n for n in bills[0].notes())
    assert any("1 of 2 files that it names are not there" in n for n in bills[0].notes())


def test_an_incomplete_period_is_skipped_and_reported(place: Place) -> None:
    export(place, "focus", PART, "", "1")
    gone = export(place, "focus", "BILLING_PERIOD=2026-08", "", "5")
    place.delete(gone[0])
    bills, seen = place.reader().bills(NOW), []
    with pytest.raises(DataError, match="2026-08 was left as it is") as caught:
        seen.extend(costs(b) for b in bills)
    assert seen == [[1], [2]]
    assert gone[0] in str(caught.value)


def test_an_empty_file_is_no_file(place: Place) -> None:
    keys = export(place, "focus", PART, "", "1")
    place.put(keys[1], b"")
    with pytest.raises(DataError, match="has 0 bytes"):
        place.read()


def test_a_refresh_under_way_is_not_mixed_with_what_it_replaces(bucket: s3.S3, tmp_path: Path) -> None:
    place = Place(tmp_path, bucket)
    keys = export(place, "focus", PART, "", "1")
    refreshed = datetime.now(UTC) + timedelta(hours=6)
    bucket.written_at(keys[0], refreshed)
    with pytest.raises(DataError, match="a refresh is under way"):
        place.read()
    for key in (keys[1], f"focus/metadata/{PART}/focus-Manifest.json"):
        bucket.written_at(key, refreshed + timedelta(minutes=1))
    assert list(place.read().values()) == [[1], [2]]


@pytest.mark.parametrize(
    "address", ["s3://other/focus/data/{part}/x.csv", "s3://{bucket}/secret/x.csv", "secret/x.csv"]
)
def test_a_manifest_stays_in_its_bucket_and_below_its_export(bucket: s3.S3, tmp_path: Path, address: str) -> None:
    place = Place(tmp_path, bucket)
    keys = export(place, "focus", PART, "", "1")
    place.put("secret/x.csv", csv("666"))
    named = [place.address(keys[0]), address.format(bucket=bucket.bucket, part=PART)]
    place.put(f"focus/metadata/{PART}/focus-Manifest.json", {"dataFiles": named})
    with pytest.raises(DataError, match=r"which lies (in another bucket|outside the export); refused"):
        place.read()


def test_parts_without_rows_may_be_the_same(place: Place) -> None:
    for key in export(place, "focus", PART, "", "1"):
        place.put(key, gz())
    assert list(place.read().values()) == [[], []]


def test_the_inside_of_an_export_is_not_taken_for_plain_files(place: Place) -> None:
    export(place, "focus", PART, "20260907T010203Z-aaa", "1")
    export(place, "focus", PART, "20260908T010203Z-bbb", "10")
    with pytest.raises(DataError, match="name the folder above data/"):
        place.read("focus/data")
    assert len(place.read("focus/data", layout="files")) == 4


def test_a_layout_without_its_manifests(place: Place) -> None:
    place.put("a.csv", csv("1"))
    for layout in ("aws_data_exports", "azure_exports"):
        with pytest.raises(MissingDataError, match=f"no manifest as {layout}"):
            place.read(layout=layout)


# --- AWS Cost and Usage Reports ----------------------------------------------------------------------------

CUR = (
    "bill/PayerAccountId,bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,lineItem/LineItemType,"
    "lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,lineItem/CurrencyCode,lineItem/UnblendedCost\n"
    "123412340534,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,Usage,2026-09-02T00:00:00Z,2026-09-03T00:00:00Z,"
    "AmazonEC2,USD,{}\n"
)


def report(place: Place, run: str, cost: str) -> dict[str, Any]:
    folder = f"pre/report/20260901-20261001/{run}" if run else "pre/report/20260901-20261001"
    key = f"{folder}/report-00001.csv.gz"
    place.put(key, gzip.compress(CUR.format(cost).encode(), mtime=0))
    bucket = place.bucket.bucket if place.bucket else "far-away"
    return {"assemblyId": run, "bucket": bucket, "reportKeys": [key]}


def test_a_report_that_keeps_its_assemblies(place: Place) -> None:
    """The manifest above the assemblies names the current one; each has a copy of its own."""
    for run, cost in (("aaaa", "1.5"), ("bbbb", "2.5")):
        manifest = report(place, run, cost)
        place.put(f"pre/report/20260901-20261001/{run}/report-Manifest.json", manifest)
        place.put("pre/report/20260901-20261001/report-Manifest.json", manifest)
    found = place.read("pre", kind="aws_cur")
    assert list(found.values()) == [[Decimal("2.5")]]
    assert list(found) == ["report/20260901-20261001/bbbb/report-00001.csv.gz"]


def test_a_report_that_overwrites(place: Place) -> None:
    place.put("pre/report/20260901-20261001/report-Manifest.json", report(place, "", "1.5"))
    (bill,) = place.reader("pre/report", kind="aws_cur").bills(NOW)
    assert costs(bill) == [Decimal("1.5")]
    assert bill.complete


# --- Azure -------------------------------------------------------------------------------------------------


def azure(place: Place, run: str, submitted: str, *files: bytes, kind: str = "FocusCost", **other: Any) -> str:
    folder = f"exports/focus/20260901-20260930/{run}"
    blobs = []
    for i, body in enumerate(files):
        name = f"part_{i}_0001.csv"
        place.put(f"{folder}/{name}", body)
        blobs.append({"blobName": f"exports/focus/20260901-20260930/{run}/{name}", "byteCount": len(body)} | other)
    manifest = {"exportConfig": {"type": kind}, "runInfo": {"submittedTime": submitted, "runId": run}, "blobs": blobs}
    place.put(f"{folder}/manifest.json", manifest)
    return folder


def test_the_newest_azure_run_of_a_month(place: Place) -> None:
    azure(place, "b-first", "2026-09-19T06:12:44.1234567Z", csv("1"))
    azure(place, "a-second", "2026-09-20T06:12:44.1234567Z", csv("2"), csv("3"))
    assert list(place.read("exports").values()) == [[2], [3]]


def test_an_azure_run_with_a_file_of_another_size(place: Place) -> None:
    azure(place, "a", "2026-09-19T06:12:44Z", csv("1"))
    folder = azure(place, "b", "2026-09-20T06:12:44Z", csv("2"))
    place.put(f"{folder}/part_0_0001.csv", csv("2")[:-10])
    (bill,) = place.reader("exports").bills(NOW)
    assert costs(bill) == [1]
    place.delete("exports/focus/20260901-20260930/a/part_0_0001.csv")
    with pytest.raises(DataError, match=f"has {len(csv('2')) - 10:,} bytes of {len(csv('2')):,}"):
        place.read("exports")


def test_azure_exports_of_another_kind_are_passed_over(place: Place) -> None:
    azure(place, "a", "2026-09-19T06:12:44Z", csv("1"))
    place.put("exports/actual/20260901-20260930/x/part_0_0001.csv", b"Cost\n1\n")
    place.put("exports/actual/20260901-20260930/x/manifest.json", {"exportConfig": {"type": "ActualCost"}, "blobs": []})
    assert list(place.read("exports").values()) == [[1]]


# --- S3 ----------------------------------------------------------------------------------------------------


def test_more_objects_than_a_page(bucket: s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    place = Place(tmp_path, bucket)
    for i in range(25):
        bucket.put(f"in/{i:04d}.txt", b"")
    bucket.put("in/z.csv", csv("7"))
    assert place.read("in") == {"z.csv": [7]}
    with pytest.raises(DataError, match="more than 20 objects"):
        place.read("in", limits={"files": 20})


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_download_that_is_spoilt_is_repeated(bucket: s3.S3, how: str) -> None:
    bucket.put("a.csv", csv("1", "2"))
    with s3.spoiling(bucket.endpoint, how, times=2) as proxy:
        (bill,) = through(bucket, proxy).bills(NOW)
        assert costs(bill) == [1, 2]
        assert len(proxy.gets) == 3


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_download_that_stays_spoilt_is_refused(bucket: s3.S3, how: str) -> None:
    bucket.put("a.csv", csv("1", "2"))
    with s3.spoiling(bucket.endpoint, how, times=99) as proxy:
        (bill,) = through(bucket, proxy).bills(NOW)
        with pytest.raises(DataError, match=r"a\.csv: .*3 times; run the ingest again"):
            costs(bill)
        assert len(proxy.gets) == 3


def through(bucket: s3.S3, proxy: s3.Proxy) -> Any:
    config = BillSource.model_validate({"kind": "focus_files", "name": "bill", "path": bucket.url()})
    return build(config, Context(Path, (bucket.access(proxy.url),)))


def test_one_file_at_a_time_is_on_disk(bucket: s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in "abc":
        bucket.put(f"{name}.csv", csv(str(ord(name))))
    reader = Place(tmp_path, bucket).reader()
    bills = list(reader.bills(NOW))
    assert spooled(tmp_path) == []  # listing and digests fetch nothing
    assert len({b.digest for b in bills}) == 3
    for bill in bills:
        assert costs(bill)
        list(bill.raw())
        assert len(spooled(tmp_path)) == 1
    del reader, bills, bill
    assert spooled(tmp_path) == []


def spooled(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def test_an_object_beyond_the_limit_is_not_fetched(bucket: s3.S3) -> None:
    bucket.put("a.csv", csv("1"))
    with s3.spoiling(bucket.endpoint, "cut", times=0) as proxy:
        config = {"kind": "focus_files", "name": "bill", "path": bucket.url(), "limits": {"file_bytes": 100}}
        (bill,) = build(BillSource.model_validate(config), Context(Path, (bucket.access(proxy.url),))).bills(NOW)  # type: ignore[attr-defined]
        with pytest.raises(CorruptDataError, match="raise 'file_bytes' in 'limits'"):
            costs(bill)
        assert proxy.gets == []


def test_an_object_in_several_parts(bucket: s3.S3, tmp_path: Path) -> None:
    """Its ETag is no MD5 of the whole: only the length is compared."""
    body = csv(*(str(i) for i in range(60_000)))
    part = 5 * 2**20
    upload = bucket.client.create_multipart_upload(Bucket=bucket.bucket, Key="a.csv")["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(body), part), 1):
        answer = bucket.client.upload_part(
            Bucket=bucket.bucket, Key="a.csv", UploadId=upload, PartNumber=number, Body=body[start : start + part]
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    bucket.client.complete_multipart_upload(
        Bucket=bucket.bucket, Key="a.csv", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert len(parts) > 1
    assert sum(Place(tmp_path, bucket).read()["a.csv"]) == sum(range(60_000))


def test_a_bucket_that_is_not_there(bucket: s3.S3) -> None:
    config = BillSource.model_validate({"kind": "focus_files", "name": "bill", "path": "s3://no-such-bucket/x"})
    with pytest.raises(DataError, match="s3:ListBucket: NoSuchBucket") as caught:
        list(build(config, Context(Path, (bucket.access(),))).batches(None, NOW))
    assert "AKIA" not in str(caught.value)


def test_s3_needs_a_way_into_aws() -> None:
    config = BillSource.model_validate({"kind": "focus_files", "name": "bill", "path": "s3://bucket/x"})
    with pytest.raises(UsageError, match="name its way into AWS"):
        build(config, Context(Path))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gs://bucket/x", "'gs://' cannot be read"),
        ("https://bucket.s3.amazonaws.com/x", "'https://' cannot be read"),
        ("s3://Bucket_/x", "no name of a bucket"),
        ("s3:///x", "no name of a bucket"),
        ("s3://bucket/a/../b", "no wildcard"),
        ("s3://bucket/*.csv", "no wildcard"),
    ],
)
def test_places_that_are_none(path: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BillSource.model_validate({"kind": "focus_files", "name": "bill", "path": path})


def test_a_prefix_is_a_folder(bucket: s3.S3) -> None:
    """s3://bucket/in does not mean s3://bucket/inner."""
    shelf = Bucket(bucket.url("in"), access=None, most_files=1, most_bytes=1)  # type: ignore[arg-type]
    assert shelf.base == "in/"
