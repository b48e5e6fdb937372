"""CSV and Parquet files of canonical frames: what is understood, what is dropped and said, what is refused."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import FileSource
from capacity.errors import CorruptDataError, MissingDataError
from capacity.schemas import TABLES, USAGE, check_frame
from capacity.sources import Batch, Context, build

NOW = datetime(2026, 10, 5, tzinfo=UTC)
SERIES = {
    "account_id": "1", "region": "us-east-1", "service": "{stem}", "metric": "requests_per_second", "stat": "avg",
    "period_seconds": 3600,
}  # fmt: skip


def read(path: Path, frame: str = "usage", **other: Any) -> list[Batch]:
    config = {"kind": "files", "name": "mine", "frame": frame, "path": str(path), **other}
    return list(build(FileSource.model_validate(config), Context(Path)).batches(None, NOW))


def csv(folder: Path, text: str, name: str = "shop.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def times(batch: Batch) -> list[str]:
    return [t.strftime("%m-%d %H:%M") for t in batch.table["ts"].to_pylist()]


@pytest.mark.parametrize(
    ("header", "row", "service"),
    [("ds,y", "{},5", "shop"), ("ts,value", "{},5", "shop"), ("series,ts,value", "b,{},5", "b")],
)
def test_bare_series(tmp_path: Path, header: str, row: str, service: str) -> None:
    path = csv(tmp_path, f"{header}\n{row.format('2026-01-01 00:00:00')}\n{row.format('2026-01-01 01:00:00')}\n")
    defaults = {k: v for k, v in SERIES.items() if not (k == "service" and "series" in header)}
    (batch,) = read(path, defaults=defaults)
    assert batch.table.schema == USAGE.schema
    first = batch.table.to_pylist()[0]
    assert first == {
        "source": "mine", "account_id": "1", "region": "us-east-1", "service": service, "metric": "requests_per_second",
        "stat": "avg", "period_seconds": 3600, "ts": datetime(2026, 1, 1, tzinfo=UTC), "value": 5.0, "unit": "1/s",
    }  # fmt: skip
    check_frame("usage", batch.table.to_pandas(), "test")


def test_columns_map_and_the_file_wins_over_a_default(tmp_path: Path) -> None:
    path = csv(tmp_path, "when,rps,svc,service,junk\n2026-01-01T00:00:00Z,1,a,x,9\n")
    (batch,) = read(
        path, columns={"ts": "when", "value": "rps", "service": "svc"}, defaults=SERIES | {"service": "nobody"}
    )
    assert batch.table["service"].to_pylist() == ["a"]
    assert "columns not used: junk, service" in batch.notes


def test_gzip_and_parquet_and_folder_give_the_same(tmp_path: Path) -> None:
    text = "ds,y\n2026-01-01,1.5\n2026-01-02,2.5\n"
    plain, packed, columnar = (tmp_path / n for n in ("plain", "packed", "columnar"))
    for folder in (plain, packed, columnar):
        folder.mkdir()
    csv(plain, text)
    (packed / "shop.csv.gz").write_bytes(gzip.compress(text.encode()))
    pq.write_table(
        pa.table({"ds": pa.array([datetime(2026, 1, 1), datetime(2026, 1, 2)], pa.timestamp("ns")), "y": [1.5, 2.5]}),
        columnar / "shop.parquet",
    )
    (plain / "_SUCCESS").touch()
    (plain / ".hidden.csv").touch()
    found = [read(f, defaults=SERIES) for f in (plain, packed, columnar)]
    assert [len(f) for f in found] == [1, 1, 1]
    assert found[0][0].table == found[1][0].table == found[2][0].table


def test_a_glob_over_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        csv(tmp_path / name, "ds,y\n2026-01-01,1\n", f"{name}.csv")
    batches = read(tmp_path / "**" / "*.csv", defaults=SERIES)
    assert [b.file for b in batches] == ["a/a.csv", "b/b.csv"]


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.csv", tmp_path / "*.csv", csv(tmp_path, "x", "notes.txt")):
        with pytest.raises(MissingDataError, match="source 'mine'"):
            read(path, defaults=SERIES)


def test_redating_moves_whole_weeks_and_says_so(tmp_path: Path) -> None:
    path = csv(tmp_path, "ds,y\n2016-10-03 05:00:00,1\n")
    (batch,) = read(path, defaults=SERIES, redate_weeks=520)
    row = batch.table.to_pylist()[0]
    assert row["ts"] == datetime(2016, 10, 3, 5, tzinfo=UTC) + timedelta(weeks=520)
    assert row["source"] == "mine (re-dated +520 weeks)"
    assert "re-dated: every time stamp shifted by +520 weeks" in batch.notes


def test_what_is_no_number_is_dropped_and_counted(tmp_path: Path) -> None:
    path = csv(tmp_path, "ds,y\n2026-01-01,1\n2026-01-02,\n2026-01-03,NaN\n2026-01-04,inf\n2026-01-05,NULL\n")
    (batch,) = read(path, defaults=SERIES)
    assert batch.table["value"].to_pylist() == [1.0]
    assert "value missing or not a finite number: dropped (4 rows)" in batch.notes


def test_identical_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    path = csv(tmp_path, "ds,y\n2026-01-01,1\n2026-01-02,2\n2026-01-01,1.0\n")
    (batch,) = read(path, defaults=SERIES)
    assert batch.table["value"].to_pylist() == [1.0, 2.0]
    assert "identical rows: dropped (1 rows)" in batch.notes


def test_rows_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    path = csv(tmp_path, "ds,y\n2026-01-01,1\n\n2026-01-02,2\n2026-01-02,3\n")
    with pytest.raises(CorruptDataError) as caught:
        read(path, defaults=SERIES)
    said = str(caught.value)
    assert str(path) in said
    assert "ts=2026-01-02T00:00:00+00:00" in said
    assert "line 4 says value=2.0; line 5 says value=3.0" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ds,y\n2026-01-01,1\n2026-13-01,2\n", "line 3: column ds: found '2026-13-01'"),
        ("ds,y\n2026-01-01,1\n2026-01-02,much\n", "line 3: column y: found 'much'"),
        ("ds,y\n2026-01-01,1\n,2\n", "line 3: column ts: found no value"),
        ("ds,y\n2026-01-01,1\n2026-01-02\n", ":3: 1 values, but the header names 2"),
        ("ds,y\n2026-01-01,1\n2026-01-02,2,3\n", ":3: 3 values, but the header names 2"),
        ("ds,z\n2026-01-01,1\n", "no column value for usage; the file has ds, z"),
        ("ds,ds,y\n2026-01-01,1,2\n", "column 'ds' stands twice"),
        ("", "empty file"),
    ],
)
def test_bad_files_name_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CorruptDataError, match=r".") as caught:
        read(csv(tmp_path, text), defaults=SERIES)
    assert said in str(caught.value)


def test_a_line_is_named_rightly_after_quoted_line_ends(tmp_path: Path) -> None:
    path = csv(tmp_path, 'ds,y,note\n2026-01-01,1,"two\nlines"\n2026-01-02,x,\n')
    with pytest.raises(CorruptDataError, match="line 4: column y"):
        read(path, defaults=SERIES, columns={"unit": "note"})


def test_not_utf8_and_not_parquet_and_cut_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("ds,größe\n2026-01-01,1\n".encode("latin-1"))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"ds,y\n" + b"2026-01-01,1\n" * 9)[:-12])
    with pytest.raises(CorruptDataError) as caught:
        read(tmp_path, defaults=SERIES)
    lines = str(caught.value).splitlines()
    assert [Path(line.split(":")[0]).name for line in lines] == ["a.csv", "b.parquet", "c.csv.gz"]


def test_a_bad_file_does_not_hide_the_good_ones(tmp_path: Path) -> None:
    csv(tmp_path, "ds,y\n2026-01-01,1\n", "a.csv")
    csv(tmp_path, "ds,y\n2026-01-01,x\n", "b.csv")
    csv(tmp_path, "ds,y\n2026-01-01,3\n", "c.csv")
    config = FileSource(kind="files", name="mine", frame="usage", path=str(tmp_path), defaults=SERIES)
    found: list[Batch] = []
    reading = build(config, Context(Path)).batches(None, NOW)
    with pytest.raises(CorruptDataError, match=r"b\.csv"):
        found.extend(reading)
    assert [b.file for b in found] == ["a.csv", "c.csv"]


def test_unknown_words_and_counts_are_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "ds,y\n2026-01-01,1\n")
    with pytest.raises(CorruptDataError, match="found 'mean'; allowed: one of avg, sum"):
        read(path, defaults=SERIES | {"stat": "mean"})
    with pytest.raises(CorruptDataError, match="seconds above 0"):
        read(path, defaults=SERIES | {"period_seconds": 0})
    with pytest.raises(CorruptDataError, match=r"defaults\.period_seconds: found 'hour'"):
        read(path, defaults=SERIES | {"period_seconds": "hour"})
    with pytest.raises(CorruptDataError, match="give 'unit' in 'defaults'"):
        read(path, defaults=SERIES | {"metric": "bananas"})


def test_every_other_frame(tmp_path: Path) -> None:
    texts = {
        "fleet": "ts,account_id,service,region,zone,instance_type,count,min,max,purchase\n"
        "2026-01-01T00:00:00Z,1,shop,us-east-1,us-east-1a,m7i.large,3.0,,9,on_demand\n",
        "commitments": "id,account_id,product,scope,region,sharing,hourly_usd,count,start,end\n"
        "sp-1,1,compute_sp,,,payer,1.25,0,2026-01-01T00:00:00Z,2027-01-01T00:00:00Z\n",
        "quotas": "account_id,region,code,name,limit,used\n1,us-east-1,L-1216C47A,standard vCPUs,640,200\n",
        "prices": "instance_type,region,os,tenancy,product,rate,currency,source,as_of\n"
        "m7i.large,us-east-1,Linux,Shared,on_demand,0.1008,USD,price list,2026-07-20\n",
    }
    for frame, text in texts.items():
        (batch,) = read(csv(tmp_path, text), frame)
        assert batch.table.schema == TABLES[frame].schema
        assert batch.table.num_rows == 1
        check_frame(frame, batch.table.to_pandas(), frame)
    assert batch.table["source"].to_pylist() == ["price list"]


# --- wall clocks -------------------------------------------------------------------------------------------

BERLIN = {"time_zone": "Europe/Berlin", "defaults": SERIES}


def test_the_hour_that_comes_twice(tmp_path: Path) -> None:
    """2026-10-25: 02:00 to 03:00 stands twice on a clock in Berlin."""
    path = csv(
        tmp_path,
        "ds,y\n2026-10-25 01:00,1\n2026-10-25 02:00,2\n2026-10-25 02:00,3\n2026-10-25 03:00,4\n",
    )
    (batch,) = read(path, **BERLIN)
    assert times(batch) == ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert batch.table["value"].to_pylist() == [1, 2, 3, 4]


def test_the_hour_that_comes_twice_by_series(tmp_path: Path) -> None:
    path = csv(tmp_path, "series,ts,value\na,2026-10-25 02:30,1\nb,2026-10-25 02:30,2\na,2026-10-25 02:30,3\n")
    (batch,) = read(path, **BERLIN)
    found = {(r["service"], r["value"]): r["ts"].hour for r in batch.table.to_pylist()}
    assert found == {("a", 1.0): 0, ("b", 2.0): 0, ("a", 3.0): 1}


def test_the_hour_that_never_was(tmp_path: Path) -> None:
    """2026-03-29: 02:00 to 03:00 is skipped in Berlin."""
    path = csv(tmp_path, "ds,y\n2026-03-29 01:00,1\n2026-03-29 02:00,2\n2026-03-29 03:00,3\n")
    (batch,) = read(path, **BERLIN)
    assert times(batch) == ["03-29 00:00", "03-29 01:00"]
    assert batch.table["value"].to_pylist() == [1, 3]
    assert "ts in an hour that Europe/Berlin skipped: moved to its end (1 rows)" in batch.notes
    assert "of these, dropped where that instant has a point of its own (1 rows)" in batch.notes


def test_a_midnight_that_never_was_keeps_its_day(tmp_path: Path) -> None:
    """Clocks in Santiago went from 23:59:59 to 01:00 at the start of 2023-09-03."""
    path = csv(tmp_path, "ds,y\n2023-09-02,1\n2023-09-03,2\n2023-09-04,3\n")
    (batch,) = read(path, time_zone="America/Santiago", defaults=SERIES | {"period_seconds": 86_400})
    assert batch.table["value"].to_pylist() == [1, 2, 3]
    assert times(batch) == ["09-02 04:00", "09-03 04:00", "09-04 03:00"]


def test_a_zone_in_the_file_wins(tmp_path: Path) -> None:
    path = csv(tmp_path, "ds,y\n2026-07-01T12:00:00Z,1\n2026-07-01T12:00:00+05:00,2\n2026-07-01T12:00:00,3\n")
    (batch,) = read(path, **BERLIN)
    assert times(batch) == ["07-01 12:00", "07-01 07:00", "07-01 10:00"]


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    st.integers(0, 400),
    st.integers(1, 60),
)
def test_every_hour_survives_the_way_over_the_wall_clock(
    tmp_path_factory: pytest.TempPathFactory, zone: str, first_day: int, days: int
) -> None:
    """Instants written as local time without zone come back as they were, repeated hours and all."""
    start = pd.Timestamp("2025-06-01", tz="UTC") + pd.Timedelta(days=first_day)
    # Lord Howe sets its clock back by half an hour: of two points an hour apart, one alone does not say which it is.
    step = pd.Timedelta(minutes=30 if zone == "Australia/Lord_Howe" else 60)
    instants = pd.date_range(start, periods=days * 24, freq=step)
    wall = instants.tz_convert(zone).tz_localize(None)
    path = tmp_path_factory.mktemp("clock") / "shop.csv"
    pd.DataFrame({"ds": wall, "y": np.arange(len(wall))}).to_csv(path, index=False)
    (batch,) = read(path, time_zone=zone, defaults=SERIES)
    assert list(pd.DatetimeIndex(batch.table["ts"].to_pandas())) == list(instants)


# --- real files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["daily", "hourly", "cloudwatch_14d"])
def test_real_series(real_data: Path, folder: str) -> None:
    batches = read(real_data / "usage" / folder, defaults=SERIES, redate_weeks=100)
    files = sorted((real_data / "usage" / folder).glob("*.csv"))
    assert len(batches) == len(files)
    for batch, file in zip(batches, files, strict=True):
        truth = pd.read_csv(file).dropna()
        assert batch.table.num_rows == len(truth)
        assert batch.table["value"].to_pandas().sum() == pytest.approx(truth["y"].sum(), rel=1e-12)
        assert set(batch.table["service"].to_pylist()) == {file.stem}
