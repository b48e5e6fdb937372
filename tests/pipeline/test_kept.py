"""Base forecasts on disk come back as they were, or not at all."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity.domain import LearnedEffect, LevelShift, MemberScore, PastMedians, SeriesForecast
from capacity.pipeline import kept

DAY = pd.Timestamp("2026-03-01")


def forecast(key: str, seed: int = 0, paths: int = 50, horizon: int = 9) -> SeriesForecast:
    rng = np.random.default_rng(seed)
    return SeriesForecast(
        key=key,
        freq="D",
        origin=DAY,
        index=pd.date_range(DAY, periods=horizon + 1, freq="D")[1:],
        quantiles=np.sort(rng.random((8, horizon)), axis=0),
        paths=rng.random((paths, horizon)).astype(np.float32),
        peak=np.sort(rng.random(8)),
        total=np.sort(rng.random(8)),
        model="combination of a, b",
        reason="why",
        scores=(MemberScore("a", 0.5, 0.25, 4),),
        flags=("one",),
        words=("grows 3 % a month",),
        past=PastMedians((DAY, DAY - pd.Timedelta(days=30)), rng.random((2, horizon)).astype(np.float32)),
        learned=(LearnedEffect("fair", "event", DAY, DAY, 2.0, 1.5, 2.5, 3, "learned"),),
        shifts=(LevelShift(DAY, 1.5, 0.9),),
    )


def keep(folder: Path | None, digest: str, *given: SeriesForecast) -> list[SeriesForecast]:
    with kept.Keeper(folder, digest) as keeper:
        return [keeper.add(one) for one in given]


def assert_same(a: SeriesForecast, b: SeriesForecast) -> None:
    """Every field there is, so that a new one cannot be forgotten."""
    for field in fields(SeriesForecast):
        mine, its = getattr(a, field.name), getattr(b, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == its.dtype, field.name
            np.testing.assert_array_equal(mine, its, err_msg=field.name)
        elif isinstance(mine, PastMedians):
            assert mine.origins == its.origins
            np.testing.assert_array_equal(mine.medians, its.medians)
        elif isinstance(mine, pd.Index):
            assert mine.equals(its), field.name
        else:
            assert mine == its, field.name


def test_every_field_comes_back_and_the_paths_stay_on_disk(tmp_path: Path) -> None:
    given = [forecast("a|mean", 1), replace(forecast("spend|b", 2, horizon=5), past=None, learned=(), shifts=())]
    for out in (keep(tmp_path, "d", *given), list((kept.read(tmp_path, "d") or {}).values())):
        assert len(out) == 2
        for one, back in zip(given, out, strict=True):
            assert_same(one, back)
            assert isinstance(back.paths, np.memmap)
            assert not back.paths.flags.writeable
    assert list(kept.read(tmp_path, "d") or {}) == ["a|mean", "spend|b"]


def test_without_a_folder_forecasts_are_handed_through(tmp_path: Path) -> None:
    one = forecast("a")
    assert keep(None, "d", one)[0] is one
    assert kept.read(None, "d") is None
    (tmp_path / "file").write_text("in the way")
    assert keep(tmp_path / "file" / "forecasts", "d", one)[0] is one


def test_what_failed_half_way_or_is_torn_is_none(tmp_path: Path) -> None:
    def failing() -> None:
        with kept.Keeper(tmp_path, "half") as keeper:
            keeper.add(forecast("a"))
            assert kept.read(tmp_path, "half") is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert kept.read(tmp_path, "half") is None
    keep(tmp_path, "d", forecast("a"))
    (paths,) = tmp_path.glob("d.*.paths")
    about = tmp_path / "d.npz"
    whole = about.read_bytes()
    for torn in (b"", whole[:50], whole[:-1], b"no archive at all"):
        about.write_bytes(torn)
        assert kept.read(tmp_path, "d") is None
    about.write_bytes(whole)
    assert kept.read(tmp_path, "d") is not None
    paths.write_bytes(paths.read_bytes()[:-4])
    assert kept.read(tmp_path, "d") is None
    paths.unlink()
    assert kept.read(tmp_path, "d") is None


def test_a_disk_that_fills_up_gives_the_forecasts_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [forecast(k, i) for i, k in enumerate("abc")]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with kept.Keeper(tmp_path, "d") as keeper:
        out = [keeper.add(given[0])]
        with monkeypatch.context() as patched:
            patched.setattr(keeper, "_written", full)
            out.append(keeper.add(given[1]))
        out.append(keeper.add(given[2]))
    for one, back in zip(given, out, strict=True):
        assert_same(one, back)
    assert kept.read(tmp_path, "d") is None


def test_two_processes_at_once_do_not_write_into_each_others_paths(tmp_path: Path) -> None:
    with kept.Keeper(tmp_path, "d") as two:
        with kept.Keeper(tmp_path, "d") as one:
            a, b = one.add(forecast("a", 1)), two.add(forecast("a", 2))
        assert_same((kept.read(tmp_path, "d") or {})["a"], a)
    assert_same(a, forecast("a", 1))
    assert_same(b, forecast("a", 2))
    assert_same((kept.read(tmp_path, "d") or {})["a"], b)


def test_the_newest_few_are_kept_and_no_paths_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned = tmp_path / "ended.xyz.paths"
    abandoned.write_bytes(b"left over")
    os.utime(abandoned, (0.0, 0.0))
    being_made = tmp_path / "now.xyz.paths"
    being_made.write_bytes(b"half")
    for i in range(kept.KEPT + 2):
        keep(tmp_path, f"d{i}", forecast("a", i))
        os.utime(tmp_path / f"d{i}.npz", (0.0, 1e9 + i))
    keep(tmp_path, "last", forecast("a"))
    assert len(list(tmp_path.glob("*.npz"))) == kept.KEPT
    assert len(list(tmp_path.glob("*.paths"))) == kept.KEPT + 1
    assert not abandoned.exists()
    assert being_made.exists()
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    keep(tmp_path, "large", forecast("a"))
    assert [p.stem for p in tmp_path.glob("*.npz")] == ["large"]
    assert kept.read(tmp_path, "large") is not None
