"""A billing file is untrusted input: hostile files are refused early, with a reason, and without filling memory."""

from __future__ import annotations

import gzip
import json
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import BillSource
from capacity.errors import CapacityError, CorruptDataError, DataError
from capacity.schemas import COST
from capacity.sources import Context, build
from capacity.sources._expanding import RATIO_FREE_BYTES

NOW = datetime(2026, 10, 5, tzinfo=UTC)
ROW = {
    "BillingAccountId": "0042", "BillingCurrency": "USD", "BillingPeriodStart": "2026-09-01T00:00:00Z",
    "BillingPeriodEnd": "2026-10-01T00:00:00Z", "ChargePeriodStart": "2026-09-03T00:00:00Z",
    "ChargePeriodEnd": "2026-09-04T00:00:00Z", "ChargeCategory": "Usage", "BilledCost": "1.10",
    "EffectiveCost": "1.00", "ServiceName": "EC2",
}  # fmt: skip
HEADER, LINE = ",".join(ROW), ",".join(ROW.values())


def reader(path: Path, **limits: int) -> Any:
    config = BillSource.model_validate({"kind": "focus_files", "name": "bill", "path": str(path), "limits": limits})
    return build(config, Context(Path))


def read(path: Path, **limits: int) -> int:
    """Rows of all files below ``path``."""
    return sum(b.num_rows for bill in reader(path, **limits).bills(NOW) for b in bill.blocks())


def refused(path: Path, said: str, **limits: int) -> None:
    """``blocks`` and ``raw`` both refuse it."""
    with pytest.raises(CorruptDataError, match=said) as caught:
        read(path, **limits)
    assert str(path) in str(caught.value)
    with pytest.raises(CorruptDataError, match=said):
        [list(bill.raw()) for bill in reader(path, **limits).bills(NOW)]


def table(rows: int = 1, **changed: Any) -> pa.Table:
    return pa.table({k: pa.repeat(pa.scalar(v), rows) for k, v in ROW.items()} | changed)


def parquet(path: Path, content: pa.Table, **options: Any) -> Path:
    pq.write_table(content, path, **options)
    return path


def plain(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


# --- size and decompression --------------------------------------------------------------------------------


def test_a_file_too_large_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(f"{HEADER}\n{LINE}\n")
    os.truncate(path, 9 * 2**30)  # sparse: nothing is written
    began = time.monotonic()
    refused(path, "raise 'file_bytes' in 'limits'")
    assert time.monotonic() - began < 2


def bomb(path: Path, mib: int) -> Path:
    """``mib`` MiB of the same row, in a thousandth of the room."""
    lines = f"{LINE}\n".encode()
    piece = lines * (2**20 // len(lines))
    with gzip.open(path, "wb", compresslevel=9) as out:
        out.write(f"{HEADER}\n".encode())
        for _ in range(mib):
            out.write(piece)
    return path


def test_a_gzip_bomb(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bill.csv.gz", 120)
    assert path.stat().st_size < 2**20
    with pytest.raises(CorruptDataError, match=r"over 200 times.*raise 'expansion_ratio'"):
        read(path)
    with pytest.raises(CorruptDataError, match=r"expands to more than 1,000,000 bytes.*raise 'expanded_bytes'"):
        read(path, expanded_bytes=1_000_000)


def test_a_gzip_bomb_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv.gz"
    with gzip.open(path, "wb") as out:
        for _ in range(100):
            out.write(b"a" * 2**20)
    tracemalloc.start()
    refused(path, "bill.csv.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < RATIO_FREE_BYTES


def test_a_small_file_may_shrink_as_it_likes(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bill.csv.gz", 20)
    assert path.stat().st_size * 200 < 20 * 2**20
    assert read(path) > 100_000


def test_a_trusted_file_may_be_let_in(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bill.csv.gz", 70)
    assert read(path, expansion_ratio=2000) > 400_000


@pytest.mark.parametrize("cut", [10, 50, 95])
def test_a_cut_gzip_file(tmp_path: Path, cut: int) -> None:
    whole = gzip.compress(f"{HEADER}\n{LINE}\n".encode() * 50)
    path = tmp_path / "bill.csv.gz"
    path.write_bytes(whole[: len(whole) * cut // 100])
    refused(path, "is the file complete|malformed|header")


# --- CSV ---------------------------------------------------------------------------------------------------


def test_too_many_columns(tmp_path: Path) -> None:
    header = HEADER + "," + ",".join(f"x_{i}" for i in range(2500))
    refused(plain(tmp_path / "bill.csv", header), "2,510 columns; at most 2,000.*raise 'columns'")


def test_a_header_without_end(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text("a," * 2**20)
    refused(path, "the header does not end within 1,048,576 bytes|columns; at most")


def test_a_header_of_one_endless_name(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text("a" * 2**21)
    refused(path, "header")


def test_a_cell_too_long(tmp_path: Path) -> None:
    path = plain(tmp_path / "bill.csv", HEADER, LINE, LINE.replace("EC2", "E" * 70_000))
    refused(path, "a value of column 'ServiceName' has 70,000 bytes; at most 65,536.*raise 'cell_bytes'")


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(f"{HEADER}\n{LINE}\n" + LINE.replace("EC2", '"EC2') + "\n" + f"{LINE}\n" * 400_000)
    refused(path, "bill.csv")


def test_text_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes(f"{HEADER}\n".encode() + LINE.encode().replace(b"EC2", b"\xff\xfe\x00"))
    refused(path, "bill.csv")
    path.write_bytes(b"\xff\xfe" + HEADER.encode("utf-16-le"))
    refused(path, "not UTF-8 CSV")


def test_narrow_rows_still_come_in_small_blocks(tmp_path: Path) -> None:
    path = plain(tmp_path / "bill.csv", HEADER, *[LINE] * 150_000)
    (bill,) = reader(path).bills(NOW)
    for sizes in ([b.num_rows for b in bill.blocks()], [b.num_rows for b in bill.raw()]):
        assert sum(sizes) == 150_000
        assert max(sizes) <= 131_072


# --- Parquet -----------------------------------------------------------------------------------------------


def test_a_dictionary_bomb(tmp_path: Path) -> None:
    """One long tag, said two million times, is 60 KB on disk and 120 GB written out."""
    rows = 2_000_000
    tag = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["t" * 60_000])
    path = parquet(tmp_path / "bill.parquet", table(rows, Tags=tag), row_group_size=rows)
    assert path.stat().st_size < 2**20
    refused(path, "131,072 rows take more than 536,870,912 bytes.*raise 'block_bytes'")


def test_a_dictionary_bomb_in_a_map(tmp_path: Path) -> None:
    rows = 200_000
    keys = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["k"])
    values = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["v" * 40_000])
    tags = pa.MapArray.from_arrays(pa.array(range(rows + 1), pa.int32()), keys, values)
    path = parquet(tmp_path / "bill.parquet", table(rows, Tags=tags), row_group_size=rows)
    assert path.stat().st_size < 2**20
    refused(path, "raise 'block_bytes'")


def test_a_cell_too_long_in_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path / "bill.parquet", table(1, Tags=pa.array(["t" * 70_000])))
    refused(path, "a value of column 'Tags' has 70,000 bytes")


def test_a_footer_that_declares_too_much(tmp_path: Path) -> None:
    zeros = table(10_000, x_blob=pa.array(["0" * 8_000] * 10_000))
    path = parquet(tmp_path / "bill.parquet", zeros, use_dictionary=False, compression="zstd")
    assert path.stat().st_size < 200_000
    refused(path, "raise 'expansion_ratio'")
    refused(path, "raise 'expanded_bytes'", expanded_bytes=2**20)


def test_too_many_row_groups(tmp_path: Path) -> None:
    path = parquet(tmp_path / "bill.parquet", table(300), row_group_size=1)
    refused(path, "300 row groups; at most 200.*raise 'row_groups'", row_groups=200)
    assert read(path) == 300


def test_too_many_parquet_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path / "bill.parquet", table(1, **{f"x_{i}": pa.array([1]) for i in range(2100)}))
    refused(path, "2,110 columns; at most 2,000")


@pytest.mark.parametrize("length", [2**31 - 1, 2**32 - 1, 10_000])
def test_a_footer_longer_than_the_file(tmp_path: Path, length: int) -> None:
    path = parquet(tmp_path / "bill.parquet", table(1))
    body = path.read_bytes()
    path.write_bytes(body[:-8] + struct.pack("<I", length) + b"PAR1")
    refused(path, "footer is longer than the file")


def test_a_footer_that_is_huge(tmp_path: Path) -> None:
    path = tmp_path / "bill.parquet"
    with path.open("wb") as out:
        out.write(b"PAR1")
        out.truncate(4 + 70 * 2**20)
        out.seek(4 + 70 * 2**20)
        out.write(struct.pack("<I", 70 * 2**20) + b"PAR1")
    refused(path, "its footer has 73,400,320 bytes")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"not parquet at all", b"PAR1" + b"\0" * 50 + b"PARE"])
def test_what_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bill.parquet"
    path.write_bytes(content)
    refused(path, "not a Parquet file that can be read")


@given(st.data())
def test_damage_is_an_error_of_ours_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes changed anywhere in a file never end in an error of a library, or in a crash."""
    folder = tmp_path_factory.mktemp("damage")
    kind = data.draw(st.sampled_from(["csv", "csv.gz", "parquet"]))
    path = folder / f"bill.{kind}"
    if kind == "parquet":
        parquet(path, table(50, Tags=pa.array([[("a", "b")]] * 50, pa.map_(pa.string(), pa.string()))))
    else:
        text = f"{HEADER}\n".encode() + f"{LINE}\n".encode() * 50
        path.write_bytes(gzip.compress(text) if kind == "csv.gz" else text)
    body = bytearray(path.read_bytes())
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(body) - 1), st.integers(0, 255)), min_size=1, max_size=8)
    ):
        body[at] = value
    path.write_bytes(body)
    try:
        for bill in reader(path).bills(NOW):
            for block in bill.blocks():
                assert block.schema == COST.schema
            for batch in bill.raw():
                batch.validate()
    except CapacityError:
        pass


def test_an_index_beyond_its_dictionary(tmp_path: Path) -> None:
    """Arrow hands over what a page says; looked up, it would be somebody else's memory."""
    words = pa.array([f"word {i % 3}" for i in range(50)])
    path = parquet(tmp_path / "bill.parquet", table(50, Tags=words), compression="none", write_statistics=False)
    chunk = pq.read_metadata(path).row_group(0).column(len(ROW))
    body, said = path.read_bytes(), []
    end = chunk.dictionary_page_offset + chunk.total_compressed_size
    for at in range(chunk.data_page_offset, end):
        path.write_bytes(body[:at] + b"\xff" + body[at + 1 :])
        try:
            read(path)
        except CapacityError as error:
            said.append(str(error))
    assert any("out of bounds" in text for text in said)


def test_text_in_parquet_that_is_none(tmp_path: Path) -> None:
    path = parquet(tmp_path / "bill.parquet", table(50, Tags=pa.array(["abcdefgh"] * 50)), compression="none")
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abc\xc3\x28fgh"))
    refused(path, "not a Parquet file that can be read .*UTF8")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """pandas metadata and extension types in a schema are data, not code."""
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {marker}",)

    import pickle

    extension = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(Evil())}
    content = table(1)
    fields = [f.with_metadata(extension) if f.name == "ServiceName" else f for f in content.schema]
    evil = content.cast(pa.schema(fields, metadata={b"pandas": pickle.dumps(Evil())}))
    path = parquet(tmp_path / "bill.parquet", evil)
    assert read(path) == 1
    assert not marker.exists()


# --- places ------------------------------------------------------------------------------------------------


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    secret = plain(tmp_path / "secret.csv", HEADER, LINE)
    folder = tmp_path / "bills"
    (folder / "in").mkdir(parents=True)
    plain(folder / "a.csv", HEADER, LINE)
    (folder / "in" / "c.csv").symlink_to(secret)
    for path in (folder, folder / "in" / "*.csv", folder / "**" / "*.csv"):
        with pytest.raises(CorruptDataError, match="is a link that leads out of"):
            read(path)
    assert read(folder / "in" / "c.csv") == 1  # named by its owner
    (folder / "in" / "c.csv").unlink()
    (folder / "in" / "d.csv").symlink_to(plain(folder / "e.csv", HEADER, LINE.replace("EC2", "S3")))
    with pytest.raises(CorruptDataError, match="the same content"):  # inside, and the same file twice
        read(folder)


def test_a_folder_that_is_a_link_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    plain(outside / "b.csv", HEADER, LINE)
    folder = tmp_path / "bills"
    folder.mkdir()
    plain(folder / "a.csv", HEADER, LINE)
    (folder / "more").symlink_to(outside)
    with pytest.raises(CorruptDataError, match="is a link that leads out of"):
        read(folder / "*" / "*.csv")
    assert read(folder) == 1  # what lies behind the link is not looked at


def test_too_many_files(tmp_path: Path) -> None:
    for i in range(12):
        plain(tmp_path / f"{i}.csv", HEADER, LINE.replace("0042", f"{i:04d}"))
    with pytest.raises(DataError, match=r"more than 10 files.*raise 'files'"):
        read(tmp_path, files=10)
    assert read(tmp_path) == 12


# --- manifests ---------------------------------------------------------------------------------------------

PART = "BILLING_PERIOD=2026-09"


def hostile(folder: Path, manifest: object) -> Path:
    """An export with one sound file, and this manifest."""
    data = folder / "bills" / "focus" / "data" / PART
    data.mkdir(parents=True)
    plain(data / "focus-00001.csv", HEADER, LINE)
    plain(folder / "bills" / "secret.csv", HEADER, LINE)
    plain(folder / "outside.csv", HEADER, LINE)
    meta = folder / "bills" / "focus" / "metadata" / PART
    meta.mkdir(parents=True)
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    (meta / "focus-Manifest.json").write_bytes(content)
    return folder / "bills"


SOUND = f"s3://b/pre/focus/data/{PART}/focus-00001.csv"


def test_a_sound_manifest(tmp_path: Path) -> None:
    assert read(hostile(tmp_path, {"dataFiles": [SOUND]})) == 1


@pytest.mark.parametrize(
    "address",
    [
        f"s3://b/pre/focus/data/{PART}/../../../secret.csv",
        f"s3://b/pre/focus/data/{PART}/../../../../outside.csv",
        f"pre/focus/data/{PART}/./focus-00001.csv",
        f"s3://b/pre/focus/data/{PART}//etc/passwd.csv",
        f"s3://b/pre/focus/data/{PART}/..\\..\\secret.csv",
        f"s3://b/pre/focus/data/{PART}/\x00secret.csv",
        "s3://b/secret.csv",
        "/etc/passwd.csv",
        "file:///etc/passwd.csv",
        "s3://b/pre/focus/data/BILLING_PERIOD=2026-08/focus-00001.csv",
        "",
    ],
)
def test_a_manifest_that_names_files_elsewhere(tmp_path: Path, address: str) -> None:
    with pytest.raises(DataError, match="refused"):
        read(hostile(tmp_path, {"dataFiles": [SOUND, address]}))


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        {},
        {"dataFiles": []},
        {"dataFiles": "x"},
        {"dataFiles": [1]},
        {"dataFiles": [SOUND, SOUND]},
        {"dataFiles": {"a": SOUND}},
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, manifest: object) -> None:
    with pytest.raises(DataError, match=r"Manifest\.json"):
        read(hostile(tmp_path, manifest))


def test_a_manifest_too_large(tmp_path: Path) -> None:
    padded = json.dumps({"dataFiles": [SOUND], "padding": "x" * 17 * 2**20}).encode()
    with pytest.raises(DataError, match="a manifest has 16,777,216 at most"):
        read(hostile(tmp_path, padded))


def test_an_azure_manifest_that_names_files_elsewhere(tmp_path: Path) -> None:
    run = tmp_path / "bills" / "focus" / "20260901-20260930" / "run"
    run.mkdir(parents=True)
    plain(run.parent / "secret.csv", HEADER, LINE)
    for name in (
        "e/focus/20260901-20260930/secret.csv",
        "e/focus/20260901-20260930/run/../secret.csv",
        "../secret.csv",
    ):
        (run / "manifest.json").write_text(json.dumps({"blobs": [{"blobName": name, "byteCount": 3}]}))
        with pytest.raises(DataError, match="refused"):
            read(tmp_path / "bills")
