"""Totals of a bill: exact ones that include every row, and reported ones that count nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from capacity.costs._columns import column_or_null, encode, encode_month, group_rows
from capacity.costs._money import sums_by_group, to_decimals, to_units
from capacity.costs.attribution import GROUP_KEY
from capacity.schemas import COST_MONEY
from capacity.words import day

# Usage that begins or ends this near to the edge of a month is the whole month's: some charges come in late.
_EDGE = timedelta(days=2)
# source -> charge month -> its first and last moment of usage
_Spans = Mapping[str, Mapping[str, tuple[datetime, datetime]]]


def bill_totals(cost: pa.Table) -> pd.DataFrame:
    """The invoice view: every row, by source, billing account, billing period and currency.

    Returns
    -------
    DataFrame
        source, BillingAccountId, BillingPeriodStart (UTC), BillingCurrency, rows, then for each of the four cost
        columns its sum (Decimal, nulls as zero) and ``<column>_nulls``; ordered by the key.
    """
    keys = {n: encode(cost.column(n)) for n in GROUP_KEY}
    grouping = group_rows([(c.codes, c.cardinality) for c in keys.values()], cost.num_rows)
    sums = sums_by_group(cost, grouping.group, grouping.count, COST_MONEY)
    out = pd.DataFrame({n: c.take(grouping.first_row).to_pandas() for n, c in keys.items()})
    out["rows"] = sums["rows"].to_numpy()
    for name in COST_MONEY:
        out[name] = pd.Series(to_decimals(sums[name]), dtype=object)
        out[f"{name}_nulls"] = sums[f"{name}_nulls"].to_numpy()
    return out.sort_values(list(GROUP_KEY), ignore_index=True)


def bill_units(
    table: pa.Table, columns: Sequence[str] = COST_MONEY
) -> dict[tuple[object, ...], tuple[tuple[int, ...], tuple[int, ...]]]:
    """The same in whole units of 1e-12: sums of ``columns`` and their nulls by source, account, period, currency."""
    keys = [encode(table.column(n)) for n in GROUP_KEY]
    grouping = group_rows([(c.codes, c.cardinality) for c in keys], table.num_rows)
    sums = sums_by_group(table, grouping.group, grouping.count, columns)
    money = zip(*(to_units(sums[c]) for c in columns), strict=True)
    nulls = zip(*(sums[f"{c}_nulls"].to_pylist() for c in columns), strict=True)
    named = zip(*(c.take(grouping.first_row).to_pylist() for c in keys), strict=True)
    return dict(zip(named, zip(money, nulls, strict=True), strict=True))


def reported_list(
    cost: pa.Table, leave_out: Literal["purchases", "covered_usage"] = "purchases", by: Sequence[str] = ()
) -> pd.DataFrame:
    """List and Contracted totals that a report may show, by charge month and currency.

    A commitment's purchase and the usage it covers both carry a list and a contracted cost. FOCUS says to leave out
    one of the two when these columns are added up: the purchases for a view of what was used, the covered usage
    (the unused part is of it) for a view of what was bought. BilledCost and EffectiveCost need no such care.

    Parameters
    ----------
    leave_out
        "purchases": rows of ChargeCategory Purchase that have a CommitmentDiscountId;
        "covered_usage": rows of ChargeCategory Usage that have one.
    by
        More columns to group by, e.g. ("ServiceName",).

    Returns
    -------
    DataFrame
        month (YYYY-MM), currency, the columns of ``by``, ListCost, ContractedCost (Decimal), rows, left_out_rows.
    """
    out_rows = _commitment_rows(cost, "Purchase" if leave_out == "purchases" else "Usage")
    keys = {"month": encode_month(cost.column("ChargePeriodStart")), "currency": encode(cost.column("BillingCurrency"))}
    keys |= {n: encode(column_or_null(cost, n)) for n in by}
    grouping = group_rows([(c.codes, c.cardinality) for c in keys.values()], cost.num_rows)
    kept = np.flatnonzero(~out_rows)
    used, group = np.unique(grouping.group[kept], return_inverse=True)
    sums = sums_by_group(cost.take(pa.array(kept)), group.astype(np.int64), len(used), ("ListCost", "ContractedCost"))
    out = pd.DataFrame({n: c.take(grouping.first_row[used]).to_pylist() for n, c in keys.items()})
    for name in ("ListCost", "ContractedCost"):
        out[name] = pd.Series(to_decimals(sums[name]), dtype=object)
    out["rows"] = sums["rows"].to_numpy()
    out["left_out_rows"] = np.bincount(grouping.group[out_rows], minlength=grouping.count)[used]
    return out.sort_values(list(keys), ignore_index=True)


def _commitment_rows(cost: pa.Table, category: str) -> npt.NDArray[np.bool_]:
    charge = encode(column_or_null(cost, "ChargeCategory"))
    commitment = encode(column_or_null(cost, "CommitmentDiscountId"))
    out: npt.NDArray[np.bool_] = (charge.codes == charge.code_of(category)) & (commitment.codes > 0)
    return out


def closed_months(cost: pa.Table, as_of: datetime) -> tuple[str, ...]:
    """Billing months (YYYY-MM) that had ended at ``as_of`` (with a zone), in order."""
    ends = encode(cost.column("BillingPeriodEnd"))
    starts = encode_month(cost.column("BillingPeriodStart"))
    grouping = group_rows([(ends.codes, ends.cardinality), (starts.codes, starts.cardinality)], cost.num_rows)
    pairs = zip(starts.take(grouping.first_row).to_pylist(), ends.take(grouping.first_row).to_pylist(), strict=True)
    return tuple(sorted({month for month, end in pairs if end <= as_of}))


def partial_months(cost: pa.Table, months: Sequence[str]) -> dict[str, str]:
    """Closed months that the bill holds only in part, and what is to be said of each.

    A source's bill begins inside a month where it has no usage in the month before, its first is more than two days
    after the month's start, and the month after has usage from its start on; that it ends inside a month is told
    likewise. Of the newest month with usage of any source, those lack that have usage in both months before and none
    in it.

    Parameters
    ----------
    cost
        A table of schemas.COST.
    months
        Closed months (YYYY-MM), of :func:`closed_months`; charge months of usage are compared with them.

    Returns
    -------
    dict
        Month -> a sentence; nothing of months that are whole as far as the bill tells.
    """
    spans = _usage_spans(cost)
    wanted = [m for m in sorted(months) if any(m in of for of in spans.values())]
    found = {m: [text for source in sorted(spans) for text in _lacks(source, spans[source], m)] for m in wanted}
    for source in sorted(spans) if wanted else ():
        before = (_shifted(wanted[-1], -2), _shifted(wanted[-1], -1))
        if wanted[-1] not in spans[source] and all(m in spans[source] for m in before):
            found[wanted[-1]].append(f"the bill of {source} has no usage in {wanted[-1]}, but in both months before")
    return {m: "; ".join(texts) + ": the month is not whole" for m, texts in found.items() if texts}


def _lacks(source: str, of: Mapping[str, tuple[datetime, datetime]], month: str) -> Iterator[str]:
    before, after = _shifted(month, -1), _shifted(month, 1)
    if month not in of:
        return
    first, last = of[month]
    if before not in of and after in of and first > _start(month) + _EDGE and of[after][0] <= _start(after) + _EDGE:
        yield f"the bill of {source} begins on {day(first.date())}"
    if after not in of and before in of and last < _start(after) - _EDGE and of[before][1] >= _start(month) - _EDGE:
        yield f"the bill of {source} ends on {day((last - timedelta(microseconds=1)).date())}"


def _usage_spans(cost: pa.Table) -> _Spans:
    names = ("source", "ChargePeriodStart", "ChargePeriodEnd")
    category = encode(column_or_null(cost, "ChargeCategory"))
    usage = cost.select(names).filter(pa.array(category.codes == category.code_of("Usage")))
    stamps = {n: usage.column(n).cast(pa.timestamp("us", tz="UTC")) for n in names[1:]}
    source, month = encode(usage.column("source")), encode_month(usage.column("ChargePeriodStart"))
    keyed = pa.table({"source": source.codes, "month": month.codes, "start": stamps[names[1]], "end": stamps[names[2]]})
    rows = keyed.group_by(["source", "month"]).aggregate([("start", "min"), ("end", "max")]).to_pylist()
    out: dict[str, dict[str, tuple[datetime, datetime]]] = {}
    for row in rows:
        if row["source"] and row["month"]:
            name, when = source.distinct[row["source"] - 1].as_py(), month.distinct[row["month"] - 1].as_py()
            out.setdefault(name, {})[when] = (row["start_min"], row["end_max"] or row["start_min"])
    return out


def _start(month: str) -> datetime:
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)


def _shifted(month: str, by: int) -> str:
    number = int(month[:4]) * 12 + int(month[5:]) - 1 + by
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
