"""Where work runs: in this process, in processes or threads at home, or on a Dask cluster named by its address.

The work is a pure function of its chunk, results come back in the order of the chunks, and every worker process counts
with one BLAS thread: so where it ran is nowhere to be seen in what comes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Literal, TypeVar

import capacity
from capacity.errors import CapacityError, UsageError

Kind = Literal["processes", "threads"]
A = TypeVar("A")
B = TypeVar("B")

# A scheduler that has not answered by then is not there; a cluster may take longer to bring up a first worker.
CONNECT_SECONDS = 10.0
FIRST_WORKER_SECONDS = 60.0
# Chunks under way a worker: one that runs and one that waits, so that neither workers nor memory run out.
AHEAD = 2
# Most items a chunk: handing one over costs milliseconds, an item tens of them; and progress is told by the chunk.
LARGEST_CHUNK = 8


def chunked(items: Iterable[A], size: int) -> Iterator[tuple[A, ...]]:
    """``items`` in their order, ``size`` at a time; taken only as they are needed."""
    source = iter(items)
    while chunk := tuple(islice(source, size)):
        yield chunk


def chunk_size(items: int, workers: int) -> int:
    """Items a chunk, so that every worker has several."""
    return max(1, min(LARGEST_CHUNK, items // (4 * workers)))


def spread(
    work: Callable[[A], B],
    chunks: Iterable[A],
    workers: int = 1,
    kind: Kind = "processes",
    scheduler: str | None = None,
) -> Iterator[B]:
    """``work`` on every chunk, results in the order of the chunks.

    Parameters
    ----------
    work
        A function that can be pickled, without side effects.
    workers, kind
        How many processes or threads at home.
    scheduler
        Address of a Dask scheduler such as ``tcp://10.0.0.5:8786``: its workers are used instead.

    Raises
    ------
    UsageError
        The cluster cannot be used: not installed, not reachable, or its workers hold another version.
    """
    if scheduler is not None:
        return _on_cluster(work, chunks, scheduler)
    if workers <= 1:
        return map(work, chunks)
    return _at_home(work, chunks, workers, kind)


def _at_home(work: Callable[[A], B], chunks: Iterable[A], workers: int, kind: Kind) -> Iterator[B]:
    from joblib import Parallel, delayed, parallel_config

    backend: dict[str, Any] = (
        {"backend": "loky", "inner_max_num_threads": 1} if kind == "processes" else {"backend": "threading"}
    )
    with parallel_config(**backend):
        jobs = (delayed(work)(chunk) for chunk in chunks)
        pool = Parallel(n_jobs=workers, return_as="generator", batch_size=1, pre_dispatch=AHEAD * workers)
        out: Iterator[B] = iter(pool(jobs))
    return out


# --- Dask ------------------------------------------------------------------------------------------------------


def _on_cluster(work: Callable[[A], B], chunks: Iterable[A], address: str) -> Iterator[B]:
    client = connect(address)
    try:
        workers = check_versions(client, address)
    except BaseException:
        client.close()
        raise
    return _gathered(client, work, chunks, AHEAD * workers, address)


def _gathered(client: Any, work: Callable[[A], B], chunks: Iterable[A], ahead: int, address: str) -> Iterator[B]:
    """Results in order, with ``ahead`` chunks under way: the cluster never holds the whole job."""
    source, under_way = iter(chunks), deque[Any]()
    try:
        while True:
            for chunk in islice(source, ahead - len(under_way)):
                # Names are not made from contents: hashing what is sent takes longer than it saves.
                under_way.append(client.submit(work, chunk, pure=False))
            if not under_way:
                return
            yield _result(under_way.popleft(), address)
    finally:
        with suppress(Exception):
            client.cancel(list(under_way))
        client.close()


def _result(future: Any, address: str) -> Any:
    try:
        return future.result()
    except CapacityError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("distributed", "concurrent", "asyncio"):
            raise
        raise UsageError(
            f"scheduler {address}: the cluster lost the work ({type(error).__name__}); look at its workers' memory and "
            "logs and run again, or leave the scheduler out to work at home"
        ) from error


def connect(address: str) -> Any:
    """A client of the scheduler at ``address`` that is nobody's default.

    Raises
    ------
    UsageError
        Dask is not installed, or nothing answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            f"scheduler {address}: dask.distributed is not installed; pip install 'capacity[cluster]', or leave the "
            "scheduler out to work at home"
        ) from None
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(
            f"scheduler {address}: no Dask scheduler answers there ({type(error).__name__} within "
            f"{CONNECT_SECONDS:.0f} s); check the address, such as tcp://10.0.0.5:8786, or leave the scheduler out to "
            "work at home"
        ) from None


def check_versions(client: Any, address: str) -> int:
    """Threads of the cluster, once all its workers are known to hold this package in this version."""
    try:
        client.submit(_version, pure=False).result(timeout=FIRST_WORKER_SECONDS)  # wakes a cluster that sleeps
        found: dict[str, str] = client.run(_version)
    except Exception as error:
        raise UsageError(
            f"scheduler {address}: its workers do not run this package ({type(error).__name__}: {error}); install "
            f"capacity {capacity.__version__} on each, and start at least one"
        ) from None
    other = sorted({v for v in found.values() if v != capacity.__version__})
    if other:
        raise UsageError(
            f"scheduler {address}: workers hold capacity {', '.join(other)}, here is {capacity.__version__}; install "
            "the same version on each"
        )
    return max(1, sum(int(n) for n in client.nthreads().values()))


def _version() -> str:
    return capacity.__version__
