"""docs/scenarios.md shows every key, and its examples hold against a config."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capacity import config, scenario, strict_yaml
from tests.scenario import kit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_holds(text: str, tmp_path: Path) -> None:
    made = scenario.loads(text, kit.settings_in(tmp_path))
    assert scenario.loads(scenario.to_yaml(made), kit.settings_in(tmp_path)) == made


def test_every_key_is_shown() -> None:
    whole = strict_yaml.loads(EXAMPLES[0]).data
    models = {"growth": scenario.Growth, "events": config.EventConfig, "launches": scenario.Launch,
              "efficiency": scenario.Efficiency, "prices": scenario.PriceChange,
              "migration": scenario.Migration}  # fmt: skip
    assert set(whole) == set(scenario.Scenario.model_fields)
    for part, model in models.items():
        keys = {field.alias or name for name, field in model.model_fields.items()}
        # A scenario's event has one size, and no business figure.
        assert set(whole[part][0]) == keys - ({"target", "business"} if part == "events" else set()), part
    assert set(whole["policy"]["tiers"][0]) == set(scenario.TierOverlay.model_fields)
    assert set(whole["commitments"]) == set(scenario.Commitments.model_fields) - {"buy"}
    assert "buy: false" in EXAMPLES[1]
    assert "target" in EXAMPLES[0]
    assert "zones: 2" in EXAMPLES[0]
