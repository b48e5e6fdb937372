"""A message for a Teams channel through Workflows: an Adaptive Card.

A TextBlock and a Fact read Markdown, a TextRun does not: all text stands in TextRuns, so that no name makes a link, a
picture or a mention.
"""

from __future__ import annotations

from typing import Any

from capacity.plan import Plan
from capacity.report.handover._base import Options, Rendered, dump
from capacity.report.handover._told import checked_link, told

CARD_VERSION = "1.4"


def render(plan: Plan, options: Options) -> Rendered:
    """message_teams.json: what to POST to the workflow's address.

    Raises
    ------
    UsageError
        The link is no plain address.
    """
    said = told(plan)
    body = [_text(_run(said.heading, weight="Bolder", size="Large"))]
    body += [_text(_run(f"{name}: ", weight="Bolder"), _run(value)) for name, value in said.facts]
    body += [_text(_run(line), spacing="Medium") for line in said.decisions or ("Nothing needs a decision.",)]
    if said.further:
        body.append(_text(_run(f"and {said.further} more in the report", isSubtle=True)))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
        "version": CARD_VERSION, "fallbackText": said.summary, "body": body,
    }  # fmt: skip
    if options.link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the report", "url": checked_link(options.link)}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return Rendered({"message_teams.json": dump({"type": "message", "attachments": [attachment]})})


def _run(text: str, **look: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}


def _text(*runs: dict[str, Any], **look: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs), **look}
