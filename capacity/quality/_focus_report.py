"""What a validation says: rules, findings and the report, as plain frozen objects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

SEVERITIES = ("fatal", "error", "warning", "info")


@dataclass(frozen=True)
class FocusRule:
    """One rule of the FOCUS model, in our own words.

    Attributes
    ----------
    id
        As the published model names it, ``BilledCost-C-003-M``.
    column
        The FOCUS column it is about; empty for rules about names, formats and the whole bill.
    kind
        presence, type, format, nullability, validation or composite.
    keyword
        MUST, MUST NOT, SHOULD, SHOULD NOT, RECOMMENDED or MAY.
    text
        What it asks for.
    fatal
        A violation can make the bill unusable for this tool.
    origin
        published: run as published. corrected: the published test is wrong, ours is run. supplied: the model leaves it
        to a person, our test is run. composite: put together from other rules. Not run: part (the format tests of the
        columns cover it), withdrawn (defective, no test can stand in), person (no bill tells).
    note
        Why it is corrected, withdrawn or a part.
    """

    id: str
    column: str
    kind: str
    keyword: str
    text: str
    fatal: bool
    origin: str
    note: str = ""

    @property
    def executed(self) -> bool:
        """Whether its own test is run where a bill has the columns (composites test nothing of their own)."""
        return self.origin in ("published", "corrected", "supplied")


@dataclass(frozen=True)
class FocusFinding:
    """A rule that does not hold (or, severity info, a permission that the bill makes use of).

    Attributes
    ----------
    rule
        Its id.
    rows, of
        Rows at fault, and rows to which the rule applies. Rules about the names of columns count columns.
    examples
        The first ones: row (from 1), columns and values.
    message
        One sentence.
    """

    rule: str
    column: str
    keyword: str
    severity: str
    rows: int
    of: int
    examples: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        shown = f" ({'; '.join(self.examples)})" if self.examples else ""
        return f"{self.severity}: {self.rule}: {self.message}{shown}"


@dataclass(frozen=True)
class FocusReport:
    """What the rules say of one bill.

    Attributes
    ----------
    where
        The bill, as the caller names it.
    version
        Of the rules.
    rows
        Rows read.
    executed, passed
        Rules whose own test was run on this bill, and those that hold.
    composed, composed_failed
        Composite rules that could be judged from at least one part, and the ids of those that do not hold.
    not_executed
        (rule id, reason) of every other rule.
    findings
        One a rule, the gravest first.
    """

    where: str
    version: str
    rows: int
    executed: int
    passed: int
    composed: int
    composed_failed: tuple[str, ...]
    not_executed: tuple[tuple[str, str], ...]
    findings: tuple[FocusFinding, ...]

    @property
    def fatal(self) -> bool:
        """Whether this tool cannot use the bill."""
        return any(f.severity == "fatal" for f in self.findings)

    def counts(self) -> dict[str, int]:
        """Findings by severity, all four."""
        found = Counter(f.severity for f in self.findings)
        return {s: found[s] for s in SEVERITIES}

    def summary(self) -> str:
        """One line for a terminal."""
        said = ", ".join(f"{n} {s}" for s, n in self.counts().items() if n) or "no finding"
        where = f"{self.where}: " if self.where else ""
        return f"{where}FOCUS {self.version}: {self.rows:,} rows, {self.executed} rules run, {self.passed} hold: {said}"
