"""Why the plan is as it is: what its requirements cost, what else would do, and why these types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from capacity.config import Config
from capacity.domain import MixSolution, Unit
from capacity.optimize import why
from capacity.pipeline.demand import UnitData
from capacity.pipeline.mix import Mix
from capacity.pipeline.progress import Progress, silent
from capacity.plan import FRAMES


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(FRAMES[name]))


@dataclass(frozen=True)
class Reasons:
    """Frames ``requirement_prices``, ``alternatives``, ``alternative_mix`` and ``type_choice``.

    A last row of prices without a requirement says what was not tried.
    """

    requirement_prices: pd.DataFrame = field(default_factory=lambda: _empty("requirement_prices"))
    alternatives: pd.DataFrame = field(default_factory=lambda: _empty("alternatives"))
    alternative_mix: pd.DataFrame = field(default_factory=lambda: _empty("alternative_mix"))
    type_choice: pd.DataFrame = field(default_factory=lambda: _empty("type_choice"))


def reasons(
    mix: Mix | None, data: Mapping[Unit, UnitData], config: Config, seed: int, tell: Progress = silent
) -> Reasons:
    """Solve again around the plan; nothing where ``optimize: why_seconds`` is 0."""
    seconds = config.optimize.why_seconds
    if mix is None or seconds <= 0:
        return Reasons()
    headroom = {u: data[u].tier.min_headroom_frac for u in mix.needs if u in data}
    tell("what requirements cost", 0, 1)
    found = why.prices(
        mix.problem, mix.solution, headroom_frac=headroom, most=config.optimize.why_prices,
        time_limit_seconds=seconds, gap_frac=config.optimize.gap_frac, seed=seed,
    )  # fmt: skip
    tell("what requirements cost", 1, 1)
    tell("other plans", 0, 1)
    others = why.alternatives(mix.problem, mix.solution, time_limit_seconds=seconds, seed=seed)
    tell("other plans", 1, 1)
    return Reasons(
        requirement_prices=_prices(found, mix),
        alternatives=_alternatives(others, mix),
        alternative_mix=_alternative_mix(others, mix),
        type_choice=_choices(mix, seed, tell),
    )


def _prices(found: why.Prices, mix: Mix) -> pd.DataFrame:
    units = {str(u): u for u in mix.needs}
    rows: list[tuple[object, ...]] = []
    for p in found.tried:
        unit = next((u for name, u in units.items() if p.name.startswith(f"{name}: ")), None)
        where = (unit.service, unit.region) if unit else ("", "")
        rows.append((p.name, *where, p.unit, p.low_usd_per_year, p.high_usd_per_year, p.words))
    untried = why.not_tried_words(found)
    if untried:
        rows.append(("", "", "", "", None, None, untried))
    return pd.DataFrame(rows, columns=list(FRAMES["requirement_prices"]))


def _alternatives(found: why.Alternatives, mix: Mix) -> pd.DataFrame:
    plan = float(mix.solution.spend["total_usd"].sum())
    rows = [
        (a.theme, float(a.solution.spend["total_usd"].sum()), a.frac_more, a.distance, a.words) for a in found.plans
    ]
    frame = pd.DataFrame(rows, columns=list(FRAMES["alternatives"]))
    return frame.assign(plan_usd=plan)


def _alternative_mix(found: why.Alternatives, mix: Mix) -> pd.DataFrame:
    """What each alternative runs in the month in which the plan itself is largest."""
    by_month = mix.solution.provisioned.groupby("month")["vcpu"].sum()
    rows = [row for a in found.plans for row in _in_month(a.theme, a.solution, str(by_month.idxmax()))]
    return pd.DataFrame(rows, columns=list(FRAMES["alternative_mix"]))


def _in_month(name: str, solution: MixSolution, month: str) -> list[tuple[str, str, str, str, str, int]]:
    rows = solution.provisioned
    kept = rows[(rows["month"] == month) & (rows["instances"] > 0)]
    table = kept.groupby(["service", "region", "instance_type"], sort=True)["instances"].sum().reset_index()
    return [
        (name, str(row["service"]), str(row["region"]), month, str(row["instance_type"]), int(row["instances"]))
        for row in table.to_dict("records")
    ]


def _choices(mix: Mix, seed: int, tell: Progress) -> pd.DataFrame:
    planned = set(mix.solution.running["unit"])
    rows: list[tuple[object, ...]] = []
    units = [u for u in sorted(mix.needs) if str(u) in planned]
    choices = why.TypeChoices(mix.problem, mix.solution)
    for number, unit in enumerate(units):
        tell("why these types", number, len(units))
        found = choices.of(unit, seed=seed)
        chosen = " + ".join(found.chosen)
        rows.append((unit.service, unit.region, chosen, True, found.usd_per_year, 0.0, "in the plan"))
        for other in found.others:
            usd = found.usd_per_year + other.usd_per_year_more
            rows.append((unit.service, unit.region, other.name, False, usd, other.frac_more, other.words))
    tell("why these types", len(units), len(units))
    return pd.DataFrame(rows, columns=list(FRAMES["type_choice"]))
