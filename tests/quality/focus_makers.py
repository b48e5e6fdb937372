"""Bills for the tests of the FOCUS rules: one sound row, values whose soundness is known, and a plain evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from capacity.quality import FocusReport, validate_bill
from capacity.quality._focus_model import RUN, TRUE, Expr, Model, RawRule, columns_of, load

Row = dict[str, str | None]

# One row that every rule is content with.
SOUND: Row = {
    "AvailabilityZone": "us-east-1a", "BilledCost": "6", "BillingAccountId": "123456789012",
    "BillingAccountName": "example", "BillingAccountType": "Billing Account", "BillingCurrency": "USD",
    "BillingPeriodEnd": "2026-08-01T00:00:00Z", "BillingPeriodStart": "2026-07-01T00:00:00Z",
    "CapacityReservationId": None, "CapacityReservationStatus": None, "ChargeCategory": "Usage", "ChargeClass": None,
    "ChargeDescription": "$2 per hour", "ChargeFrequency": "Usage-Based", "ChargePeriodEnd": "2026-07-02T04:00:00Z",
    "ChargePeriodStart": "2026-07-02T03:00:00Z", "CommitmentDiscountCategory": None, "CommitmentDiscountId": None,
    "CommitmentDiscountName": None, "CommitmentDiscountQuantity": None, "CommitmentDiscountStatus": None,
    "CommitmentDiscountType": None, "CommitmentDiscountUnit": None, "ConsumedQuantity": "3", "ConsumedUnit": "Hours",
    "ContractedCost": "6", "ContractedUnitPrice": "2", "EffectiveCost": "6", "InvoiceId": "INV-1",
    "InvoiceIssuerName": "Amazon Web Services, Inc.", "ListCost": "6", "ListUnitPrice": "2",
    "PricingCategory": "Standard", "PricingCurrency": "USD", "PricingCurrencyContractedUnitPrice": "2",
    "PricingCurrencyEffectiveCost": "6", "PricingCurrencyListUnitPrice": "2", "PricingQuantity": "3",
    "PricingUnit": "Hours", "ProviderName": "AWS", "PublisherName": "AWS", "RegionId": "us-east-1",
    "RegionName": "N. Virginia", "ResourceId": "i-1", "ResourceName": "web-1", "ResourceType": "Instance",
    "ServiceCategory": "Compute", "ServiceName": "Amazon Elastic Compute Cloud",
    "ServiceSubcategory": "Virtual Machines", "SkuId": "SKU1", "SkuMeter": "Compute Usage",
    "SkuPriceDetails": '{"CoreCount": 4}', "SkuPriceId": "SKU1.P1", "SubAccountId": "210987654321",
    "SubAccountName": "shop", "SubAccountType": "Account", "Tags": '{"env": "prod"}',
}  # fmt: skip
DISCOUNTED: Row = {
    "CommitmentDiscountId": "sp-1", "CommitmentDiscountCategory": "Spend", "CommitmentDiscountName": "plan",
    "CommitmentDiscountQuantity": "6", "CommitmentDiscountStatus": "Used", "CommitmentDiscountType": "Savings Plan",
    "CommitmentDiscountUnit": "USD", "PricingCategory": "Committed",
}  # fmt: skip

# Text: (the amount it reads as or None, is it spelt as FOCUS wants).
NUMBERS: Mapping[str, tuple[str | None, bool]] = {
    "0": ("0", True), "2": ("2", True), "3": ("3", True), "6": ("6", True),
    "-1.5": ("-1.5", True), "0.00000000000": ("0", True), ".5": (".5", True),
    "1E3": ("1000", True), "35.2E-7": ("0.00000352", True), "1e2": ("100", True), "+6": ("6", False),
    "$10,000.00 ": ("10000", False), "1,234": ("1234", False), " 6": ("6", False), "6.": ("6", False),
    "1E+3": ("1000", False), "-$3": ("-3", False), "12,34": (None, False), "1/2": (None, False),
    "6 USD": (None, False), "abc": (None, False), "--1": (None, False), "nan": (None, False), "Infinity": (None, False),
    "1_000": (None, False), "1.2.3": (None, False), "٣": (None, False), "": (None, False),
    "1e999": (None, True),
}  # fmt: skip
# Text: (can it be read, is it spelt as FOCUS wants).
TIMES: Mapping[str, tuple[bool, bool]] = {
    "2026-07-01T00:00:00Z": (True, True), "2026-08-01T00:00:00Z": (True, True), "2026-07-02T03:00:00Z": (True, True),
    "2026-07-02T04:00:00Z": (True, True), "2024-02-29T23:59:59Z": (True, True), "2026-07-01 00:00:00": (True, False),
    "2026-07-01": (True, False), "2026-07-01T00:00:00+02:00": (True, False), "2026-07-01T00:00:00.000Z": (True, False),
    "2023-02-01T30:00:00Z": (True, False), "7/1/26": (True, False), "2026-02-30T00:00:00Z": (False, True),
    "2026-13-01T00:00:00Z": (False, False), "2026-07-01T00:60:00Z": (False, False), "yesterday": (False, False),
    "20260701": (False, False),
}  # fmt: skip
MAPS: Mapping[str, bool] = {
    "{}": True, '{"CoreCount": 4}': True, '{"env": "prod"}': True,
    ' { "a" : 1.5e3 , "b":true,"c":null, "é": "ü\\n\\u00e9" } ': True,
    '{"a": 1, "a": 2}': False, '{"a": {"b": 1}}': False, '{"a": [1]}': False, "[1]": False, '"env"': False,
    "env=prod": False, '{"a": 01}': False, '{"a": 1,}': False, "{'a': 1}": False, '"env": "prod"': False,
    '{"a": "\\ud800"}': False, "{a: 1}": False,
}  # fmt: skip
UNITS: Mapping[str, bool] = {
    "GB": True, "b": True, "Hours": True, "USD": True,
    "KiB": True, "GB-Hours": True, "GB/Hour": True, "1000 Requests": True, "API Requests": True,
    "Units/3 Months": True, "GiB/Second-Months": True, "vCPU-Hours": True, "hours": False, "GB-Mo": False,
    "Hrs": False, "0 Requests": False, "1.5 GB": False, "GB per Hour!": False, "": False, "GB--Hours": False,
}  # fmt: skip
# Text: (fits CurrencyFormat, is a national currency).
CURRENCIES: Mapping[str, tuple[bool, bool]] = {
    "USD": (True, True), "EUR": (True, True), "usd": (False, False), "Credits": (True, False), " ": (False, False),
}  # fmt: skip


def bill(*changes: Mapping[str, str | None], columns: Sequence[str] | None = None) -> pa.Table:
    """A text bill: one row a change of the sound row, in the order of ``columns``."""
    names = list(columns) if columns is not None else list(SOUND)
    rows = [{**SOUND, **change} for change in changes or ({},)]
    return pa.table({n: pa.array([r.get(n) for r in rows], pa.string()) for n in names})


def found(report: FocusReport) -> dict[str, tuple[int, int]]:
    """Rule -> (rows at fault, rows it applies to)."""
    return {f.rule: (f.rows, f.of) for f in report.findings}


def judge(table: pa.Table, **options: Any) -> FocusReport:
    """The report on one table."""
    return validate_bill([table], **options)


def rows_named(report: FocusReport, severities: Sequence[str] = ("fatal", "error", "warning")) -> dict[str, set[int]]:
    """Rule -> the rows of its examples; ask for as many examples as there are rows."""
    out = {}
    for finding in report.findings:
        if finding.severity in severities:
            out[finding.rule] = {int(e.split(":")[0].removeprefix("row ")) for e in finding.examples}
    return out


# --- a plain evaluator: one row and one rule at a time, values by the tables above ------------------------------


def plainly(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, tuple[int, int]]:
    """What :func:`found` must give for the rules on rows, by Python alone; MAY counts the use of the permission."""
    model = load("1.2")
    out = {}
    for rule in model.rules:
        if rule.origin not in RUN or rule.composite or rule.requirement is None:
            continue
        word = rule.requirement[0]
        condition = model.condition(rule)
        needed = {*columns_of(rule.requirement), *columns_of(condition)}
        if word in ("present", "header") or not needed <= set(columns):
            continue
        applies = [r for r in rows if _holds(condition, r) is True]
        if word in ("distinct", "atmost"):
            of, bad = _groups(rule, applies)
        else:
            of, bad = len(applies), sum(_counts(model, rule, r, columns) for r in applies)
        if bad:
            out[rule.id] = (bad, of)
    return out


def _counts(model: Model, rule: RawRule, row: Row, columns: Sequence[str]) -> bool:
    expr = rule.requirement or TRUE
    if expr[0] in ("noblank", "noplaceholder"):
        texts = [c for c in columns if model.columns[c].kind == "String"]
        if expr[0] == "noblank":
            return any(_blank(row[c]) for c in texts if not model.columns[c].nullable)
        return any(_blank(row[c]) or str(row[c]).strip().lower() in _NOTHING for c in texts if row[c] is not None)
    return _holds(expr, row) is (rule.keyword == "MAY")


_NOTHING = {"n/a", "not applicable", "null", "none"}


def _blank(value: str | None) -> bool:
    return value is not None and not value.strip()


def _groups(rule: RawRule, rows: Sequence[Row]) -> tuple[int, int]:
    word, one, other, wanted = rule.requirement or ()
    keyed = [r for r in rows if r[one] is not None]
    others: dict[str | None, set[str]] = {r[one]: set() for r in keyed}
    for row in keyed:
        if row[other] is not None:
            others[row[one]].add(str(row[other]))
    wrong = {k for k, v in others.items() if (len(v) != wanted if word == "distinct" else len(v) > wanted)}
    return len(keyed), sum(r[one] in wrong for r in keyed)


def amount(text: str | None) -> Decimal | None:
    """The amount that a text of the tables reads as."""
    if text is None or text not in NUMBERS:
        return None
    value = NUMBERS[text][0]
    return None if value is None else Decimal(value)


def _holds(expr: Expr, row: Row) -> bool | None:
    """True, false, or None for unknown."""
    word, *given = expr
    if word == "true":
        return True
    if word == "and":
        inner = [_holds(e, row) for e in given]
        return False if False in inner else (None if None in inner else True)
    if word == "or":
        inner = [_holds(e, row) for e in given]
        return True if True in inner else (None if None in inner else False)
    value = row[given[0]]
    if word in ("null", "notnull"):
        return (value is None) is (word == "null")
    if word in ("ne", "notin") and value is None:
        return True
    if word == "decimal":
        return value is None or amount(value) is not None
    if value is None:
        return None
    return _value_holds(word, value, given, row)


def _value_holds(word: str, value: str, given: Sequence[Any], row: Row) -> bool | None:
    if word in ("eq", "ne"):
        return (value == given[1]) is (word == "eq")
    if word in ("in", "notin"):
        return (value in given[1]) is (word == "in")
    if word == "same":
        return None if row[given[1]] is None else value == row[given[1]]
    if word in ("eqnum", "ge", "amount", "product"):
        return _reckoned(word, given, row)
    known: dict[str, bool] = {
        "string": True,
        "fmt_text": "�" not in value,
        "datetime": TIMES.get(value, (False, False))[0],
        "fmt_time": TIMES.get(value, (False, False))[1],
        "fmt_number": NUMBERS.get(value, (None, False))[1],
        "fmt_map": MAPS.get(value, False),
        "fmt_unit": UNITS.get(value, False),
        "fmt_currency": CURRENCIES.get(value, (False, False))[0],
        "national": CURRENCIES.get(value, (False, False))[1],
    }
    return known[word]


def _reckoned(word: str, given: Sequence[Any], row: Row) -> bool | None:
    first = amount(row[given[0]])
    if first is None:
        return None
    if word in ("eqnum", "ge"):
        return first == given[1] if word == "eqnum" else first >= given[1]
    rest = [amount(row[c]) for c in given[1:]]
    if None in rest:
        return None
    product, result = (first, rest[0]) if word == "amount" else (first * (rest[0] or 0), rest[1])
    result = result or Decimal(0)
    return abs(product - result) <= Decimal("1e-6") * max(Decimal(1), abs(result))
