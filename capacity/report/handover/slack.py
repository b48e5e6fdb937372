"""A message for a Slack incoming webhook (Block Kit).

Text from data stands in plain_text objects alone, with &, < and > as entities: no mark-up, no link, no mention.
"""

from __future__ import annotations

from typing import Any

from capacity.plan import Plan
from capacity.report.handover._base import Options, Rendered, dump
from capacity.report.handover._told import checked_link, told

# Slack's limits: blocks of a message, characters of a header and of a section's text, of a button's address.
MOST_BLOCKS, HEADER, SECTION = 50, 150, 3000


def render(plan: Plan, options: Options) -> Rendered:
    """message_slack.json: what to POST to the webhook.

    Raises
    ------
    UsageError
        The link is no plain address.
    """
    said = told(plan)
    facts = "\n".join(f"{name}: {value}" for name, value in said.facts)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": plain(said.heading, HEADER)}]
    blocks.append({"type": "section", "text": plain(facts, SECTION)})
    blocks.append({"type": "divider"})
    lines = said.decisions or ("Nothing in this plan needs a decision.",)
    blocks += [{"type": "section", "text": plain(line, SECTION)} for line in lines]
    if said.further:
        blocks.append({"type": "context", "elements": [plain(f"and {said.further} more in the report", SECTION)]})
    if options.link is not None:
        button = {"type": "button", "text": plain("Open the report", 75), "url": checked_link(options.link)}
        blocks.append({"type": "actions", "elements": [button]})
    body = {"text": said.summary, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False, "blocks": blocks}
    return Rendered({"message_slack.json": dump(body)})


def plain(text: str, most: int) -> dict[str, Any]:
    """A plain_text object; cut so that no entity is cut."""
    kept = ""
    for c in text:
        piece = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(c, c)
        if len(kept) + len(piece) > most:
            break
        kept += piece
    return {"type": "plain_text", "text": kept, "emoji": False}
