"""Rules in our own words, made from their expressions."""

from __future__ import annotations

from collections.abc import Mapping

from capacity.quality._focus_model import TRUE, Expr, RawRule

_MODAL: Mapping[str, str] = {"MUST": "must", "MUST NOT": "must", "SHOULD": "should", "SHOULD NOT": "should",
                             "RECOMMENDED": "should", "MAY": "may"}  # fmt: skip
# Lists longer than this are named by their length.
_LISTED = 8

_REQUIRES: Mapping[str, str] = {
    "null": "{0} {m} be null",
    "notnull": "{0} {m} not be null",
    "present": "{0} {m} be a column of the bill",
    "eq": "{0} {m} be '{1}'",
    "ne": "{0} {m} not be '{1}'",
    "eqnum": "{0} {m} be {1}",
    "nenum": "{0} {m} not be {1}",
    "ge": "{0} {m} be {1} or more",
    "same": "{0} {m} be the same as {1}",
    "notsame": "{0} {m} differ from {1}",
    "amount": "{0} {m} be the same amount as {1}",
    "product": "{0} times {1} {m} be {2}",
    "distinct": "every {0} {m} go with exactly {2} {1}",
    "atmost": "every {0} {m} go with at most {2} {1}",
    "decimal": "{0} {m} be a decimal number",
    "string": "{0} {m} be text",
    "datetime": "{0} {m} be a date and time",
    "fmt_time": "{0} {m} be written as 2026-01-31T13:00:00Z, in UTC",
    "fmt_number": "{0} {m} be written as a plain number: no sign but a minus, no currency, no thousands mark",
    "fmt_text": "{0} {m} be sound Unicode text",
    "fmt_unit": "{0} {m} be a unit such as GB, GB-Hours, GB/Hour or 1000 Requests",
    "fmt_map": "{0} {m} be a flat JSON object with unique keys",
    "fmt_currency": "{0} {m} be an ISO 4217 code in capitals, or the name of a virtual currency",
    "national": "{0} {m} be an ISO 4217 code",
    "noblank": "columns of text that are not nullable {m} not hold blanks only",
    "noplaceholder": "columns of text {m} not hold a placeholder (N/A, Not Applicable, NULL, blanks) for no value",
}
_HEADER: Mapping[str, str] = {
    "pascal": "columns {m} be spelt as FOCUS spells them, in Pascal case",
    "alphanumeric": "names of columns {m} hold letters and digits only",
    "length": "names of columns {m} not be longer than 50 characters",
    "custom": "columns that FOCUS does not know {m} begin with x_",
    "order": "columns of FOCUS {m} come before others",
}
_IS: Mapping[str, str] = {
    "null": "{0} is null",
    "notnull": "{0} is not null",
    "eq": "{0} is '{1}'",
    "ne": "{0} is not '{1}'",
    "notsame": "{0} differs from {1}",
}


# What each criterion says of the provider.
_CRITERIA: Mapping[str, str] = {
    "ACCOUNT_NAMING_SUPPORTED": "accounts have display names",
    "AVAILABILITY_ZONE_SUPPORTED": "there are availability zones",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED": "provisioned resources are billed",
    "CAPACITY_RESERVATION_SUPPORTED": "there are capacity reservations",
    "COMMITMENT_DISCOUNT_SUPPORTED": "there are commitment discounts",
    "MULTIPLE_BILLING_ACCOUNT_TYPES_SUPPORTED": "there are several types of billing account",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED": "there are several pricing categories",
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED": "there are several types of sub-account",
    "NEGOTIATED_PRICING_SUPPORTED": "prices are negotiated",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED": "prices and bills can differ in currency",
    "PUBLIC_PRICE_LIST_SUPPORTED": "there is a public price list",
    "REGION_SUPPORTED": "there are regions",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED": "resources have types",
    "SUB_ACCOUNT_SUPPORTED": "there are sub-accounts",
    "TAGGING_SUPPORTED": "there are tags",
    "UNIT_PRICING_SUPPORTED": "there are unit prices",
    "USAGE_MEASUREMENT_SUPPORTED": "usage is measured",
    "VIRTUAL_CURRENCY_SUPPORTED": "there are prices in a virtual currency",
}


def rule_text(rule: RawRule, condition: Expr) -> str:
    """What ``rule`` asks for."""
    if rule.requirement is None:
        about = rule.column or rule.id.split("-")[0]
        if rule.origin == "part":
            return f"{about}: covered by the {rule.note} test of every column with that format"
        return f"{about}: a rule of kind {rule.kind} that only a person can judge"
    if rule.composite:
        return f"{rule.column or rule.id.split('-')[0]}: its rules together"
    said = requires(rule.requirement, _MODAL[rule.keyword])
    if condition != TRUE:
        said = f"{said} where {holds(condition)}"
    if rule.criteria:
        said = f"{said} if {' and '.join(_CRITERIA[c] for c in sorted(rule.criteria))}"
    return said


def requires(expr: Expr, modal: str) -> str:
    """A requirement as a clause."""
    word, *given = expr
    if word == "header":
        return _HEADER[given[0]].format(m=modal)
    if word == "in":
        return f"{given[0]} {modal} be {_one_of(given[1])}"
    if word == "or" and all(e[0] == "and" for e in given):
        return f"{given[0][1][1]} {modal} fit {given[0][2][1]}"
    return _REQUIRES[word].format(*given, m=modal)


def holds(expr: Expr) -> str:
    """A condition as a clause."""
    word, *given = expr
    if word in ("and", "or"):
        inner = [holds(e) for e in given]
        return f" {word} ".join(f"({t})" if e[0] in ("and", "or") else t for e, t in zip(given, inner, strict=True))
    if word in ("in", "notin"):
        return f"{given[0]} is {'not ' if word == 'notin' else ''}{_one_of(given[1])}"
    return _IS[word].format(*given)


def _one_of(values: tuple[str, ...]) -> str:
    if len(values) > _LISTED:
        return f"one of the {len(values)} values that FOCUS lists"
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
