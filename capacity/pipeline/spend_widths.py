"""Whose spend is added to whose, and what its intervals are widened by: one answer for every frame of spend."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from capacity import costs
from capacity.config import Config
from capacity.domain import SeriesForecast

SHARED = "(shared and unallocated)"
NO_TEAM = "(no team)"


def team_of(config: Config, name: str) -> str:
    """The team of a service; what belongs to no service is a team of its own."""
    if name == SHARED:
        return SHARED
    teams = [s.team for s in config.services if s.name == name]
    return (teams[0] if teams else "") or NO_TEAM


def alive(forecasts: Mapping[str, SeriesForecast]) -> dict[str, SeriesForecast]:
    """Without series that ended so long ago that their horizon is over before the newest one's begins."""
    newest = max((f.index[0] for f in forecasts.values()), default=None)
    return {key: f for key, f in forecasts.items() if newest is not None and f.index[-1] >= newest}


def spend_groups(
    spend: Mapping[str, SeriesForecast], history: Mapping[str, pd.Series], config: Config
) -> dict[costs.Group, list[costs.Owner]]:
    """(level, name) -> the services (and what is nobody's) that make it up."""
    owners = [
        costs.Owner(name, team_of(config, name), history[name].loc[: f.origin], f)
        for name, f in sorted(alive(spend).items())
        if name in history
    ]
    return costs.groups_of(owners, config.company) if owners else {}


def spend_widths(spend: Mapping[str, SeriesForecast], history: Mapping[str, pd.Series], config: Config) -> costs.Widths:
    """What the intervals of months are widened by, as past origins show for company, teams and services."""
    return costs.widths(costs.scored(spend_groups(spend, history, config)))
