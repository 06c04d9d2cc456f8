"""Connect to a dask cluster and wait for its workers, each for a stated time; dask is optional (extra `dask`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from toolkit.errors import InputFileError, MissingExtraError, WorkerLostError
from toolkit.typing import DETAIL, Progress, silent_progress

CONNECT_S = 10.0
"""Seconds that a scheduler has to answer."""
WAIT_S = 900.0
"""Seconds without any worker after which a run gives up."""
POLL_S = 1.0
NOBODY = "0 workers, waiting"


@contextlib.contextmanager
def connected(
    scheduler: str | None = None,
    *,
    workers: int = 1,
    progress: Progress = silent_progress,
    connect_s: float = CONNECT_S,
    wait_s: float = WAIT_S,
) -> Iterator[Any]:
    """Connect to a dask scheduler, or start a cluster on this machine; ends when the block does.

    Args:
        scheduler: Address of the scheduler; None starts a local cluster.
        workers: Worker processes of the local cluster, one thread each.
        progress: Called every second without a worker, see `wait_for_workers`.
        connect_s: How long to wait for the scheduler to answer, s.
        wait_s: How long to wait for its first worker, s.

    Yields:
        A dask client with at least one worker.

    Raises:
        MissingExtraError: dask is not installed.
        InputFileError: The scheduler does not answer.
        WorkerLostError: No worker comes, or one of the local cluster died while it started.
    """
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415  # optional
    except ImportError as error:
        remedy = "pip install 'h4l-toolkit[dask]'"
        raise MissingExtraError("executor dask", got=str(error), expected="dask and distributed", remedy=remedy) from error
    with contextlib.ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            try:
                address = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
            except (RuntimeError, OSError) as error:
                raise WorkerLostError(
                    "the local dask cluster does not start",
                    got=str(error),
                    expected="workers that start",
                    remedy="run again, what is finished is kept; if the machine ran out of memory, take fewer --workers",
                ) from error
        try:
            client = stack.enter_context(Client(address, timeout=connect_s))
        except (OSError, ValueError) as error:
            raise InputFileError(
                f"dask scheduler {scheduler}",
                got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer'}",
                expected=f"a scheduler that answers within {connect_s:g} s",
                remedy="check --scheduler ADDRESS; `h4l cluster --example slurm` shows how one is started",
            ) from error
        wait_for_workers(client, progress=progress, limit_s=wait_s)
        yield client


def wait_for_workers(client: Any, *, progress: Progress = silent_progress, limit_s: float = WAIT_S) -> None:
    """Wait until a cluster has a worker.

    Args:
        client: A dask client.
        progress: Called with the label ``0 workers, waiting``, the seconds that have passed and the limit.
        limit_s: When to give up, s.

    Raises:
        WorkerLostError: There was none for so long.
    """
    Watch(client, progress=progress, limit_s=limit_s).until(lambda: bool(client.nthreads()))


class Watch:
    """Waits for something that only workers can bring, and gives up where there are none for too long.

    Args:
        client: A dask client.
        progress: See `wait_for_workers`.
        limit_s: Seconds without any worker.
    """

    def __init__(self, client: Any, *, progress: Progress = silent_progress, limit_s: float = WAIT_S) -> None:
        self._client, self._progress, self._limit_s = client, progress, limit_s
        self._since: float | None = None

    def until(self, done: Callable[[], bool], *, pause: Callable[[], None] = lambda: time.sleep(POLL_S)) -> None:
        """Wait until `done`; `pause` is what to do between two looks.

        Raises:
            WorkerLostError: There was no worker for too long.
        """
        while not done():
            self._look()
            pause()
        if self._since is not None:
            self._since = None
            self._progress(NOBODY, self._limit_s, self._limit_s)  # closes its bar

    def _look(self) -> None:
        now = time.monotonic()
        if self._client.nthreads():
            self._since = None
            return
        self._since = now if self._since is None else self._since
        passed = now - self._since
        if passed >= self._limit_s:
            raise WorkerLostError(
                "dask cluster",
                got=f"0 workers for {passed:.0f} s",
                expected="at least one worker",
                remedy="start workers (`h4l cluster --example slurm` shows how) and run again; what is finished is kept",
            )
        self._progress(f"{NOBODY}{DETAIL}{passed:.0f} of {self._limit_s:.0f} s", passed, self._limit_s)
