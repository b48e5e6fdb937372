"""Stored forecasts against what came: error, bias and coverage by lead time, and whether the errors have drifted.

Everything here is sums over (series, lead, origin, block of the calendar), so forecasts may be tallied a few origins at
a time (:func:`tally`) and scored together (:func:`score`); :func:`scores` does both. Frames are zone-less days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import QUANTILE_COLUMNS, QUANTILES, Floats
from capacity.forecast._drift import COMPONENTS, STAGES, alarms, bets

SERIES = ("service", "region", "metric", "target")
# Days ahead, both ends included; the last is open.
LEADS: tuple[tuple[str, int], ...] = (("1-7", 7), ("8-30", 30), ("31-60", 60), ("61-90", 90), ("91+", 10**6))
# Errors of one forecast hang together for about as long as it looks ahead, and so do errors of forecasts of the same
# days from neighbouring origins. Standard errors are therefore of blocks of the calendar as long as the lead.
BLOCK_DAYS: tuple[int, ...] = (14, 30, 60, 90, 182)
# One step of a day.
_DAY = pd.Timedelta(days=1)
_SUMS = ("n", "apes", "ape", "miss", "signed", "actual", "promised", "c80", "c95", "pinball")

LEAD_COLUMNS = (*SERIES, "lead", "n", "origins", "blocks", "wape", "mape", "variance_frac", "bias_frac", "c80",
                "c80_se", "c95", "c95_se", "pinball_frac")  # fmt: skip
POOLED_COLUMNS = ("target", "lead", "series", "n", "blocks", "wape", "variance_frac", "bias_frac", "c80", "c80_se",
                  "c95", "c95_se", "pinball_frac")  # fmt: skip


@dataclass(frozen=True)
class Tally:
    """Sums over the days whose actuals are in; two tallies of different origins are added by :func:`joined`.

    ``sums``: a row a series, lead, origin and block. ``stages``: a row a series, origin and number of days looked
    ahead, with the means that the drift alarm bets on.
    """

    sums: pd.DataFrame
    stages: pd.DataFrame


@dataclass(frozen=True)
class LiveScores:
    """How stored forecasts did.

    Attributes
    ----------
    by_lead
        :data:`LEAD_COLUMNS`, a row a series and lead. n: days scored; origins; blocks: independent pieces of the
        calendar, on which the standard errors stand (NaN below two). wape: sum of |actual - P50| over sum of |actual|;
        mape: mean of |actual - P50| / |actual|; variance_frac: |sum of actual - sum of P50| / sum of P50, as FinOps
        has it, mean over origins; bias_frac: sum of (actual - P50) over sum of P50, above 0 where more came than was
        promised; c80, c95: share within the interval; pinball_frac: mean pinball loss of all stored quantiles over the
        mean of |actual|.
    pooled
        :data:`POOLED_COLUMNS`, a row a target and lead: coverage over all days of all series, with blocks that run
        through all series, since a bad week is bad for many; errors are means over series.
    alarms
        See :func:`capacity.forecast._drift.alarms`: a row a series that is watched.
    """

    by_lead: pd.DataFrame
    pooled: pd.DataFrame
    alarms: pd.DataFrame


def scores(forecast: pd.DataFrame, actual: pd.DataFrame, as_of: datetime) -> LiveScores:
    """Score stored daily forecasts.

    Parameters
    ----------
    forecast
        :data:`SERIES`, origin_ts, ts and a column a quantile (:data:`capacity.domain.QUANTILE_COLUMNS`); days.
    actual
        :data:`SERIES`, ts, value: complete days only. A day that is missing is not scored.
    as_of
        Nothing later is seen: neither an origin nor a day that had not ended.
    """
    return score(tally(forecast, actual, as_of), as_of)


def tally(forecast: pd.DataFrame, actual: pd.DataFrame, as_of: datetime) -> Tally:
    """The sums of :func:`scores` for some of the origins."""
    now = pd.Timestamp(as_of).tz_localize(None)
    seen = forecast[(forecast["origin_ts"] <= now) & (forecast["ts"] + _DAY <= now)]
    met = seen.merge(actual.dropna(subset="value"), on=[*SERIES, "ts"], how="inner")
    if met.empty:
        return Tally(pd.DataFrame(columns=[*SERIES, "bucket", "origin_ts", "block", *_SUMS]),
                     pd.DataFrame(columns=[*SERIES, "origin_ts", "stage", *COMPONENTS, "bias"]))  # fmt: skip
    ahead = (met["ts"] - met["origin_ts"]).dt.days.to_numpy()
    rows = met[[*SERIES, "origin_ts", "ts"]].assign(ahead=ahead, **_measures(met))
    known_to = actual.dropna(subset="value").groupby(list(SERIES))["ts"].max().rename("known_to")
    return Tally(_sums(rows), _stages(rows.merge(known_to.reset_index(), on=list(SERIES), how="left"), met))


def joined(parts: Sequence[Tally]) -> Tally:
    """Tallies of different origins as one."""
    if not parts:
        raise ValueError("no tally to join")
    full = [p for p in parts if len(p.sums)] or list(parts[:1])
    return Tally(
        pd.concat([p.sums for p in full], ignore_index=True), pd.concat([p.stages for p in full], ignore_index=True)
    )


def score(found: Tally, as_of: datetime) -> LiveScores:
    """The scores of a tally."""
    by_lead = _by_lead(found.sums)
    return LiveScores(by_lead, _pooled(found.sums, by_lead), alarms(found.stages, as_of))


# --- sums --------------------------------------------------------------------------------------------------


def _measures(met: pd.DataFrame) -> dict[str, Floats]:
    y, q = met["value"].to_numpy(float), met[list(QUANTILE_COLUMNS)].to_numpy(float)
    at = {name: q[:, i] for i, name in enumerate(QUANTILE_COLUMNS)}
    apart = y[:, None] - q
    levels = np.array(QUANTILES)
    miss = np.abs(y - at["q50"])
    some = y != 0
    return {
        "n": np.ones(len(y)),
        "apes": some.astype(float),
        "ape": np.divide(miss, np.abs(y), out=np.zeros(len(y)), where=some),
        "miss": miss,
        "signed": y - at["q50"],
        "actual": np.abs(y),
        "promised": at["q50"],
        "c80": ((y >= at["q10"]) & (y <= at["q90"])).astype(float),
        "c95": ((y >= at["q025"]) & (y <= at["q975"])).astype(float),
        "pinball": np.maximum(levels * apart, (levels - 1.0) * apart).mean(axis=1),
    }


def _sums(rows: pd.DataFrame) -> pd.DataFrame:
    bucket = np.searchsorted([last for _, last in LEADS], rows["ahead"].to_numpy())
    number = (rows["ts"].to_numpy("datetime64[D]").astype(np.int64)) // np.array(BLOCK_DAYS)[bucket]
    keyed = rows.assign(bucket=bucket, block=number)
    return keyed.groupby([*SERIES, "bucket", "origin_ts", "block"], sort=True)[list(_SUMS)].sum().reset_index()


def _stages(rows: pd.DataFrame, met: pd.DataFrame) -> pd.DataFrame:
    """Means of the bets over the first 7, 14, ... days of each origin, where most of these days are known."""
    values = bets(met["value"].to_numpy(float), met[list(QUANTILE_COLUMNS)].to_numpy(float))
    keyed = rows[[*SERIES, "origin_ts", "ahead", "signed", "promised", "known_to"]].assign(**values)
    out = []
    for stage in STAGES:
        part = keyed[keyed["ahead"] <= stage]
        if part.empty:
            continue
        found = part.groupby([*SERIES, "origin_ts"], sort=True).agg(
            **{name: (name, "mean") for name in COMPONENTS},
            days=("ahead", "size"), signed=("signed", "sum"), promised=("promised", "sum"),
            known_to=("known_to", "first"),
        ).reset_index()  # fmt: skip
        over = found["known_to"] >= found["origin_ts"] + pd.Timedelta(days=stage)
        done = over & (found["days"] >= stage / 2)
        bias = found["signed"] / found["promised"].where(found["promised"] != 0)
        out.append(found.assign(stage=stage, bias=bias)[done])
    columns = [*SERIES, "origin_ts", "stage", *COMPONENTS, "bias"]
    return pd.concat(out, ignore_index=True)[columns] if out else pd.DataFrame(columns=columns)


# --- scores ------------------------------------------------------------------------------------------------


def _by_lead(sums: pd.DataFrame) -> pd.DataFrame:
    key = [*SERIES, "bucket"]
    total = sums.groupby(key, sort=True)[list(_SUMS)].sum()
    origins = sums.groupby([*key, "origin_ts"], sort=True)[["signed", "promised"]].sum()
    blocks = sums.groupby([*key, "block"], sort=True)[["n", "c80", "c95"]].sum()
    number = blocks.droplevel("block").index
    at = total.index.get_indexer(number)
    errors = {c: coverage_errors(blocks[c].to_numpy(float), blocks["n"].to_numpy(float), at) for c in ("c80", "c95")}
    promised = origins["promised"].abs()
    variance = (origins["signed"].abs() / promised.where(promised > 0)).groupby(level=key, sort=True).mean()
    out = total.index.to_frame(index=False).assign(
        lead=[_lead(b) for b in total.index.get_level_values("bucket")],
        n=total["n"].to_numpy().astype(np.int64),
        origins=origins.groupby(level=key, sort=True).size().to_numpy(),
        blocks=np.bincount(at, minlength=len(total)),
        wape=_ratios(total["miss"], total["actual"]),
        mape=_ratios(total["ape"], total["apes"]),
        variance_frac=variance.to_numpy(),
        bias_frac=_ratios(total["signed"], total["promised"]),
        c80=_ratios(total["c80"], total["n"]),
        c80_se=errors["c80"],
        c95=_ratios(total["c95"], total["n"]),
        c95_se=errors["c95"],
        pinball_frac=_ratios(total["pinball"], total["actual"]),
    )
    return out[list(LEAD_COLUMNS)]


def _ratios(over: pd.Series, under: pd.Series) -> Floats:
    return np.asarray((over / under.where(under != 0)).to_numpy(float), dtype=float)


def _pooled(sums: pd.DataFrame, by_lead: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (target, bucket), part in sums.groupby(["target", "bucket"], sort=True):
        name = _lead(bucket)
        single = by_lead[(by_lead["target"] == target) & (by_lead["lead"] == name)]
        blocks = part.groupby("block")[["n", "c80", "c95"]].sum()
        n = blocks["n"].sum()
        errors = single[["wape", "variance_frac", "bias_frac", "pinball_frac"]].mean()
        rows.append(
            (target, name, len(single), int(n), len(blocks), errors["wape"], errors["variance_frac"],
             errors["bias_frac"], blocks["c80"].sum() / n, coverage_error(blocks["c80"], blocks["n"]),
             blocks["c95"].sum() / n, coverage_error(blocks["c95"], blocks["n"]), errors["pinball_frac"])
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(POOLED_COLUMNS))


def _lead(bucket: Any) -> str:
    return LEADS[int(bucket)][0]


def coverage_error(hits: npt.ArrayLike, n: npt.ArrayLike) -> float:
    """Standard error of sum(hits) / sum(n), where only the blocks are independent of each other.

    NaN below two blocks. Where all blocks agree (all days covered, or none) the blocks' own scatter says 0, which
    nobody should believe: then it is that of one more block of the other kind.

    >>> round(coverage_error([7, 5, 6, 6], [7, 7, 7, 7]), 3)
    0.058
    >>> round(coverage_error([7, 7, 7], [7, 7, 7]), 3)
    0.25
    """
    covered, days = np.asarray(hits, float), np.asarray(n, float)
    return float(coverage_errors(covered, days, np.zeros(len(days), dtype=np.intp))[0])


def coverage_errors(covered: Floats, days: Floats, group: npt.NDArray[np.intp]) -> Floats:
    """:func:`coverage_error` of many at once: ``group`` says whose block each is, counted from 0 without a gap."""
    count, total = np.bincount(group).astype(float), np.bincount(group, days)
    share = np.bincount(group, covered) / total
    off = np.bincount(group, (covered - share[group] * days) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        scatter = np.sqrt(off * count / (count - 1)) / total
    one_more = (share * count + (1.0 - share)) / (count + 1)
    certain = (share == 0.0) | (share == 1.0)
    return np.where(count < 2, np.nan, np.where(certain, np.sqrt(one_more * (1.0 - one_more) / count), scatter))
