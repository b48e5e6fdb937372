"""Messages: what must be decided, and nothing that a name could make of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import UsageError
from capacity.plan import Finding
from capacity.report.handover import Options
from capacity.report.handover._told import MOST_DECISIONS, checked_link
from capacity.report.handover.slack import plain
from tests.factory_unit import HOSTILE
from tests.handover.handover_kit import check_schema, files_of, plan_of, rendered

MENTIONS = ("<!channel>", "<!here>", "<@U024BE7LH>", "<#C024BE7LR>", "@everyone", "<http://evil.example|click>")


def slack_texts(text: str) -> list[str]:
    document = json.loads(text)
    found = [document["text"]]
    for block in document["blocks"]:
        parts = [block["text"]] if "text" in block else block.get("elements", [])
        found += [p["text"] for p in parts if isinstance(p.get("text"), str)]
    return found


def hostile() -> Any:
    """A plan whose findings, company, event and scenario are mark-up of Slack and Teams."""
    plan = plan_of("ugly")
    findings = tuple(Finding("act", "order", f"{x} must be decided", by=date(2026, 11, 1), usd=1234.0)
                     for x in (*HOSTILE, *MENTIONS))  # fmt: skip
    event = replace(plan.events[0], name=MENTIONS[0])
    return replace(plan, company=MENTIONS[0], scenario=MENTIONS[2], findings=findings, events=(event,))


def test_slack_shows_names_as_text() -> None:
    text = rendered(hostile(), only="slack")["message_slack.json"]
    check_schema("message_slack.json", text)
    for told in slack_texts(text):
        assert "<" not in told
        assert ">" not in told
        assert re.sub(r"&(amp|lt|gt);", "", told).count("&") == 0
    kinds = re.findall(r'"type": "(\w+)"', text)
    assert "mrkdwn" not in kinds
    assert "image" not in kinds
    assert "link" not in kinds


def test_teams_reads_no_markdown_of_data() -> None:
    text = rendered(hostile(), only="teams")["message_teams.json"]
    check_schema("message_teams.json", text)
    assert {"TextBlock", "Fact", "FactSet", "Image"}.isdisjoint(re.findall(r'"type": "(\w+)"', text))
    card = json.loads(text)["attachments"][0]["content"]
    assert "msteams" not in card
    assert HOSTILE[1] not in card["fallbackText"]
    # It reaches the reader, as text.
    assert any(HOSTILE[1] in run["text"] for block in card["body"] for run in block["inlines"])


def test_messages_stay_within_what_the_services_take() -> None:
    plan = plan_of("company")
    many = tuple(Finding("watch", "spend", "x&" * 5000, by=None) for _ in range(500))
    files = rendered(replace(plan, findings=many, company="C" * 500, scenario="&" * 500), only="slack teams")
    blocks = json.loads(files["message_slack.json"])["blocks"]
    check_schema("message_slack.json", files["message_slack.json"])
    assert len(blocks) <= 50
    assert f"and {500 - MOST_DECISIONS} more in the report" in slack_texts(files["message_slack.json"])
    # A message to Teams has at most 28 KB.
    assert len(files["message_teams.json"].encode()) < 28_000


def test_they_say_decisions_dates_and_money() -> None:
    plan = plan_of("demo")
    assert plan.mix is not None
    for told in ("\n".join(slack_texts(files_of("demo")["message_slack.json"])),
                 "\n".join("".join(r["text"] for r in b["inlines"]) for b in json.loads(
                     files_of("demo")["message_teams.json"])["attachments"][0]["content"]["body"])):  # fmt: skip
        assert "Capacity plan of 5 Oct 2026, Tidewater Outfitters" in told
        assert f"Recommended mix: ${plan.mix.recommended_usd:,.0f}, ${plan.mix.saving_usd:,.0f} less" in told
        assert "black-friday-2026, 27 Nov 2026: NO-GO" in told
        for finding in [f for f in plan.findings if f.severity != "info"][:MOST_DECISIONS]:
            assert finding.text.replace("&", "&amp;") in told
            assert finding.by is None or f"{finding.by.day} {finding.by:%b %Y}" in told


def test_a_day_or_an_amount_that_the_sentence_does_not_say_stands_beside_it() -> None:
    found = Finding("act", "order", "Buy more", by=date(2026, 11, 1), usd=1234.0)
    told = slack_texts(rendered(replace(plan_of("small"), findings=(found,)), only="slack")["message_slack.json"])
    assert "Decide (by 1 Nov 2026, $1,234): Buy more" in told
    none = slack_texts(rendered(replace(plan_of("small"), findings=()), only="slack")["message_slack.json"])
    assert "Nothing in this plan needs a decision." in none


def test_a_link_stands_there_only_where_one_is_given() -> None:
    with_link = rendered(plan_of("small"), Options(link="https://example.com/plans/report.html?x=1#top"))
    for file in ("message_slack.json", "message_teams.json"):
        check_schema(file, with_link[file])
        assert with_link[file].count("https://example.com/plans/report.html?x=1#top") == 1
        assert "Open the report" not in files_of("small")[file]


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "http://a b", "https://x/<y>", "ftp://x/y", "https://x/|z", ""]
)
def test_links_that_are_none_are_refused(link: str) -> None:
    with pytest.raises(UsageError, match="--link: found"):
        checked_link(link)


@given(st.text(), st.integers(1, 60))
def test_slack_text_is_cut_between_characters(text: str, most: int) -> None:
    made = plain(text, most)["text"]
    assert len(made) <= most
    back = made.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.startswith(back)
