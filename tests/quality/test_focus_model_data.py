"""The bundled rule data: made from the published model, complete, and how many of its rules are run."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import capacity.quality
from capacity.errors import UsageError
from capacity.quality import focus_rules
from capacity.quality._focus_model import columns_of, load, parts, walk

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "capacity" / "data" / "focus_rules_1.2.json"


def test_generating_again_gives_the_bundled_bytes(real_data: Path, tmp_path: Path) -> None:
    published = real_data / "cost" / "focus"
    names = ("focus_model_1.2.json", "focus_columns_1.2.csv", "focus_columns_1.3.csv", "currency_codes.csv")
    out = tmp_path / "rules.json"
    tool = [sys.executable, str(ROOT / "tools" / "focus_rules.py"), *(str(published / n) for n in names)]
    subprocess.run([*tool, "--out", str(out)], check=True)
    assert out.read_bytes() == DATA.read_bytes()
    assert subprocess.run(tool, check=True, capture_output=True).stdout == DATA.read_bytes()


def test_how_many_rules_are_run_is_as_the_docstring_says() -> None:
    rules = focus_rules()
    origins = Counter(r.origin for r in rules)
    assert len(rules) == 621
    assert origins == {
        "published": 259, "corrected": 15, "supplied": 20, "composite": 142, "person": 156, "part": 25, "withdrawn": 4,
    }  # fmt: skip
    assert sum(r.executed for r in rules) == 294 >= 250
    said = " ".join((capacity.quality.__doc__ or "").split())
    for figure in ("621 rules", "294 tests", "259 as published", "15 corrected", "20 that", "142 composite", "156 that",
                   "25 about", "4 that"):  # fmt: skip
        assert figure in said


def test_every_correction_and_withdrawal_has_a_reason() -> None:
    for rule in focus_rules():
        needs_reason = rule.origin in ("corrected", "withdrawn", "part")
        assert bool(rule.note) == (needs_reason or bool(load("1.2").by_id[rule.id].note)), rule.id
        assert not needs_reason or rule.note


def test_rules_hang_together() -> None:
    model = load("1.2")
    assert len(model.by_id) == len(model.rules)
    assert len(model.columns) == 57
    for rule in model.rules:
        assert set(parts(rule)) <= set(model.by_id)
        assert rule.criteria <= model.criteria
        assert set(columns_of(rule.requirement)) | set(columns_of(rule.condition)) <= set(model.columns)
        assert not (rule.runs and any(e[0] == "rule" for e in walk(rule.requirement)))


def test_parts_inherit_condition_and_criteria() -> None:
    model = load("1.2")
    inner = model.by_id["ConsumedQuantity-C-006-C"]
    assert inner.condition == ("ne", "ChargeClass", "Correction")
    assert model.condition(inner) == (
        "and", ("ne", "ChargeClass", "Correction"), ("eq", "ChargeCategory", "Usage"),
        ("ne", "CommitmentDiscountStatus", "Unused"),
    )  # fmt: skip
    assert model.needs(inner) == {"USAGE_MEASUREMENT_SUPPORTED"}
    assert model.needs(model.by_id["BilledCost-C-003-M"]) == frozenset()


def test_texts_are_our_own_and_say_what_is_asked() -> None:
    texts = {r.id: r.text for r in focus_rules()}
    assert texts["BilledCost-C-003-M"] == "BilledCost must not be null"
    assert texts["SkuMeter-C-005-C"] == "SkuMeter should not be null where SkuId is not null"
    assert texts["ChargeFrequency-C-003-M"] == "ChargeFrequency must be One-Time, Recurring or Usage-Based"
    assert texts["CostAndUsage-D-063-C"] == "RegionId must be a column of the bill if there are regions"
    assert all(texts.values())


def test_no_sentence_of_the_published_model_is_carried(real_data: Path) -> None:
    import json

    published = json.loads((real_data / "cost" / "focus" / "focus_model_1.2.json").read_text(encoding="utf-8"))
    data = DATA.read_text(encoding="utf-8")
    for rule in published["ModelRules"].values():
        assert rule["ValidationCriteria"]["MustSatisfy"] not in data


def test_only_what_leaves_the_tool_without_a_figure_is_fatal() -> None:
    fatal = {r.id for r in focus_rules() if r.fatal}
    assert {"CostAndUsage-D-006-M", "BilledCost-C-001-M", "BilledCost-C-003-M", "ChargeCategory-C-003-M",
            "BillingPeriodStart-C-001-M", "BillingCurrency-C-004-M"} <= fatal  # fmt: skip
    assert "ServiceName-C-003-M" not in fatal
    assert "ListCost-C-003-M" not in fatal
    assert "BilledCost-C-002-M" not in fatal


def test_unknown_version_names_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no rules of FOCUS 9\.9 here; there are: 1\.2"):
        focus_rules("9.9")
