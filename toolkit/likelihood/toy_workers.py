"""Where toys run: in this process, in local processes, on a dask cluster.

A worker function takes the source, the tasks and the function that runs one task, and yields (task, result) in any order.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from typing import Any

from toolkit.errors import MissingExtraError, SchemaError, WorkerLostError

RunTask = Callable[[Any, Any], Any]
Workers = Callable[[Any, Sequence[Any], RunTask], Iterator[tuple[Any, Any]]]
"""(source, tasks, run) -> pairs (task, run(source, task))."""

_SHARED: dict[str, Any] = {}
"""In a worker process: the source and the function, sent once and not with every task."""


def run_here(source: Any, tasks: Sequence[Any], run: RunTask) -> Iterator[tuple[Any, Any]]:
    """Run all tasks in this process, one after the other."""
    for task in tasks:
        yield task, run(source, task)


def local_processes(workers: int) -> Workers:
    """Run in worker processes of this machine.

    Args:
        workers: Number of processes, at least 1; 1 stays in this process.

    Returns:
        The worker function. Programs that use it need the usual ``if __name__ == "__main__":``, because workers start afresh.

    Raises:
        SchemaError: Fewer than one process.
    """
    if workers < 1:
        what = "toy workers"
        raise SchemaError(what, got=workers, expected="at least one process")
    if workers == 1:
        return run_here

    def in_processes(source: Any, tasks: Sequence[Any], run: RunTask) -> Iterator[tuple[Any, Any]]:
        if not tasks:
            return
        fresh = multiprocessing.get_context("spawn")  # a forked copy of a process with threads may hang
        with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=fresh, initializer=_receive, initargs=(source, run)) as pool:
            futures = {pool.submit(_run_shared, task): task for task in tasks}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BrokenExecutor as error:
                raise worker_lost(str(error)) from error
            finally:
                for future in futures:
                    future.cancel()

    return in_processes


def dask_workers(client: Any) -> Workers:
    """Run on a dask cluster.

    Args:
        client: A `distributed.Client`; its workers need this package.

    Returns:
        The worker function. A block whose worker dies runs again on another one, with the same result.

    Raises:
        MissingExtraError: dask is not installed.
    """
    try:
        from distributed import as_completed as finished  # noqa: PLC0415  # optional
        from distributed.scheduler import KilledWorker  # noqa: PLC0415
    except ImportError as error:
        what = "toys on dask"
        raise MissingExtraError(what, got=str(error), expected="dask and distributed", remedy="pip install 'h4l-toolkit[dask]'") from error

    def on_cluster(source: Any, tasks: Sequence[Any], run: RunTask) -> Iterator[tuple[Any, Any]]:
        if not tasks:
            return
        shared = client.scatter(source, broadcast=True)
        futures = {client.submit(run, shared, task, pure=False): task for task in tasks}
        try:
            for future in finished(futures):
                yield futures[future], future.result()
        except KilledWorker as error:
            raise worker_lost(str(error)) from error
        finally:
            client.cancel(list(futures))

    return on_cluster


def _receive(source: Any, run: RunTask) -> None:
    _SHARED.update(source=source, run=run)


def _run_shared(task: Any) -> Any:
    return _SHARED["run"](_SHARED["source"], task)


def worker_lost(got: str) -> WorkerLostError:
    """Return the error for a process that ended before its tasks did."""
    what = "a worker process died"
    return WorkerLostError(
        what,
        got=got,
        expected="workers that live until their tasks are done",
        remedy="run again: what is finished is kept; take fewer workers",
    )
