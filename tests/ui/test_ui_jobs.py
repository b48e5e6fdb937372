"""Jobs with real child processes: progress, the end in words, cancel with all that was started."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from capacity.errors import UsageError
from capacity.ui import jobs

WAIT_SECONDS = 20


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def script(code: str) -> Callable[[Path, Path, Sequence[str], Path], list[str]]:
    """A command builder that runs ``code`` with (progress file, plans folder) as arguments."""
    return lambda config, plans, scenarios, progress: [sys.executable, "-c", code, str(progress), str(plans)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("version: 1\n")
    return path


@pytest.fixture
def start(config: Path, tmp_path: Path) -> Iterator[Callable[..., jobs.Runner]]:
    made: list[jobs.Runner] = []

    def run(code: str, scenarios: Sequence[str] = ()) -> jobs.Runner:
        runner = jobs.Runner(script(code))
        made.append(runner)
        runner.start(config, tmp_path / "plans", scenarios)
        return runner

    yield run
    for runner in made:
        runner.close()


def state(runner: jobs.Runner) -> str:
    status = runner.status()
    assert status is not None
    return status.state


def test_a_runner_without_a_job_has_no_status() -> None:
    assert jobs.Runner().status() is None


def test_progress_is_read_while_the_job_runs(start: Callable[..., jobs.Runner]) -> None:
    runner = start(
        "import sys, json, time\n"
        "f = open(sys.argv[1], 'a')\n"
        "f.write(json.dumps({'stage': 'forecast', 'done': 3, 'total': 12}) + '\\n'); f.flush()\n"
        "time.sleep(60)",
        ["peak"],
    )
    until(lambda: (s := runner.status()) is not None and s.progress.stage == "forecast")
    status = runner.status()
    assert status is not None
    assert status.state == "running"
    assert status.scenarios == ("peak",)
    assert status.progress == jobs.Progress("forecast", 3, 12)
    assert status.progress.share == 0.25


@pytest.mark.parametrize(
    ("code", "ends", "words"),
    [
        (0, "done", "ready"),
        (1, "done", "policy"),
        (2, "failed", "config"),
        (3, "failed", "stale"),
        (4, "failed", "requirements"),
        (70, "failed", "fault"),
        (99, "failed", "unknown exit code (99)"),
    ],
)
def test_exit_codes_end_in_words(start: Callable[..., jobs.Runner], code: int, ends: str, words: str) -> None:
    runner = start(f"import sys; print('the last words', file=sys.stderr); sys.exit({code})")
    until(lambda: state(runner) != "running")
    status = runner.status()
    assert status is not None
    assert (status.state, status.exit_code) == (ends, code)
    assert words in status.meaning
    assert status.error_tail == (("the last words",) if ends == "failed" else ())


def test_a_job_ended_from_outside_names_the_signal(start: Callable[..., jobs.Runner]) -> None:
    runner = start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    until(lambda: state(runner) != "running")
    status = runner.status()
    assert status is not None
    assert status.state == "failed"
    assert "signal 9" in status.meaning


def test_only_the_end_of_a_long_error_is_kept(start: Callable[..., jobs.Runner]) -> None:
    runner = start("import sys\nfor i in range(5000): print('line', i, file=sys.stderr)\nsys.exit(70)")
    until(lambda: state(runner) != "running")
    status = runner.status()
    assert status is not None
    assert len(status.error_tail) == jobs.TAIL_LINES
    assert status.error_tail[-1] == "line 4999"


def gone(pid: int) -> bool:
    """No such process, or one that has ended and waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the state of processes from /proc")
def test_cancel_ends_the_job_and_its_children_and_leaves_the_plan(
    start: Callable[..., jobs.Runner], tmp_path: Path
) -> None:
    plans = tmp_path / "plans"
    plans.mkdir()
    (plans / "plan.json").write_text("old")
    runner = start(
        "import subprocess, sys, time\n"
        # the grandchild does not listen to SIGTERM: it must end all the same
        "child = subprocess.Popen([sys.executable, '-c', 'import signal, time;'\n"
        "  'signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)'],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "open(sys.argv[1] + '.pid', 'w').write(str(child.pid) + '\\n')\n"
        "time.sleep(60)\n"
        "open(sys.argv[2] + '/plan.json', 'w').write('new')"
    )
    assert runner.folder is not None
    note = runner.folder / "progress.jsonl.pid"
    until(lambda: note.exists() and note.read_text().endswith("\n"))
    child = int(note.read_text())
    began = time.monotonic()
    runner.cancel(grace_seconds=2.0)
    assert time.monotonic() - began < 4.0
    assert state(runner) == "cancelled"
    until(lambda: gone(child))
    assert (plans / "plan.json").read_text() == "old"


def test_a_job_that_ignores_the_request_is_ended(start: Callable[..., jobs.Runner]) -> None:
    runner = start(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'open(sys.argv[1], \'w\').write(\'{"stage": "deaf", "done": 0, "total": 0}\\n\')\ntime.sleep(60)'
    )
    until(lambda: (s := runner.status()) is not None and s.progress.stage == "deaf")
    runner.cancel(grace_seconds=0.2)
    status = runner.status()
    assert status is not None
    assert (status.state, status.exit_code) == ("cancelled", -9)


def test_cancel_after_the_end_changes_nothing(start: Callable[..., jobs.Runner]) -> None:
    runner = start("pass")
    until(lambda: state(runner) == "done")
    runner.cancel()
    assert state(runner) == "done"


def test_two_jobs_at_once_are_refused(start: Callable[..., jobs.Runner], config: Path, tmp_path: Path) -> None:
    runner = start("import time; time.sleep(60)")
    with pytest.raises(UsageError, match="already being made"):
        runner.start(config, tmp_path / "plans", ())


def test_a_second_job_follows_and_the_first_one_s_logs_are_deleted(
    start: Callable[..., jobs.Runner], config: Path, tmp_path: Path
) -> None:
    runner = start("pass")
    until(lambda: state(runner) == "done")
    first = runner.folder
    runner.start(config, tmp_path / "plans", ["b"])
    until(lambda: state(runner) == "done")
    assert first is not None
    assert not first.exists()
    runner.close()
    assert runner.status() is None


def test_no_config_is_an_error_that_says_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="capacity app -c CONFIG"):
        jobs.Runner().start(tmp_path / "absent.yaml", tmp_path, ())


def test_logs_are_the_user_s_own(start: Callable[..., jobs.Runner]) -> None:
    runner = start("pass")
    assert runner.folder is not None
    assert os.stat(runner.folder).st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", jobs.Progress()),
        ('{"stage": "mix", "done": 1, "total": 2}\n{"stage": "re', jobs.Progress("mix", 1, 2)),
        ("nonsense\n[1]\nnull\n", jobs.Progress()),
        ('{"stage": "mix", "done": 9, "total": 2}\n', jobs.Progress("mix", 9, 2)),
    ],
)
def test_progress_reads_the_last_whole_line(tmp_path: Path, text: str, expected: jobs.Progress) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    read = jobs.read_progress(path)
    assert read == expected
    assert 0.0 <= read.share <= 1.0


def test_the_plan_command_names_every_scenario() -> None:
    made = jobs.plan_command(Path("c.yaml"), Path("out"), ["a", "b"], Path("p"), "py")
    assert made == [
        "py", "-m", "capacity", "plan", "-c", "c.yaml", "--scenario", "a", "--scenario", "b", "--out", "out",
        "--progress", "p",
    ]  # fmt: skip
