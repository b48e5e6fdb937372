"""What a message tells of a plan: the same sentences for Slack and Teams."""

from __future__ import annotations

import re
from dataclasses import dataclass

from capacity.charts import visible
from capacity.errors import UsageError
from capacity.plan import Finding, Plan
from capacity.report.decided import to_decide
from capacity.report.handover._base import figure
from capacity.words import day, money, percent, plural

# A message is read, not searched: the rest is in the report.
MOST_DECISIONS = 12
MOST_CHARACTERS = 600
_LINK = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?(/[A-Za-z0-9._~!$&()*+,;=:@%/?#-]*)?")


@dataclass(frozen=True)
class Told:
    """Heading, facts (name, value), decisions and how many more there are."""

    heading: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    decisions: tuple[str, ...]
    further: int


def told(plan: Plan) -> Told:
    """The message of ``plan``: every sentence on one line, no character that turns or hides text."""
    asked = to_decide(plan)
    shown = tuple(_decision(plan, f) for f in asked[:MOST_DECISIONS])
    summary = f"Capacity plan of {day(plan.as_of.date())}: {plural(len(asked), 'decision')} to take"
    return Told(
        short(f"Capacity plan of {day(plan.as_of.date())}, {visible(plan.company)}", 140),
        summary,
        tuple(_facts(plan)),
        shown,
        len(asked) - len(shown),
    )


def _decision(plan: Plan, finding: Finding) -> str:
    """The finding's sentence, and its day and money where the sentence does not say them."""
    text = short(visible(finding.text), MOST_CHARACTERS)
    by = "" if finding.by is None or day(finding.by) in text else f"by {day(finding.by)}"
    usd = figure(finding.usd)
    amount = "" if usd is None or money(abs(usd), plan.currency) in text else money(usd, plan.currency)
    beside = ", ".join(x for x in (by, amount) if x)
    return f"{'Decide' if finding.severity == 'act' else 'Watch'}{f' ({beside})' if beside else ''}: {text}"


def short(text: str, most: int) -> str:
    """``text`` cut to ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _facts(plan: Plan) -> list[tuple[str, str]]:
    found = [("Scenario", short(visible(plan.scenario), 80))]
    if plan.mix is not None:
        saving = plan.mix.saving_usd
        word = "less" if saving >= 0 else "more"
        cost, apart = money(plan.mix.recommended_usd, plan.currency), money(abs(saving), plan.currency)
        found.append(("Recommended mix", f"{cost}, {apart} {word} than what runs; gap {percent(plan.mix.gap_frac)}"))
    found.append(("Policies violated", str(len(plan.violations))))
    for event in plan.events[:3]:
        shut = sum(not v.go for v in event.verdicts)
        verdict = "GO" if not shut else f"NO-GO for {shut} of {len(event.verdicts)}"
        found.append((short(f"{visible(event.name)}, {day(event.start.date())}", 80), verdict))
    over = [s for s in plan.spend if s.over_budget is not None]
    if over:
        worst = max(over, key=lambda s: s.over_budget or 0.0)
        found.append(("Most likely over budget", f"{worst.month}, with P {percent(worst.over_budget or 0.0)}"))
    return found


def checked_link(link: str) -> str:
    """``link`` where it is a plain http(s) address.

    Raises
    ------
    UsageError
        It is none.
    """
    if not _LINK.fullmatch(link):
        raise UsageError(f"--link: found {link!r}; allowed: an address such as https://example.com/plans/report.html")
    return link
