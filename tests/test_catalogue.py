"""The catalogue's two files: what they hold, how they are replaced, what differs between two of them."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import capacity
from capacity import catalogue, cli
from capacity.catalogue import About, Catalogue, Column
from capacity.errors import CorruptDataError, MissingDataError
from capacity.schemas import check_frame
from tests.company import CONFIG

OD = catalogue.rate_column("on_demand")
ABOUT = About("us-east-1", {"specifications": Column("a test"), OD: Column("a list", date(2026, 7, 20))})
NAMES = ("c5.large", "m7g.large", "r7g.xlarge")


def frame(**rates: list[float | None]) -> pd.DataFrame:
    known = catalogue.load().frame.set_index("instance_type").loc[list(NAMES)].reset_index()
    facts = known[[c for c in known.columns if not c.endswith("_usd_per_hour") and not c.startswith("spot")]]
    return facts.assign(
        **{catalogue.rate_column(p): values for p, values in ({"on_demand": [0.1, 0.2, 0.3]} | rates).items()}
    )


# --- the bundled one -------------------------------------------------------------------------------------------


def test_the_bundled_rates_each_have_a_source_and_a_date() -> None:
    known = catalogue.load()
    prices = check_frame("prices", known.prices, "the bundled catalogue")
    assert len(known.types) == 1080
    assert prices.groupby("product").size().to_dict() == {"on_demand": 1080, "standard_ri_3y_all_upfront": 1064}
    assert prices.groupby("product")["as_of"].first().dt.strftime("%Y-%m-%d").to_dict() == {
        "on_demand": "2026-07-20", "standard_ri_3y_all_upfront": "2026-06-06",
    }  # fmt: skip
    assert prices["source"].str.len().min() > 10
    assert known.rates_day == date(2026, 7, 20)
    assert known.version.startswith("2026-07-20-")


def test_the_bundled_description_is_of_the_bundled_rates() -> None:
    folder = Path(capacity.__file__).parent / "data"
    digest = hashlib.sha256((folder / "catalogue.csv").read_bytes()).hexdigest()
    assert f'sha256: "{digest}"' in (folder / "catalogue.yaml").read_text()


# --- writing and reading ------------------------------------------------------------------------------------------


def test_the_bundled_one_written_and_read_is_the_same(tmp_path: Path) -> None:
    known = catalogue.load()
    made = catalogue.write(tmp_path / "a" / "b", known.frame, known.about)
    assert made.types == known.types
    pd.testing.assert_frame_equal(made.prices, known.prices, check_exact=True)
    assert made.about == known.about
    assert {p.name for p in (tmp_path / "a" / "b").iterdir()} == {"catalogue.csv", "catalogue.yaml"}


@given(
    rates=st.lists(st.floats(1e-9, 1e6) | st.none(), min_size=3, max_size=3),
    source=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=40),
    day=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
)
def test_any_rate_source_and_date_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rates: list[float | None], source: str, day: date
) -> None:
    about = replace(ABOUT, columns={**ABOUT.columns, catalogue.rate_column("spot"): Column(source, day)})
    found = catalogue.write(tmp_path_factory.mktemp("c"), frame(spot=rates), about)
    rows = found.prices[found.prices["product"] == "spot"].set_index("instance_type")
    assert rows["rate"].to_dict() == {n: r for n, r in zip(NAMES, rates, strict=True) if r is not None}
    assert found.about == about


def test_the_version_changes_with_the_content_and_nothing_else(tmp_path: Path) -> None:
    first = catalogue.write(tmp_path / "a", frame(), ABOUT).version
    assert catalogue.write(tmp_path / "b", frame(), ABOUT).version == first
    assert catalogue.write(tmp_path / "a", frame(), ABOUT).version == first
    yaml = (tmp_path / "a" / "catalogue.yaml").read_text()
    (tmp_path / "a" / "catalogue.yaml").write_text(f"# a comment\n{yaml}")
    text = (tmp_path / "a" / "catalogue.csv").read_bytes()
    (tmp_path / "a" / "catalogue.csv").write_bytes(text.replace(b"\n", b"\r\n"))  # as git may check it out
    assert catalogue.load(tmp_path / "a").version == first
    others = [
        (frame(on_demand=[0.1, 0.2, 0.30001]), ABOUT),
        (frame().iloc[:2], ABOUT),
        (frame(), replace(ABOUT, region="eu-west-1")),
        (frame(), replace(ABOUT, columns={**ABOUT.columns, OD: Column("another list", date(2026, 7, 20))})),
        (frame(), replace(ABOUT, columns={**ABOUT.columns, OD: Column("a list", date(2026, 7, 21))})),
    ]
    versions = [catalogue.write(tmp_path / "c", f, a).version for f, a in others]
    assert len({first, *versions}) == 1 + len(others)


def test_a_write_that_stops_anywhere_leaves_one_of_the_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before each rename and before the last deletion, again and again, with other content each time."""
    now = catalogue.write(tmp_path, frame(), ABOUT).version
    (tmp_path / "notes.txt").write_text("mine")
    for round_ in range(3):
        for at in range(4):
            rates: list[float | None] = [round_ + 1.0, at + 1.0, 3.0]
            new = catalogue.write(tmp_path / "elsewhere", frame(on_demand=rates), ABOUT).version
            with monkeypatch.context() as patch:
                stop_at(patch, at)
                with pytest.raises(KeyboardInterrupt):
                    catalogue.write(tmp_path, frame(on_demand=rates), ABOUT)
            found = catalogue.load(tmp_path).version
            assert found == (new if at == 3 else now)
            now = found
    catalogue.write(tmp_path, frame(), ABOUT)
    left_over = {p.name for p in tmp_path.iterdir()} - {"elsewhere"}
    assert left_over == {"catalogue.csv", "catalogue.yaml", "notes.txt"}


def stop_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Stop the process, as it were, before change number ``step`` of the folder."""
    left = [step]

    def counted(name: str) -> None:
        real = getattr(Path, name)

        def change(self: Path, *arguments: object, **keys: object) -> object:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(self, *arguments, **keys)

        patch.setattr(Path, name, change)

    counted("replace")
    counted("unlink")


def test_readers_see_the_one_or_the_other_while_it_is_replaced(tmp_path: Path) -> None:
    frames = [frame(on_demand=[x, x, x]) for x in (0.1, 0.2)]
    versions = {catalogue.write(tmp_path, f, ABOUT).version for f in frames}
    seen: set[str] = set()
    errors: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                seen.add(catalogue.load(tmp_path).version)
            except Exception as error:
                errors.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for i in range(60):
        catalogue.write(tmp_path, frames[i % 2], ABOUT)
    done.set()
    reader.join()
    assert errors == []
    assert seen <= versions


# --- what is no catalogue ---------------------------------------------------------------------------------------


def spoil(folder: Path, csv: tuple[str, str] = ("", ""), yaml: tuple[str, str] = ("", ""), keep: bool = False) -> None:
    """Replace text in the files of a small catalogue; its SHA-256 is left out unless ``keep``."""
    catalogue.write(folder, frame(), ABOUT)
    for name, (old, new) in (("catalogue.csv", csv), ("catalogue.yaml", yaml)):
        text = (folder / name).read_text()
        assert old in text
        text = text.replace(old, new, 1) if old else text
        if name.endswith("yaml") and not keep:
            text = "\n".join(line for line in text.splitlines() if not line.startswith("sha256"))
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("csv", "yaml", "says"),
    [
        (("memory_gib", "memory"), ("", ""), "columns missing: memory_gib"),
        (("m7g.large", "c5.large"), ("", ""), "c5.large is there twice"),
        (("0.1\n", "-0.1\n"), ("", ""), "on_demand_usd_per_hour of c5.large is no rate"),
        (("0.1\n", "free\n"), ("", ""), "on_demand_usd_per_hour of c5.large is no rate"),
        (
            ("", ""),
            ('    date: "2026-07-20"', ""),
            "on_demand_usd_per_hour has no date, and no rate is shown without one",
        ),
        (("", ""), ('"2026-07-20"', '"last week"'), "not the description of a catalogue"),
        (("", ""), ('    source: "a list"\n', ""), "not the description of a catalogue: 'source'"),
        (("", ""), (OD, "spot"), "no source and date in catalogue.yaml for on_demand_usd_per_hour"),
        (("", ""), ("region:", "region: x\nregion:"), "key 'region' is given twice"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(
    tmp_path: Path, csv: tuple[str, str], yaml: tuple[str, str], says: str
) -> None:
    spoil(tmp_path, csv, yaml)
    with pytest.raises(CorruptDataError) as error:
        catalogue.load(tmp_path)
    assert says in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert "`capacity catalog refresh`" in str(error.value)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    spoil(tmp_path, ("0.1\n", "0.2\n"), keep=True)
    with pytest.raises(CorruptDataError, match=r"is not the file that catalogue\.yaml describes"):
        catalogue.load(tmp_path)


def test_no_catalogue_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no catalogue\.yaml here; make a catalogue"):
        catalogue.load(tmp_path)


def test_what_is_no_catalogue_is_not_written(tmp_path: Path) -> None:
    before = catalogue.write(tmp_path, frame(), ABOUT).version
    with pytest.raises(CorruptDataError, match="is no rate"):
        catalogue.write(tmp_path, frame(on_demand=[0.1, 0.0, 0.3]), ABOUT)
    with pytest.raises(CorruptDataError, match="no source and date"):
        catalogue.write(tmp_path, frame(spot=[0.1, None, None]), ABOUT)
    assert catalogue.load(tmp_path).version == before


# --- differences ------------------------------------------------------------------------------------------------


def made(folder: Path, rows: pd.DataFrame, about: About = ABOUT) -> Catalogue:
    columns = {**about.columns, catalogue.rate_column("spot"): Column("s", date(2026, 7, 1))}
    return catalogue.write(folder, rows, replace(about, columns=columns))


def test_changes_count_what_came_went_and_moved(tmp_path: Path) -> None:
    before = made(tmp_path / "a", frame(spot=[0.05, None, 0.1]).iloc[[0, 2]])
    after_rows = frame(on_demand=[0.11, 0.2, 0.15], spot=[None, 0.05, 0.1]).assign(vcpu=[4, 2, 4])
    found = catalogue.changes(before, made(tmp_path / "b", after_rows))
    assert (found.types_added, found.types_removed) == (("m7g.large",), ())
    assert found.facts_changed == ("c5.large",)
    assert [(p.product, p.rates, p.added, p.removed, p.changed) for p in found.products] == [
        ("on_demand", 3, 1, 0, 2), ("spot", 2, 1, 1, 0),
    ]  # fmt: skip
    assert [(r.instance_type, r.product, round(r.change_frac, 6)) for r in found.largest] == [
        ("r7g.xlarge", "on_demand", -0.5), ("c5.large", "on_demand", 0.1),
    ]  # fmt: skip
    assert catalogue.changes(before, before).largest == ()


def test_rates_of_another_region_are_not_compared(tmp_path: Path) -> None:
    before, after = (made(tmp_path / r, frame(spot=[0.1] * 3), replace(ABOUT, region=r)) for r in ("a-b-1", "c-d-1"))
    found = catalogue.changes(before, after)
    assert not found.same_region
    assert [(p.added, p.removed, p.changed) for p in found.products] == [(3, 0, 0), (3, 0, 0)]


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_shows_the_bundled_one_or_a_configs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("version: 1\n", "version: 1\ncatalogue: rates\n", 1))
    mine = catalogue.write(tmp_path / "rates", frame(), ABOUT)
    assert cli.run(["catalog"]) == 0
    assert "catalogue 2026-07-20-" in capsys.readouterr().out
    assert cli.run(["catalog", "-c", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == mine.version
    for arguments in (["m7g.large", "--json", "-c", str(path)], ["--json", "-c", str(path), "m7g.large"]):
        assert cli.run(["catalog", *arguments]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["type"]["vcpu"] == 2
        assert [(r["rate"], r["as_of"][:10]) for r in document["rates"]] == [(0.2, "2026-07-20")]
    assert cli.run(["catalog", "c5.18xlarge", "-c", str(path)]) == 2
    assert "no instance type 'c5.18xlarge'" in capsys.readouterr().err


def test_refresh_is_a_command_and_needs_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["catalog", "refresh"]) == 2
    assert "--config" in capsys.readouterr().err
    assert cli.run(["catalog", "refresh", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("--json", "--as-of", "--out", "--region", "--aws"))
