"""Commitments that end soon, and what that costs a month if nothing takes their place."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from capacity.costs._money import quantize, to_decimal
from capacity.costs.commitment_review._products import ALL, WORDS, same_commitment
from capacity.costs.commitment_review._review import CommitmentReview, share
from capacity.words import day

# Looked ahead: enough to decide, to ask for a quotation, and to buy before it ends.
EXPIRY_DAYS = 120
EXPIRY_COLUMNS = (
    "id", "account_id", "product", "scope", "region", "start", "end", "days_left", "hourly_usd", "month", "currency",
    "covers_frac", "monthly_committed", "monthly_on_demand", "monthly_more", "words",
)  # fmt: skip
_MONEY = ("monthly_committed", "monthly_on_demand", "monthly_more")


def expiring(
    owned: pd.DataFrame, review: CommitmentReview, month: str, as_of: datetime, days: int = EXPIRY_DAYS
) -> pd.DataFrame:
    """Commitments of the inventory that end within ``days`` of ``as_of``, the first to end first.

    Parameters
    ----------
    owned
        The ``commitments`` frame (schemas.COMMITMENTS).
    review
        Of the same company's bill.
    month
        Billing month that says what each covers: the newest closed one.

    Returns
    -------
    DataFrame
        :data:`EXPIRY_COLUMNS`. ``covers_frac`` is the share of all eligible usage of ``month`` that it covered,
        ``monthly_on_demand`` what that usage costs on demand, ``monthly_more`` that less what the commitment cost
        (Decimal; below zero: it cost more than it was worth). Null where the month's bill does not name it.
    """
    ends = owned["end"] if len(owned) else pd.Series([], dtype="datetime64[us, UTC]")
    now = pd.Timestamp(as_of)
    near = (
        owned[(ends > now) & (ends <= now + pd.Timedelta(days=days)) & (owned["start"] <= now)] if len(owned) else owned
    )
    ordered = near.sort_values(["end", "id"]).to_dict("records")
    rows = [_row({str(k): v for k, v in row.items()}, review, month, now) for row in ordered]
    return pd.DataFrame(rows, columns=list(EXPIRY_COLUMNS))


def _row(row: dict[str, object], review: CommitmentReview, month: str, now: pd.Timestamp) -> dict[str, object]:
    end = pd.Timestamp(str(row["end"]))
    left = (end - now).days
    out: dict[str, object] = {
        **{c: row[c] for c in ("id", "account_id", "product", "scope", "region", "start", "end", "hourly_usd")},
        "days_left": left, "month": month, "currency": None, "covers_frac": None, **dict.fromkeys(_MONEY),
    }  # fmt: skip
    about = f"{row['id']} ({_kind(str(row['product']))}{_of(row)}) ends on {day(end.date())}, in {left} days"
    table = review.by_commitment
    named = pd.Series([same_commitment(str(i), str(row["id"])) for i in table["id"]], index=table.index, dtype=bool)
    mine = table[(table["month"] == month) & named]
    if mine.empty:
        return out | {"words": f"{about}; the bill of {month} does not name it, so what it covers is not known"}
    currency = str(mine["currency"].iloc[0])
    covered, used, unused = (sum(quantize(v) for v in mine[c]) for c in ("on_demand_equivalent", "used", "unused"))
    whole = review.frame
    whole = whole[(whole["month"] == month) & (whole["product"] == ALL) & (whole["currency"] == currency)]
    frac = share(covered, sum(quantize(v) for v in whole["eligible"]))
    more = covered - used - unused
    said = (
        f"{about}: it covered {0.0 if frac is None else frac:.1%} of what commitments can cover in {month}; that usage "
        f"costs {to_decimal(covered):,.2f} {currency} a month on demand against {to_decimal(used + unused):,.2f} now, "
        + (f"{to_decimal(more):,.2f} more" if more >= 0 else f"{to_decimal(-more):,.2f} less")
    )
    money = (to_decimal(used + unused), to_decimal(covered), to_decimal(more))
    return out | {
        "currency": currency, "covers_frac": frac, **dict(zip(_MONEY, money, strict=True)), "words": said,
    }  # fmt: skip


def _kind(product: str) -> str:
    """The inventory's word for people: standard_ri, compute_sp_1y_no_upfront, rds_ri, ..."""
    if product.startswith(("standard_ri", "convertible_ri")):
        return "EC2 Reserved Instances"
    return next((w for p, w in WORDS.items() if product.startswith(p)), product.replace("_", " "))


def _of(row: dict[str, object]) -> str:
    parts = [str(row["scope"]), str(row["region"])]
    return "".join(f", {p}" for p in parts if p)
