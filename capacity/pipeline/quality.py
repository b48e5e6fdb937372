"""What is odd in the data, as the plan carries it: told from stored usage, and told when bills and usage came in."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity import quality as rules
from capacity.plan import FRAMES
from capacity.quality import DataFinding
from capacity.schemas import SEVERITIES

TWICE = "two_sources"


def quality(usage: pa.Table, cost: pa.Table, stored: pa.Table, as_of: datetime) -> pd.DataFrame:
    """Findings in the columns of the plan's frame ``quality``, the gravest first.

    Parameters
    ----------
    usage
        All stored usage; nothing from ``as_of`` on is looked at.
    cost
        The bills that had begun at ``as_of``.
    stored
        The store's ``findings`` table; what speaks of a moment from ``as_of`` on is left out.
    """
    limit = pa.scalar(as_of, stored.schema.field("ts").type)
    stored = stored.filter(pc.fill_null(pc.less(stored["ts"], limit), True))
    before = usage.filter(pc.less(usage["ts"], pa.scalar(as_of, usage.schema.field("ts").type)))
    told = rules.findings_table([*rules.usage_findings(before), *billed_twice(cost)])
    frame = _by_rule(pa.concat_tables([told, stored.select(told.schema.names).cast(told.schema)]).to_pandas())
    rank = {severity: i for i, severity in enumerate(SEVERITIES)}
    keys = ["frame", "source", "scope", "rule"]
    order = frame.assign(rank=frame["severity"].map(rank)).sort_values(["rank", *keys], kind="stable").index
    ordered: pd.DataFrame = frame.loc[order, list(FRAMES["quality"])].reset_index(drop=True)
    return ordered


def billed_twice(cost: pa.Table) -> list[DataFinding]:
    """Accounts whose billing period came from more than one source: their cost counts more than once."""
    keys = ["BillingAccountId", "BillingPeriodStart"]
    grouped = cost.select(["source", *keys]).group_by(["source", *keys]).aggregate([([], "count_all")]).to_pandas()
    out = []
    for account, rows in grouped.groupby("BillingAccountId", sort=True, observed=True):
        several = rows.groupby("BillingPeriodStart", observed=True)["source"].nunique()
        months = sorted(several[several > 1].index)
        if months:
            twice = rows[rows["BillingPeriodStart"].isin(months)]
            names = ", ".join(sorted(twice["source"].unique()))
            span = f"{months[0]:%Y-%m} to {months[-1]:%Y-%m}"
            text = (
                f"account {account} comes from {names} in {len(months)} months, {span}: its cost counts more than once"
            )
            count = int(twice["count_all"].sum())
            out.append(
                DataFinding(names, "cost", str(account), TWICE, "error", count, int(grouped["count_all"].sum()), text)
            )
    return out


def _by_rule(frame: pd.DataFrame) -> pd.DataFrame:
    """Findings of bills once a rule: the files of a source break the same rules in the same way."""
    of_files = (frame["frame"] == "cost") & (frame["rule"] != TWICE)
    bills = frame[of_files]
    if bills.empty:
        return frame
    grouped = bills.groupby(["source", "frame", "rule", "severity"], sort=True, as_index=False)
    first = grouped.first()
    counts = grouped.agg(rows=("rows", "sum"), of=("of", "sum"), files=("scope", "nunique"))
    others = counts["files"] - 1
    first["scope"] = first["scope"] + others.map(lambda n: f" and {n} more" if n else "")
    first["rows"], first["of"] = counts["rows"], counts["of"]
    return pd.concat([frame[~of_files], first[frame.columns]], ignore_index=True)
