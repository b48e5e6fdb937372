"""The commands that need no config: CSV in, forecasts or commitment levels out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from capacity import forecast, optimize
from capacity.domain import QUANTILES, Floats, SeriesForecast
from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.pipeline.base import worker_count
from capacity.pipeline.explain import with_words
from capacity.pipeline.progress import Progress, silent

# Columns of the files written, and the quantiles they hold.
FILE_QUANTILES: Mapping[str, float] = {"q025": 0.025, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q975": 0.975}
SUMMARY_QUANTILES: Mapping[str, float] = {"q10": 0.1, "q50": 0.5, "q90": 0.9}
# History used at most, in steps: three years of days, or eight weeks of hours (older hours teach no shape).
LONGEST = {"D": 1095, "h": 1344 * 2}

# Steps before and after a named window that may be touched too: a day, two hours.
RAMP_STEPS = {"D": 1, "h": 2}


@dataclass(frozen=True)
class Window:
    """A row of an events file: without ``multiplier`` it is masked, or learned from where a coming row has its name."""

    series: str | None
    start: pd.Timestamp
    end: pd.Timestamp
    multiplier: float | None
    name: str | None = None


def forecast_files(
    usage: Path,
    out: Path,
    *,
    freq: Literal["D", "h"],
    horizon: int,
    limits: Path | None = None,
    events: Path | None = None,
    paths: int = 1000,
    as_of: datetime | None = None,
    seed: int = 1,
    past_origins: int = 4,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> dict[str, SeriesForecast]:
    """Forecast every series of a CSV and write forecast.csv, summary.csv and, with limits, saturation.csv.

    Parameters
    ----------
    usage
        CSV with columns series, ts, value. Zone-less time stamps are taken as they are, others as UTC.
    limits
        CSV with columns series, limit.
    events
        CSV with columns start, end and optionally series, multiplier and name: windows of the past are masked, windows
        of the horizon with a multiplier are applied to the forecast without them. A window of the horizon with a name
        and no multiplier has the effect that past windows of its name had.
    workers, scheduler
        Processes at home, one a core where None; or the address of a Dask scheduler.

    Raises
    ------
    UsageError
        A file that does not exist, a frequency or horizon that makes no sense.
    CorruptDataError
        Columns missing or values that cannot be read; the message names file, column and row.
    MissingDataError
        No series has any value.
    """
    if horizon < 1:
        raise UsageError(f"--horizon: found {horizon}; allowed: 1 or more steps")
    histories = until(read_series(usage), as_of)
    windows = _read_windows(events) if events else ()
    levels = _read_limits(limits, histories) if limits else {}
    masks, occasions = _masks(histories, windows), _occasions(histories, windows, freq)
    known = forecast.forecast_batch(
        histories,
        freq=freq,
        horizon=horizon,
        n_paths=paths,
        seed=seed,
        past_origins=past_origins,
        workers=worker_count(workers),
        scheduler=scheduler,
        max_history=LONGEST[freq],
        masks=masks,
        occasions=occasions,
        progress=lambda done, total, _: progress("forecast", done, total),
    )
    known = {key: _with_windows(f, windows) for key, f in known.items()}
    known = with_words(known, histories, masks, occasions, workers=worker_count(workers))
    write_forecasts(known, out, levels if limits else None)
    return known


def write_forecasts(known: Mapping[str, SeriesForecast], out: Path, limits: Mapping[str, float] | None = None) -> None:
    """Write forecast.csv, summary.csv and, with limits, saturation.csv into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    _forecast_frame(known).to_csv(out / "forecast.csv", index=False)
    _summary_frame(known).to_csv(out / "summary.csv", index=False)
    if limits is not None:
        _saturation_frame(known, limits).to_csv(out / "saturation.csv", index=False)


def commitment_files(
    demand: Path, out: Path, *, rate: float, term_days: int, as_of: datetime | None = None
) -> pd.DataFrame:
    """Commitment levels for an hourly CSV (series, ts, value), and what to expect of each.

    Writes commitment.csv (series, level), and commitment_outlook.csv, which is returned: beside them the columns of
    :class:`capacity.optimize.CommitmentOutlook`.

    Raises
    ------
    UsageError, CorruptDataError, MissingDataError
        As for :func:`forecast_files`; also where ``rate`` is not inside (0, 1) or ``term_days`` is below 1.
    """
    if not 0 < rate < 1:
        raise UsageError(f"--rate: found {rate}; allowed: the committed price as a share of on demand, inside (0, 1)")
    if term_days < 1:
        raise UsageError(f"--term-days: found {term_days}; allowed: 1 or more")
    histories = until(read_series(demand), as_of)
    rows = [{"series": n, **asdict(optimize.commitment_outlook(s, rate, term_days))} for n, s in histories.items()]
    frame = pd.DataFrame(rows).astype({"break_even_day": "Int64"})
    out.mkdir(parents=True, exist_ok=True)
    frame[["series", "level"]].to_csv(out / "commitment.csv", index=False)
    frame.to_csv(out / "commitment_outlook.csv", index=False)
    return frame


# --- reading -----------------------------------------------------------------------------------------------


def read_series(path: Path) -> dict[str, pd.Series]:
    """Series of a CSV with columns series, ts, value, in the order of their names; time stamps without zone."""
    frame = _read_csv(path, ("series", "ts", "value"))
    frame["ts"] = _times(frame["ts"], path, "ts")
    frame["value"] = _numbers(frame["value"], path, "value")
    if frame.empty:
        raise MissingDataError(f"{path}: no row; one row a series and time stamp is needed")
    return {str(name): rows.set_index("ts")["value"].sort_index() for name, rows in frame.groupby("series", sort=True)}


def until(histories: Mapping[str, pd.Series], as_of: datetime | None) -> dict[str, pd.Series]:
    """What was known before ``as_of``; all where it is None."""
    if as_of is None:
        return dict(histories)
    moment = pd.Timestamp(as_of).tz_convert("UTC").tz_localize(None)
    return {name: s[s.index < moment] for name, s in histories.items()}


def _read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        frame = pd.read_csv(path, dtype={"series": str})
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise CorruptDataError(f"{path}: not a CSV file ({error})") from None
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        found = ", ".join(map(str, frame.columns))
        raise CorruptDataError(f"{path}: columns missing: {', '.join(missing)}; found: {found}")
    return frame


def _times(column: pd.Series, path: Path, name: str) -> pd.Series:
    times = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
    bad = times.isna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise CorruptDataError(f"{path}: row {row + 2}: {name}: found {column.iloc[row]!r}; allowed: an ISO time stamp")
    return times.dt.tz_localize(None)


def _numbers(column: pd.Series, path: Path, name: str) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce")
    bad = values.isna() & column.notna()
    bad |= np.isinf(values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise CorruptDataError(f"{path}: row {row + 2}: {name}: found {column.iloc[row]!r}; allowed: a finite number")
    return values.astype(float)


def _read_limits(path: Path, histories: Mapping[str, pd.Series]) -> dict[str, float]:
    frame = _read_csv(path, ("series", "limit"))
    levels = dict(zip(frame["series"].astype(str), _numbers(frame["limit"], path, "limit"), strict=True))
    without = sorted(set(histories) - set(levels))
    if without:
        raise CorruptDataError(
            f"{path}: no limit for {', '.join(without[:5])}; give one row a series of the usage file"
        )
    return levels


def _read_windows(path: Path) -> tuple[Window, ...]:
    frame = _read_csv(path, ("start", "end"))
    starts, ends = _times(frame["start"], path, "start"), _times(frame["end"], path, "end")
    factors = _numbers(frame.get("multiplier", pd.Series(np.nan, index=frame.index)), path, "multiplier")
    series, names = (
        [None if pd.isna(x) or not str(x).strip() else str(x).strip() for x in frame.get(column, [None] * len(frame))]
        for column in ("series", "name")
    )
    return tuple(
        Window(key, s, e, None if pd.isna(m) else float(m), name)
        for key, s, e, m, name in zip(series, starts, ends, factors, names, strict=True)
    )


# --- events ------------------------------------------------------------------------------------------------


def _masks(
    histories: Mapping[str, pd.Series], windows: tuple[Window, ...]
) -> dict[str, list[tuple[pd.Timestamp, pd.Timestamp]]]:
    """Past windows by series, but for those that a coming one is learned from."""
    out = {}
    for key, values in histories.items():
        mine, learned = _of(windows, key), _learned_names(windows, key, values)
        out[key] = [(w.start, w.end) for w in mine if w.start <= values.index[-1] and w.name not in learned]
    return out


def _occasions(
    histories: Mapping[str, pd.Series], windows: tuple[Window, ...], freq: Literal["D", "h"]
) -> dict[str, list[forecast.Occasion]]:
    """Named windows of which a coming one gives no multiplier: past ones teach it. One that gives one keeps it."""
    out = {}
    for key, values in histories.items():
        out[key] = [
            forecast.Occasion(
                name,
                "event",
                tuple(sorted((w.start, w.end) for w in _of(windows, key)
                             if w.name == name and (w.multiplier is None or w.start <= values.index[-1]))),
                ramp_steps=RAMP_STEPS[freq],
            )
            for name in sorted(_learned_names(windows, key, values))
        ]  # fmt: skip
    return out


def _learned_names(windows: tuple[Window, ...], key: str, values: pd.Series) -> set[str]:
    mine = [w for w in _of(windows, key) if w.name is not None]
    return {str(w.name) for w in mine if w.multiplier is None and w.start > values.index[-1]}


def _of(windows: tuple[Window, ...], key: str) -> list[Window]:
    return [w for w in windows if w.series in (None, key)]


def _with_windows(known: SeriesForecast, windows: tuple[Window, ...]) -> SeriesForecast:
    factor: Floats = np.ones(len(known.index))
    for w in windows:
        if w.multiplier is not None and w.series in (None, known.key):
            factor[(known.index >= w.start) & (known.index <= w.end)] = w.multiplier
    if (factor == 1.0).all():
        return known
    paths = (known.paths * factor).astype(np.float32)
    return replace(
        known,
        paths=paths,
        quantiles=known.quantiles * factor,
        peak=np.quantile(paths.max(axis=1), QUANTILES),
        total=np.quantile(paths.sum(axis=1), QUANTILES),
    )


# --- frames ------------------------------------------------------------------------------------------------


def _at(values: Floats, level: float) -> Floats:
    return np.asarray(values[QUANTILES.index(level)])


def _forecast_frame(known: Mapping[str, SeriesForecast]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"series": key, "ts": f.index} | {c: _at(f.quantiles, p) for c, p in FILE_QUANTILES.items()})
        for key, f in known.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _summary_frame(known: Mapping[str, SeriesForecast]) -> pd.DataFrame:
    rows = []
    for key, f in known.items():
        row: dict[str, object] = {"series": key, "model": f.model}
        for name, values in (("peak", f.peak), ("total", f.total)):
            row |= {f"{name}_{c}": float(_at(values, p)) for c, p in SUMMARY_QUANTILES.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _saturation_frame(known: Mapping[str, SeriesForecast], limits: Mapping[str, float]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"series": key, "ts": f.index, "probability": forecast.crossing(f, limits[key])})
        for key, f in known.items()
    ]
    return pd.concat(parts, ignore_index=True)
