"""Compile the published FOCUS rule model into the compact data file that ``capacity.quality`` reads.

    python tools/focus_rules.py MODEL.json COLUMNS.csv LATER.csv CURRENCIES.csv [--out FILE]

MODEL is the machine-readable rule model of FOCUS 1.2 (project focus_validator, MIT), COLUMNS and LATER the column
lists of FOCUS 1.2 and 1.3 (FOCUS_Spec, CC BY 4.0), CURRENCIES the ISO 4217 codes that go with the model. Facts are
carried over (which column, which test, under which condition), sentences are not. What the model gets wrong, and what
it leaves to a person although a machine can tell, stands in the three tables below, each with its reason.

One rule a line: id, column, kind, keyword, criteria, requirement, condition, origin, note. Requirements and conditions
are nested lists, the operator first; ``capacity/quality/_focus_model.py`` says what each operator means.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Expr = list[Any]

_USAGE: Expr = ["eq", "ChargeCategory", "Usage"]
_NOT_CORRECTION: Expr = ["ne", "ChargeClass", "Correction"]
_BOUGHT_OR_USED: Expr = ["in", "ChargeCategory", ["Usage", "Purchase"]]
_DISCOUNTED: Expr = ["notnull", "CommitmentDiscountId"]
_CREDIT: Expr = ["eq", "ChargeCategory", "Credit"]
_SAYS_DECIMAL = "the published test is for null, the rule is about a decimal value"

# Rules whose published test does not say what the rule says: (requirement, condition, reason).
CORRECTED: Mapping[str, tuple[Expr, Expr | None, str]] = {
    "EffectiveCost-C-004-M": (["decimal", "EffectiveCost"], None, _SAYS_DECIMAL),
    "ContractedCost-C-004-M": (["decimal", "ContractedCost"], None, _SAYS_DECIMAL),
    "ListCost-C-004-M": (["decimal", "ListCost"], None, _SAYS_DECIMAL),
    "PricingQuantity-C-008-M": (["decimal", "PricingQuantity"], None, _SAYS_DECIMAL),
    "PricingCurrencyEffectiveCost-C-004-M": (
        ["decimal", "PricingCurrencyEffectiveCost"], None,
        "the published test looks at PricingCurrencyListUnitPrice and wants it not negative",
    ),
    "EffectiveCost-C-005-C": (
        ["eqnum", "EffectiveCost", 0], ["and", ["eq", "ChargeCategory", "Purchase"], _DISCOUNTED],
        "the published test takes every purchase, the rule only those that cover future charges; the specification's "
        "own SaaS example buys for 10,000 at an EffectiveCost of 10,000. Tested for commitment discounts, which "
        "always cover future charges",
    ),
    "ConsumedQuantity-C-006-C": (
        ["notnull", "ConsumedQuantity"], _NOT_CORRECTION,
        "the published condition is turned round (only corrections), which its sister rule 007 contradicts",
    ),
    "CommitmentDiscountStatus-C-003-C": (
        ["null", "CommitmentDiscountStatus"], ["null", "CommitmentDiscountId"],
        "the published test is turned round: it wants a status where there is no commitment discount",
    ),
    "CommitmentDiscountStatus-C-004-C": (
        ["notnull", "CommitmentDiscountStatus"], ["and", _DISCOUNTED, _USAGE],
        "the published condition is turned round and leaves out ChargeCategory",
    ),
    "CommitmentDiscountStatus-C-005-M": (
        ["in", "CommitmentDiscountStatus", ["Used", "Unused"]], None,
        "the published list (Active, Expired, Pending) is not the column's; the specification lists Used and Unused",
    ),
    "CommitmentDiscountQuantity-C-007-C": (
        ["null", "CommitmentDiscountQuantity"],
        ["or", ["notin", "ChargeCategory", ["Usage", "Purchase"]], ["null", "CommitmentDiscountId"]],
        "the published condition adds corrections, for which rule 006 leaves both open",
    ),
    "CapacityReservationStatus-C-003-C": (
        ["null", "CapacityReservationStatus"], ["null", "CapacityReservationId"],
        "the published condition is malformed (no check function)",
    ),
    "CapacityReservationStatus-C-004-C": (
        ["notnull", "CapacityReservationStatus"], ["and", ["notnull", "CapacityReservationId"], _USAGE],
        "the published condition is malformed (no check function)",
    ),
    "ResourceType-C-005-C": (
        ["notnull", "ResourceType"], ["notnull", "ResourceId"],
        "the published condition is malformed (CheckCondition for ColumnName)",
    ),
    "ResourceId-C-006-C": (
        [], ["notnull", "ResourceId"], "the published condition is malformed (CheckCondition for ColumnName)",
    ),
    "SubAccountType-C-003-C": (
        ["and", ["rule", "SubAccountType-C-004-C"], ["rule", "SubAccountType-C-005-C"]], None,
        "published as an OR of two rules with opposite conditions, which always holds; its sister columns have AND",
    ),
    "ListUnitPrice-C-010-C": (
        ["product", "ListUnitPrice", "PricingQuantity", "ListCost"],
        ["and", ["notnull", "ListUnitPrice"], ["notnull", "PricingQuantity"], _NOT_CORRECTION],
        "the published condition leaves out that PricingQuantity is given",
    ),
    "Tags-C-003-C": (
        [], ["notnull", "Tags"], "the published condition is turned round",
    ),
    "CommitmentDiscountQuantity-C-010-C": (
        [], ["eq", "ChargeCategory", "Purchase"], "the published condition asks for a null ChargeCategory",
    ),
}  # fmt: skip

# Published tests that are not run: as published they contradict the specification, and no test can stand in.
WITHDRAWN: Mapping[str, str] = {
    "BilledCost-C-005-C": "the published test takes every row whose ProviderName differs from its InvoiceIssuerName "
    "for a charge paid to a third party; AWS bills ('AWS', 'Amazon Web Services, Inc.') would all fail",
    "InvoiceId-C-004-C": "the published test is without its condition (no invoice exists), which no bill tells",
    "InvoiceId-C-005-C": "the published test is without its condition (an invoice exists), which no bill tells",
    "InvoiceId-C-003-C": "an OR of null and not null, which always holds",
}

# Rules that the model leaves to a person, and that the bill itself decides: (requirement, condition).
SUPPLIED: Mapping[str, tuple[Expr, Expr | None]] = {
    "ColumnHandling-A-001-M": (["header", "pascal"], None),
    "ColumnHandling-A-003-M": (["header", "alphanumeric"], None),
    "ColumnHandling-A-005-O": (["header", "length"], None),
    "ColumnHandling-A-010-M": (["header", "custom"], None),
    "ColumnHandling-A-012-O": (["header", "order"], None),
    "StringHandling-A-007-M": (["noblank"], None),
    "NullHandling-A-002-M": (["noplaceholder"], None),
    "ConsumedQuantity-C-008-C": (["decimal", "ConsumedQuantity"], ["notnull", "ConsumedQuantity"]),
    "CommitmentDiscountQuantity-C-009-M": (["decimal", "CommitmentDiscountQuantity"], None),
    "PricingCurrencyContractedUnitPrice-C-004-C": (
        ["null", "PricingCurrencyContractedUnitPrice"], ["eq", "ChargeCategory", "Tax"],
    ),
    "PricingCurrencyContractedUnitPrice-C-005-C": (
        ["notnull", "PricingCurrencyContractedUnitPrice"], ["and", _BOUGHT_OR_USED, _NOT_CORRECTION],
    ),
    "PricingCurrencyContractedUnitPrice-C-008-C": (
        ["ge", "PricingCurrencyContractedUnitPrice", 0], ["notnull", "PricingCurrencyContractedUnitPrice"],
    ),
    "ContractedCost-C-009-C": (
        ["product", "ContractedUnitPrice", "PricingQuantity", "ContractedCost"],
        ["and", ["notnull", "ContractedUnitPrice"], ["notnull", "PricingQuantity"], _NOT_CORRECTION],
    ),
    "EffectiveCost-C-010-C": (["amount", "EffectiveCost", "BilledCost"], _CREDIT),
    "ContractedCost-C-008-C": (["amount", "ContractedCost", "BilledCost"], _CREDIT),
    "ListCost-C-008-C": (["amount", "ListCost", "BilledCost"], _CREDIT),
    "PricingCategory-C-009-C": (["eq", "PricingCategory", "Committed"], ["and", _DISCOUNTED, _USAGE]),
    "ResourceName-C-004-C": (["null", "ResourceName"], ["null", "ResourceId"]),
    "CommitmentDiscountUnit-C-008-M": (["atmost", "CommitmentDiscountId", "CommitmentDiscountUnit", 1], None),
    "SkuMeter-C-006-O": (["atmost", "SkuId", "SkuMeter", 1], None),
}  # fmt: skip

# Attribute rules that the format test of every column with that format covers.
PARTS: Mapping[str, str] = {
    **{f"DateTimeFormat-A-{n}": "FormatDateTime" for n in ("001-M", "002-M", "004-M", "005-M", "006-M")},
    **{f"NumericFormat-A-{n:03d}-M": "FormatNumeric" for n in range(2, 12)},
    **{f"CurrencyFormat-A-{n}": "FormatCurrency" for n in ("001-C", "002-C")},
    **{f"KeyValueFormat-A-{n:03d}-M": "FormatKeyValue" for n in range(1, 5)},
    **{f"UnitFormat-A-{n}": "FormatUnit" for n in ("001-M", "002-O", "003-M")},
    "StringHandling-A-001-M": "FormatString",
}

_SIMPLE = {
    "ColumnPresent": "present", "TypeDecimal": "decimal", "CheckDecimalValue": "decimal", "TypeString": "string",
    "TypeDateTime": "datetime", "FormatDateTime": "fmt_time", "FormatNumeric": "fmt_number", "FormatString": "fmt_text",
    "FormatUnit": "fmt_unit", "FormatKeyValue": "fmt_map", "FormatCurrency": "fmt_currency",
    "CheckNationalCurrency": "national",
}  # fmt: skip
_PAIRS = {"CheckSameValue": "same", "CheckNotSameValue": "notsame"}


def expression(check: Mapping[str, Any]) -> Expr | None:
    """A published check in the compact form; None for an empty one."""
    name = check.get("CheckFunction")
    if name is None:
        return None
    if name in ("AND", "OR"):
        return _joined(name.lower(), [e for item in check["Items"] if (e := expression(item))])
    if name == "CheckModelRule":
        return ["rule", check["ModelRuleId"]]
    if name in _SIMPLE:
        return [_SIMPLE[name], check["ColumnName"]]
    if name in _PAIRS:
        return [_PAIRS[name], check["ColumnAName"], check["ColumnBName"]]
    if name == "ColumnByColumnEqualsColumnValue":
        return ["product", check["ColumnAName"], check["ColumnBName"], check["ResultColumnName"]]
    if name == "CheckDistinctCount":
        return ["distinct", check["ColumnAName"], check["ColumnBName"], check["ExpectedCount"]]
    if name == "CheckGreaterOrEqualThanValue":
        return ["ge", check["ColumnName"], check["Value"]]
    return _value(name, check["ColumnName"], check["Value"])


def _value(name: str, column: str, value: object) -> Expr:
    equal = {"CheckValue": True, "CheckNotValue": False}[name]
    if value is None:
        return ["null" if equal else "notnull", column]
    if isinstance(value, int):
        return ["eqnum" if equal else "nenum", column, value]
    return ["eq" if equal else "ne", column, value]


def _joined(word: str, items: list[Expr]) -> Expr:
    """``or`` of equalities on one column as ``in``; ``or`` of pairs grouped by their second equality."""
    if word == "or" and all(e[0] == "eq" for e in items) and len({e[1] for e in items}) == 1:
        return ["in", items[0][1], [e[2] for e in items]]
    if word == "or" and all(e[0] == "and" and [p[0] for p in e[1:]] == ["eq", "eq"] for e in items):
        groups: dict[tuple[str, str, str], list[str]] = {}
        for _, first, second in items:
            groups.setdefault((first[1], second[1], second[2]), []).append(first[2])
        return ["or", *(["and", ["in", a, values], ["eq", b, v]] for (a, b, v), values in groups.items())]
    return [word, *items]


def row(rule_id: str, rule: Mapping[str, Any]) -> list[Any]:
    """One rule as a line of the data file."""
    criteria = rule["ValidationCriteria"]
    requirement = expression(criteria["Requirement"])
    condition = None if rule_id in CORRECTED else expression(criteria["Condition"])
    origin, note = ("published" if rule["Type"] == "Static" else "person"), ""
    if rule_id in CORRECTED:
        own, condition, note = CORRECTED[rule_id]
        requirement, origin = own or requirement, "corrected"
    elif rule_id in WITHDRAWN:
        origin, note = "withdrawn", WITHDRAWN[rule_id]
    elif rule_id in SUPPLIED:
        (requirement, condition), origin = SUPPLIED[rule_id], "supplied"
    elif rule_id in PARTS:
        origin, note = "part", PARTS[rule_id]
    column = rule["Reference"] if rule["EntityType"] != "Attribute" else ""
    kind = rule["Function"].lower()
    return [
        rule_id,
        column,
        kind,
        criteria["Keyword"],
        rule["ApplicabilityCriteria"],
        requirement,
        condition,
        origin,
        note,
    ]


def compiled(model: Path, columns: Path, later: Path, currencies: Path) -> str:
    """The text of the data file."""
    published = json.loads(model.read_text(encoding="utf-8"))
    known = {r["column_id"]: r for r in _rows(columns)}
    named = {name: [r["introduced"], r["data_type"], r["allows_nulls"] == "True"] for name, r in known.items()}
    new = sorted({r["column_id"].split(",")[0] for r in _rows(later)} - set(named))
    codes = sorted(r["currency_codes"] for r in _rows(currencies))
    head = {
        "version": published["Details"]["FOCUSVersion"],
        "criteria": sorted(published["ApplicabilityCriteria"]),
        "columns": named,
        "later": new,
        "currencies": " ".join(codes),
    }
    lines = [f"{json.dumps(k)}:{_short(v)}," for k, v in head.items()]
    rules = [_short(row(k, r)) for k, r in published["ModelRules"].items() if r["Status"] == "Active"]
    return "{\n" + "\n".join(lines) + '\n"rules":[\n' + ",\n".join(rules) + "\n]}\n"


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Compile the published FOCUS rule model into the bundled data file.")
    for name in ("model", "columns", "later", "currencies"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--out", type=Path, help="file to write; standard output where it is not given")
    given = parser.parse_args(argv)
    text = compiled(given.model, given.columns, given.later, given.currencies)
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
