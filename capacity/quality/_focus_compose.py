"""Composite rules from their parts, and the report from the counts."""

from __future__ import annotations

from collections.abc import Mapping

from capacity.quality._focus_header import RENAMED, Header
from capacity.quality._focus_model import Model, RawRule, parts
from capacity.quality._focus_plan import LISTED_FATAL, Plan, absent_words
from capacity.quality._focus_report import SEVERITIES, FocusFinding, FocusReport
from capacity.quality._focus_tally import Tally
from capacity.quality._focus_words import rule_text

_MUST = ("MUST", "MUST NOT")


def composed(model: Model, tallies: Mapping[str, Tally]) -> dict[str, bool]:
    """Whether each composite rule holds; those without a part that was run are left out.

    A composite of MUST is broken by its MUST parts alone: a broken SHOULD is a warning wherever it stands.
    """
    out: dict[str, bool] = {}
    for rule in model.rules:
        if rule.composite and rule.origin != "withdrawn":
            _judge(model, rule, tallies, out)
    return out


def _judge(model: Model, rule: RawRule, tallies: Mapping[str, Tally], out: dict[str, bool]) -> bool | None:
    if rule.id in tallies:
        return not tallies[rule.id].violated
    if not rule.composite or rule.origin == "withdrawn":
        return None
    if rule.id not in out:
        inner = [model.by_id[p] for p in parts(rule)]
        judged = [(p, _judge(model, p, tallies, out)) for p in inner]
        known = [ok or (rule.keyword in _MUST and p.keyword not in _MUST) for p, ok in judged if ok is not None]
        if known:
            out[rule.id] = any(known) if (rule.requirement or ("and",))[0] == "or" else all(known)
    return out.get(rule.id)


def report(
    where: str, model: Model, header: Header, plan: Plan, tallies: Mapping[str, Tally],
    composites: Mapping[str, bool], rows: int,
) -> FocusReport:  # fmt: skip
    """Findings with their messages, the gravest first and then in the order of the model."""
    findings = [_finding(model, header, t) for t in tallies.values() if t.rows]
    findings.sort(key=lambda f: SEVERITIES.index(f.severity))
    unjudged = [
        (r.id, "none of its parts was run")
        for r in model.rules
        if r.composite and r.origin != "withdrawn" and r.id not in composites
    ]
    return FocusReport(
        where, model.version, rows, len(tallies), sum(not t.violated for t in tallies.values()),
        len(composites), tuple(k for k, ok in composites.items() if not ok), (*plan.skipped, *unjudged),
        tuple(findings),
    )  # fmt: skip


def _finding(model: Model, header: Header, tally: Tally) -> FocusFinding:
    rule, severity = tally.planned.rule, tally.planned.severity
    if rule.id == LISTED_FATAL and not tally.unreadable:
        severity = "error"
    return FocusFinding(
        rule.id, rule.column, rule.keyword, severity, tally.rows, tally.of, tuple(tally.examples),
        _message(model, header, tally),
    )  # fmt: skip


def _message(model: Model, header: Header, tally: Tally) -> str:
    rule = tally.planned.rule
    said = rule_text(rule, tally.planned.condition)
    if rule.kind == "presence":
        return f"{said}: {absent_words(model, rule.column)}"
    if rule.column in RENAMED and header.found.get(rule.column) == RENAMED[rule.column]:
        said += f" ({RENAMED[rule.column]} stands for it)"
    unit = "columns" if (rule.requirement or ("",))[0] == "header" else "rows"
    verb = "made use of by" if tally.planned.severity == "info" else "violated by"
    return f"{said}: {verb} {tally.rows:,} of {tally.of:,} {unit}"
