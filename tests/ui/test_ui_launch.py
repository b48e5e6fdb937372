"""The command that serves the page: loopback, known hosts, silent, and no streamlit imported to build it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from capacity.ui import launch


def flags(command: list[str]) -> list[str]:
    return command[5:]


def test_command_is_this_python_and_the_packaged_script() -> None:
    command = launch.command(Path("plans"), None, 8600)
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    script = Path(command[4])
    assert script.is_file()
    assert script.name == "_app.py"


def test_listens_on_loopback_and_says_nothing() -> None:
    given = flags(launch.command(Path("plans"), None, 8600))
    for wanted in (
        "--server.address=127.0.0.1",
        "--server.port=8600",
        "--server.headless=true",
        "--server.fileWatcherType=none",
        "--server.allowedHosts=localhost",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--client.toolbarMode=minimal",
    ):
        assert wanted in given


def test_port_is_left_to_streamlit_where_none_is_given() -> None:
    assert not [f for f in launch.command(Path("plans"), None, None) if f.startswith("--server.port")]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1"])
def test_foreign_hosts_stay_refused(address: str) -> None:
    assert launch.allowed_hosts(address) == ("localhost", "127.0.0.1", "::1")


def test_a_named_address_is_an_allowed_host() -> None:
    assert "10.1.2.3" in launch.allowed_hosts("10.1.2.3")


def test_every_flag_is_one_that_streamlit_knows() -> None:
    from streamlit import config

    known = {option.key for option in config.get_config_options(force_reparse=True).values()}
    names = [f.removeprefix("--").split("=")[0] for f in flags(launch.command(Path("p"), None, 1))]
    assert not [n for n in names if n not in known]


def test_theme_holds_both_themes_with_readable_text() -> None:
    import tomllib

    from capacity.charts import contrast

    theme = tomllib.loads((Path(launch.__file__).parent / "theme.toml").read_text())["theme"]
    for name in ("light", "dark"):
        colours = theme[name]
        assert contrast(colours["textColor"], colours["backgroundColor"]) >= 4.5
        assert contrast(colours["textColor"], colours["secondaryBackgroundColor"]) >= 4.5
        assert contrast("#FFFFFF", colours["primaryColor"]) >= 4.5  # white words on a primary button


def test_environment_carries_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = launch.environment(Path("plans"), Path("c.yaml"), {"HOME": "/h"})
    assert made == {"HOME": "/h", launch.PLANS: str(tmp_path / "plans"), launch.CONFIG: str(tmp_path / "c.yaml")}


def test_environment_drops_a_config_of_an_earlier_run(tmp_path: Path) -> None:
    assert launch.CONFIG not in launch.environment(tmp_path, None, {launch.CONFIG: "old.yaml"})


def test_launch_and_jobs_import_no_streamlit() -> None:
    code = "import sys, capacity.ui.launch, capacity.ui.jobs; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
