"""Events, holidays, outages and bounds on their way from the config to the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import config, forecast, pipeline, scenario
from capacity.config import EventConfig
from capacity.domain import Unit
from capacity.pipeline import events, planning
from capacity.pipeline.base import demand_dates, demand_histories
from capacity.pipeline.bounds import lower_bounds
from capacity.pipeline.futures import futures, without
from capacity.pipeline.masks import daily_occasions, outages, past_masks, throttled
from capacity.pipeline.planning import Ground, Run
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
WEB, API, THUMBS = (Unit(name, "us-east-1") for name in ("web", "api", "thumbs"))
SALE = pd.Timestamp("2026-09-18")
LEARNED = company.CONFIG.replace("services: [web], multiplier: 3,", "services: [web],").replace(
    "budgets:",
    "country_holidays: US\n"
    "outages:\n"
    "  - {start: 2026-05-04T10:00:00Z, end: 2026-05-05T09:00:00Z, services: [web]}\n"
    "  - {start: 2026-07-06T10:00:00Z, end: 2026-07-06T11:00:00Z, kind: throttled}\n"
    "budgets:",
)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    settings = config.load(company.write(tmp_path_factory.mktemp("learned"), config=LEARNED))
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), AS_OF))
    return planning.prepare(settings, pipeline.open_store(settings), as_of=AS_OF)


@pytest.fixture(scope="module")
def plan(learned: Ground) -> Run:
    settings = learned.inputs.config
    return pipeline.run(settings, pipeline.open_store(settings), as_of=AS_OF)


def test_an_event_without_a_multiplier_is_learned_and_put_on_its_date(learned: Ground) -> None:
    """The day of the past sale had three times the demand; web, and api which it calls, had it."""
    for unit in (WEB, API):
        known = learned.base.peak[unit]
        (entry,) = [x for x in known.learned if x.name == "sale"]
        assert entry.low < 3.0 < entry.high
        assert entry.multiplier == pytest.approx(3.0, rel=0.1)
        assert (entry.start, entry.end, entry.occurrences) == (SALE, SALE, 1)
        at = known.index.get_loc(SALE)
        around = np.median(known.quantiles[3][[at - 7, at + 7]])
        assert known.quantiles[3][at] == pytest.approx(3.0 * around, rel=0.15)
        assert known.quantiles[3][at - 1] < 1.3 * around


def test_an_event_that_is_over_is_an_occurrence_of_itself(small: config.Config) -> None:
    """Of a given size too, by each service's own days, and not twice where a past lists it."""
    june = {"start": "2026-06-19T00:00:00Z", "end": "2026-06-20T00:00:00Z", "past": []}
    (sale,) = small.events
    over = EventConfig(**sale.model_dump() | june)
    listed = EventConfig(**sale.model_dump() | june | {"past": [("2026-06-18", "2026-06-19")]})
    day = pd.Timestamp("2026-06-19")
    first, last = pd.Timestamp("2026-03-02"), pd.Timestamp("2026-12-31")
    for event, begins in ((over, day), (listed, day - pd.Timedelta(days=1))):
        known = small.model_copy(update={"events": [event]})
        for unit in (WEB, API):
            assert past_masks(known, AS_OF)[unit] == ((begins, day + pd.Timedelta(days=1)),)
            (occasion,) = daily_occasions(known, unit, first, last, AS_OF)
            assert occasion.spans == ((begins, day),)
        before = datetime(2026, 6, 19, 12, tzinfo=UTC)
        assert len(past_masks(known, before)[WEB]) == len(event.past)
        assert [s for o in daily_occasions(known, WEB, first, last, before) for s in o.spans] == [
            (pd.Timestamp(a), pd.Timestamp(b)) for a, b in event.past
        ]


def test_an_event_that_next_years_lists_is_no_occurrence_of_its_own(small: config.Config) -> None:
    (sale,) = small.events  # whose past has 19 June
    june = {"name": "june", "start": "2026-06-19T00:00:00Z", "end": "2026-06-20T00:00:00Z", "past": []}
    known = small.model_copy(update={"events": [EventConfig(**sale.model_dump() | june), sale]})
    assert past_masks(known, AS_OF) == past_masks(small, AS_OF)


def test_the_past_sale_is_no_base_demand(learned: Ground) -> None:
    known = learned.base.peak[WEB]
    rest = np.delete(known.quantiles[3], known.index.get_loc(SALE))
    assert rest.max() < 0.5 * learned.data[WEB].peak.loc["2026-06-19"]


def test_the_check_uses_what_was_learned_with_its_interval(learned: Ground) -> None:
    known = futures(learned.base, learned.inputs.config, scenario.base())
    (event,) = events.coming(learned.inputs, known)
    found = events.check(event, learned.inputs, learned.data, known, learned.base)
    web = next(v for v in found.verdicts if v.unit == WEB)
    assert web.multiplier == pytest.approx(3.0, rel=0.12)
    assert any(r.startswith("multiplier 3") and "learned from 1 earlier occurrence (80 %" in r for r in web.reasons)
    # Wider than the same event with the multiplier given.
    given = EventConfig(**event.model_dump() | {"multiplier": 3.0})
    sure = events.check(given, learned.inputs, learned.data, known, learned.base)
    other = next(v for v in sure.verdicts if v.unit == WEB)
    assert web.demand_p95 / web.demand_p50 > 1.1 * other.demand_p95 / other.demand_p50
    assert other.demand_p50 == pytest.approx(web.demand_p50, rel=0.12)  # and not three times three


def test_a_scenario_that_gives_a_size_replaces_what_was_learned(learned: Ground) -> None:
    settings = learned.inputs.config
    (event,) = settings.events
    given = EventConfig(**event.model_dump() | {"multiplier": 2.0})
    change = scenario.Scenario(name="smaller", events=(given,))
    known = futures(learned.base, settings, change)
    base = learned.base.peak[WEB]
    at = base.index.get_loc(SALE)
    # A day's peak is never below its mean, neither before nor after.
    raised = replace(base, paths=np.maximum(base.paths, learned.base.mean[WEB].paths))
    expected = np.maximum(2.0 * without(raised, "sale")[:, at], known[WEB].mean.paths[:, at])
    np.testing.assert_allclose(known[WEB].peak.paths[:, at], expected, rtol=1e-5)


def test_a_scenarios_event_is_checked_once(small: config.Config) -> None:
    """Its plan carries the event; the verdict's demand is that, not the event put upon the event."""
    (event,) = small.events
    other = EventConfig(**event.model_dump() | {"name": "extra", "past": []})
    change = scenario.Scenario(name="with", events=(other,))
    run = pipeline.run(small, pipeline.open_store(small), scenarios=[change], as_of=AS_OF)
    base, changed = ({e.name: e for e in p.events} for p in run.plans)
    assert changed["extra"].verdicts[0].demand_p50 == base["sale"].verdicts[0].demand_p50


def test_a_scenario_never_learns(small: config.Config) -> None:
    (event,) = small.events
    with pytest.raises(ValueError, match="a scenario never learns"):
        scenario.Scenario(name="x", events=(EventConfig(**event.model_dump() | {"multiplier": None}),))


def test_the_plan_tells_occasions(plan: Run) -> None:
    frame = plan.plans[0].frame("occasions")
    sale = frame[(frame["name"] == "sale") & (frame["service"] == "web") & (frame["target"] == "peak")].iloc[0]
    assert (sale["kind"], sale["source"], sale["start"], sale["occurrences"]) == ("event", "learned", SALE, 1)
    holidays = frame[frame["kind"] == "holiday"]
    assert {"Memorial Day", "Independence Day"} <= set(holidays["name"])
    # The day of the past sale was a holiday too: the sale has it where it reached, elsewhere the holiday.
    juneteenth = holidays[holidays["name"].str.startswith("Juneteenth")]
    assert set(juneteenth["service"]) == {"thumbs"}
    assert juneteenth["multiplier"].to_numpy() == pytest.approx([3.0, 3.0], rel=0.1)
    assert (holidays.drop(juneteenth.index)["multiplier"] - 1).abs().max() < 0.05


def test_a_given_event_is_told_as_given(planned: Run) -> None:
    frame = planned.plans[0].frame("occasions")
    rows = frame[(frame["name"] == "sale") & (frame["service"] == "web")]
    given = rows[rows["source"] == "given"]
    assert set(given["multiplier"]) == {3.0}
    # What the earlier one did is told beside it.
    assert rows[rows["source"] == "learned"]["multiplier"].to_numpy() == pytest.approx([3.0, 3.0], rel=0.1)


def test_outages_are_masked_and_throttled_days_are_bounds(learned: Ground) -> None:
    settings = learned.inputs.config
    assert outages(settings)[WEB] == ((pd.Timestamp("2026-05-04 10:00"), pd.Timestamp("2026-05-05 09:00")),)
    assert outages(settings)[API] == ()
    assert [len(throttled(settings)[u]) for u in (WEB, API, THUMBS)] == [1, 1, 1]
    _, masks = demand_histories(learned.data)
    assert masks[f"{WEB}|peak"] == ((pd.Timestamp("2026-05-04"), pd.Timestamp("2026-05-05")),)
    day = pd.Timestamp("2026-07-06")
    assert (day, day) in demand_dates(learned.data).lower_bounds[f"{WEB}|mean"]
    # The demand that is a hard limit's metric knows of the same dates.
    assert demand_dates(learned.data).occasions[f"{THUMBS}|limit:requests_per_second"]
    assert len(past_masks(settings)[WEB]) == 2


def test_saturated_hours_are_bounds_with_a_flag(learned: Ground) -> None:
    """api ran at 100 % on the day of the past sale: what was served is not what was asked for."""
    days = pd.DatetimeIndex(learned.data[WEB].mean.index)
    cpu = learned.inputs.usage["web", "us-east-1", "cpu_percent", "avg"].copy()
    hot = pd.date_range("2026-07-14 09:00", periods=5, freq="h", tz="UTC")
    cpu[hot] = 99.0
    usage = {**learned.inputs.usage, ("web", "us-east-1", "cpu_percent", "avg"): cpu}
    spans, flags = lower_bounds(replace(learned.inputs, usage=usage), WEB, learned.data[WEB].service, days, ())
    day = pd.Timestamp("2026-07-14")
    assert (day, day) in spans
    assert any(f.startswith("cpu_percent was at 98 % or more in") for f in flags)
    usual = replace(learned.inputs, usage={**usage, ("web", "us-east-1", "cpu_percent", "avg"): cpu * 0 + 100})
    spans, flags = lower_bounds(usual, WEB, learned.data[WEB].service, days, ())
    assert spans == ()
    assert flags[0].endswith("its usual state, not a bound")


def test_a_hard_limits_metric_at_its_limit_is_a_bound(learned: Ground) -> None:
    service = learned.data[THUMBS].service
    hard = service.hard_limits[0].model_copy(update={"limit": float(learned.data[THUMBS].hourly.max())})
    at = learned.data[THUMBS].hourly.idxmax().tz_localize(None).normalize()
    days = pd.DatetimeIndex(learned.data[THUMBS].mean.index)
    spans, flags = lower_bounds(learned.inputs, THUMBS, service.model_copy(update={"hard_limits": [hard]}), days, ())
    assert (at, at) in spans
    assert any("requests_per_second was at its limit" in f for f in flags)


def test_local_days_of_an_event_are_those_of_the_services_zone(small: config.Config) -> None:
    east = small.service("web").model_copy(update={"time_zone": "Australia/Sydney"})
    (event,) = small.events
    late = event.model_copy(update={"multiplier": None, "start": datetime(2026, 9, 18, 15, tzinfo=UTC),
                                    "end": datetime(2026, 9, 19, 14, tzinfo=UTC)})  # fmt: skip
    there = small.model_copy(update={"services": [east, *small.services[1:]], "events": [late]})
    first, last = pd.Timestamp("2026-03-01"), pd.Timestamp("2026-11-01")
    (occasion,) = daily_occasions(there, WEB, first, last)
    assert occasion.spans[-1] == (pd.Timestamp("2026-09-19"), pd.Timestamp("2026-09-19"))


def test_a_services_holidays_go_before_the_configs(learned: Ground) -> None:
    settings = learned.inputs.config
    german = settings.service("web").model_copy(update={"country_holidays": ["DE-BY"]})
    none = settings.service("api").model_copy(update={"country_holidays": []})
    there = settings.model_copy(update={"services": [german, none, *settings.services[2:]], "events": []})
    span = pd.Timestamp("2026-01-01"), pd.Timestamp("2026-12-31")
    names = {u: {o.name for o in daily_occasions(there, u, *span)} for u in (WEB, API, THUMBS)}
    assert "Epiphany" in names[WEB]
    assert "Independence Day" in names[THUMBS]
    assert not names[API]


# --- an events file ------------------------------------------------------------------------------------------


def events_file(folder: Path, rows: str) -> dict[str, forecast.Occasion]:
    index = pd.date_range("2024-01-01", "2025-10-31")
    rng = np.random.default_rng(1)
    values = 100.0 * np.exp(rng.normal(0, 0.03, len(index)))
    values[index == "2024-11-29"] *= 2.5
    frame = pd.DataFrame({"series": "a", "ts": index, "value": values})
    frame.to_csv(folder / "usage.csv", index=False)
    (folder / "events.csv").write_text(rows, encoding="utf-8")
    return pipeline.forecast_files(
        folder / "usage.csv", folder / "out", freq="D", horizon=40, events=folder / "events.csv", paths=100,
        past_origins=2, workers=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("start,end,name\n2024-11-29,2024-11-29,bf\n2025-11-28,2025-11-28,bf\n", 2.5),
        ("start,end,name,multiplier\n2024-11-29,2024-11-29,bf,\n2025-11-28,2025-11-28,bf,1.5\n", 1.5),
        ("start,end\n2024-11-29,2024-11-29\n2025-11-28,2025-11-28\n", 1.0),
        ("start,end,name\n2024-11-29,2024-11-29,bf\n2025-11-28,2025-11-28,other\n", 1.0),
        ("start,end,name,series\n2024-11-29,2024-11-29,bf,b\n2025-11-28,2025-11-28,bf,b\n", 1.0),
    ],
    ids=["learned", "given", "unnamed", "another name", "another series"],
)
def test_rows_of_one_name_teach_the_coming_one(tmp_path: Path, rows: str, expected: float) -> None:
    known = events_file(tmp_path, rows)["a"]
    at = known.index.get_loc(pd.Timestamp("2025-11-28"))
    usual = np.median(known.quantiles[3])
    assert known.quantiles[3][at] == pytest.approx(expected * usual, rel=0.12)
