"""Which rules can be run on a bill with these columns, why the others cannot, and how grave a violation is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from capacity.errors import UsageError
from capacity.quality._focus_header import Header
from capacity.quality._focus_model import TRUE, Expr, Model, RawRule, columns_of, load
from capacity.quality._focus_report import FocusRule
from capacity.quality._focus_words import rule_text
from capacity.schemas import COST_REQUIRED

# Null in these the reader keeps, under a name of its own.
_MAY_BE_NULL_HERE = frozenset({"ServiceName"})
# A listed value that the reckoning depends on: what the reader cannot match to one of the list it refuses.
LISTED_FATAL = "ChargeCategory-C-003-M"

_REASONS = {
    "person": "no bill tells; it needs a person",
    "composite": "none of its parts was run",
}


@dataclass(frozen=True)
class Planned:
    """A rule that is run: what must hold where, and how grave a violation is."""

    rule: RawRule
    requirement: Expr
    condition: Expr
    severity: str


@dataclass(frozen=True)
class Plan:
    """What is run on one bill, and (rule id, reason) of what is not."""

    run: tuple[Planned, ...]
    skipped: tuple[tuple[str, str], ...]


def make_plan(model: Model, header: Header, supported: frozenset[str] | None, defaults: Collection[str] = ()) -> Plan:
    """Sort the rules that test something into those that are run and those that are not."""
    run, skipped = [], []
    for rule in model.rules:
        if rule.composite and rule.origin != "withdrawn":
            continue
        reason = _reason(model, rule, header, supported)
        if reason:
            skipped.append((rule.id, reason))
            continue
        requirement = _over_columns(rule.requirement or TRUE, model, header)
        run.append(Planned(rule, requirement, model.condition(rule), _severity(rule, supported, defaults)))
    return Plan(tuple(run), tuple(skipped))


def _reason(model: Model, rule: RawRule, header: Header, supported: frozenset[str] | None) -> str:
    """Why ``rule`` is not run; empty where it is."""
    if not rule.runs:
        if rule.origin == "part":
            return f"covered by {rule.note} of each column"
        return _REASONS.get(rule.origin) or f"defective as published: {rule.note}"
    missing = sorted(model.needs(rule) - supported) if supported is not None else []
    if missing:
        return f"does not apply without {', '.join(missing)}"
    if rule.kind == "presence":
        return ""
    absent = [c for c in columns_of(rule.requirement) + columns_of(model.condition(rule)) if not header.has(c)]
    if absent:
        return f"needs column {absent_words(model, absent[0])}"
    if rule.requirement == ("header", "custom") and header.newer:
        return f"the bill has columns of a later FOCUS ({header.newer[0]}): which are custom is not known here"
    return ""


def absent_words(model: Model, column: str) -> str:
    """The column, and that it is absent; since when FOCUS has it where that is after 1.0."""
    since = model.columns[column].introduced
    return f"{column}, absent" + (f" (new in FOCUS {since})" if since in ("1.1", "1.2") else "")


def _over_columns(requirement: Expr, model: Model, header: Header) -> Expr:
    """Rules over all columns of text, written out for those that the bill has."""
    if requirement[0] not in ("noblank", "noplaceholder"):
        return requirement
    blank = requirement[0] == "noblank"
    texts = [n for n, c in model.columns.items() if c.kind == "String" and header.has(n)]
    chosen = [n for n in texts if not (blank and model.columns[n].nullable)]
    return ("each", *(("notblank" if blank else "notplaceholder", n) for n in chosen))


def is_fatal(rule: RawRule) -> bool:
    """Whether a violation leaves this tool without an amount, a period, a currency, an account or a category."""
    if not rule.runs or rule.column not in COST_REQUIRED or rule.keyword not in ("MUST", "MUST NOT"):
        return False
    if rule.kind == "nullability":
        return rule.column not in _MAY_BE_NULL_HERE
    return (
        rule.kind == "presence" or rule.id == LISTED_FATAL or (rule.requirement or TRUE)[0] in ("decimal", "datetime")
    )


def _severity(rule: RawRule, supported: frozenset[str] | None, defaults: Collection[str]) -> str:
    if rule.keyword == "MAY":
        return "info"
    if rule.keyword in ("SHOULD", "SHOULD NOT", "RECOMMENDED") or (supported is None and rule.criteria):
        return "warning"
    if rule.kind == "presence" and rule.column in defaults:
        return "warning"
    return "fatal" if is_fatal(rule) else "error"


def checked_criteria(model: Model, supported: Collection[str] | None) -> frozenset[str] | None:
    """``supported`` as a set.

    Raises
    ------
    UsageError
        A word that is no criterion of the model.
    """
    if supported is None:
        return None
    unknown = sorted(set(supported) - model.criteria)
    if unknown:
        raise UsageError(f"no criterion '{unknown[0]}' in FOCUS; there are: {', '.join(sorted(model.criteria))}")
    return frozenset(supported)


@cache
def focus_rules(version: str = "1.2") -> tuple[FocusRule, ...]:
    """All rules of FOCUS ``version``, in the order of the published model; ``executed`` says which are run.

    Raises
    ------
    UsageError
        There are no rules of that version here.
    """
    model = load(version)
    return tuple(
        FocusRule(
            r.id, r.column, r.kind, r.keyword, rule_text(r, model.condition(r)), is_fatal(r),
            "composite" if r.composite and r.origin != "withdrawn" else r.origin, r.note,
        )
        for r in model.rules
    )  # fmt: skip
