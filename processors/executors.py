"""A coffea executor for one machine that is silent, reports progress, merges in a fixed order and keeps the type of errors."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import Executor as Pool
from dataclasses import dataclass
from typing import Any

from coffea import processor
from coffea.processor import accumulate

from processors.reduction import reduced
from toolkit.errors import ToolkitError, WorkerLostError
from toolkit.typing import Progress, silent_progress

OnChunk = Callable[[Any], None]
"""Called in the main process with each work item that is finished."""


@dataclass
class LocalExecutor(processor.executor.ExecutorBase):  # type: ignore[misc]
    """Run the chunks in this process (workers = 0) or in worker processes.

    coffea's own executors print progress bars and tracebacks that cannot be turned off, merge in the order in which
    the workers finish, and retry errors that will not go away; otherwise this does the same.

    Args:
        workers: Worker processes; 0 runs everything in this process.
        on_chunk: Called in this process with each finished work item.
        on_wait: Told how long there has been no worker; only clusters have none.
        pool: Makes the workers, called with ``max_workers``; None takes coffea's choice, which starts fresh processes.
        retries: Never more than 0: an error in a chunk is final.
    """

    workers: int = 0
    on_chunk: OnChunk | None = None
    on_wait: Progress = silent_progress
    pool: Callable[..., Pool] | None = None
    retries: int = 0

    def __call__(self, items: Sequence[Any], function: Callable[[Any], Any], accumulator: Any) -> tuple[Any, int]:
        """Apply the function to all items and merge the results in the order of the items."""
        merged = reduced(self._results(items, function), merge_pair)
        return accumulate([merged], accumulator) if merged is not None else accumulator, 0

    def _results(self, items: Sequence[Any], function: Callable[[Any], Any]) -> Iterator[Any]:
        """Yield the result of each item, in their order."""
        return self._in_processes(items, function) if self.workers else self._here(items, function)

    def _here(self, items: Iterable[Any], function: Callable[[Any], Any]) -> Iterator[Any]:
        for item in items:
            yield guarded(function, item)
            self._report(item)

    def _in_processes(self, items: Sequence[Any], function: Callable[[Any], Any]) -> Iterator[Any]:
        make_pool: Callable[..., Pool] = self.pool or processor.FuturesExecutor().pool
        with make_pool(max_workers=self.workers) as pool:
            futures: list[Future[Any]] = [pool.submit(guarded, function, item) for item in items]
            try:
                for item, future in zip(items, futures, strict=True):
                    yield future.result()
                    self._report(item)
            except BrokenExecutor as error:
                raise worker_lost(str(error)) from error
            finally:
                for future in futures:
                    future.cancel()

    def _report(self, item: Any) -> None:
        if self.on_chunk is not None:
            self.on_chunk(item)


def merge_pair(left: Any, right: Any) -> Any:
    """Merge the results of neighbouring chunks, here or in a worker."""
    return accumulate([left, right])


def worker_lost(got: str) -> WorkerLostError:
    """Return the error for workers that died."""
    return WorkerLostError(
        "a worker process died",
        got=got,
        expected="workers that live until their chunk is done",
        remedy="run again, finished chunks are reused; if the machine ran out of memory, take fewer --workers",
    )


def guarded(function: Callable[[Any], Any], item: Any) -> Any:
    """Call the function on a work item, here or in a worker.

    If it raises, the toolkit's own error comes to the front, with its type and message. Afterwards the reference cycles
    that lazily read events leave behind are collected, a chunk's arrays with them; without that the memory grows with
    every chunk. What existed before is kept out of the collection, which would otherwise cost more than the reading.
    """
    gc.freeze()
    try:
        return function(item)
    except Exception as error:
        own = _own_error(error)
        if own is None:
            raise
    finally:
        gc.collect()
        gc.unfreeze()
    raise own  # outside the handler: inside, it would become its own context, and such a cycle cannot be pickled


def _own_error(error: BaseException) -> ToolkitError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ToolkitError):
        cause = cause.__cause__
    return cause
