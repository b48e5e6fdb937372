"""Where the work runs is nowhere to be seen in what comes back."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from capacity.domain import SeriesForecast
from capacity.errors import UsageError
from capacity.forecast import _workers, forecast_batch
from capacity.forecast._workers import check_versions, chunk_size, chunked, connect, spread
from tests.forecast.simulate import simulate


def histories(count: int = 6) -> dict[str, pd.Series]:
    return {f"s{i}": simulate(np.random.default_rng(i), 90, "D") for i in range(count)}


def forecasts(**where: object) -> dict[str, SeriesForecast]:
    return forecast_batch(histories(), freq="D", horizon=14, n_paths=60, past_origins=2, **where)  # type: ignore[arg-type]


def assert_same(a: dict[str, SeriesForecast], b: dict[str, SeriesForecast]) -> None:
    assert list(a) == list(b)
    for key, one in a.items():
        for name in ("quantiles", "paths", "peak", "total"):
            np.testing.assert_array_equal(getattr(one, name), getattr(b[key], name))
        assert (one.model, one.reason, one.scores, one.flags) == (
            b[key].model,
            b[key].reason,
            b[key].scores,
            b[key].flags,
        )


@pytest.fixture(scope="module")
def alone() -> dict[str, SeriesForecast]:
    return forecasts()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler with two worker processes, as a cluster would have it; its files are its own."""
    from distributed import LocalCluster

    with LocalCluster(
        processes=True, n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1",
        local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as running:  # fmt: skip
        yield running.scheduler_address


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_two_workers_at_home_give_the_same_as_one(alone: dict[str, SeriesForecast], kind: str) -> None:
    assert_same(alone, forecasts(workers=2, workers_kind=kind))


def test_a_dask_cluster_gives_the_same(alone: dict[str, SeriesForecast], cluster: str) -> None:
    from distributed import default_client

    seen: list[int] = []
    assert cluster.startswith("tcp://")
    assert_same(alone, forecasts(scheduler=cluster, progress=lambda done, *_: seen.append(done)))
    assert seen == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="No client"):
        default_client()  # our client was nobody's default


def test_the_work_is_done_by_the_clusters_processes_in_the_order_of_the_chunks(cluster: str) -> None:
    done = list(spread(_who, [(i,) for i in range(9)], scheduler=cluster))
    assert [chunk for chunk, _ in done] == [(i,) for i in range(9)]
    assert os.getpid() not in {pid for _, pid in done}


def test_an_error_in_the_work_is_the_error_of_the_call(cluster: str) -> None:
    for where in ({"scheduler": cluster}, {"workers": 2}, {"workers": 1}):
        with pytest.raises(ZeroDivisionError):
            list(spread(_fails, [1, 0, 2], **where))  # type: ignore[arg-type]


def test_workers_of_another_version_are_refused(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(cluster)
    try:
        assert check_versions(client, cluster) == 2
        monkeypatch.setattr(_workers.capacity, "__version__", "0.0.1")
        with pytest.raises(UsageError, match=r"here is 0\.0\.1; install"):
            check_versions(client, cluster)
    finally:
        client.close()


def test_an_address_where_nobody_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_workers, "CONNECT_SECONDS", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"tcp://127.0.0.1:{port}", "nonsense"):
        with pytest.raises(UsageError, match=f"{address}.*leave the scheduler out"):
            forecasts(scheduler=address)


def test_without_dask_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'capacity\[cluster\]'"):
        forecasts(scheduler="tcp://127.0.0.1:8786")


def test_dask_is_not_imported_at_home() -> None:
    code = "import capacity.forecast, sys; sys.exit('distributed' in sys.modules or 'joblib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_chunks_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []
    source = chunked((taken.append(i) or i for i in range(10)), 3)
    assert next(source) == (0, 1, 2)
    assert taken == [0, 1, 2]
    assert list(source) == [(3, 4, 5), (6, 7, 8), (9,)]
    assert [chunk_size(n, 2) for n in (1, 16, 3000)] == [1, 2, _workers.LARGEST_CHUNK]


def _who(chunk: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    return chunk, os.getpid()


def _fails(number: int) -> float:
    return 1 / number
