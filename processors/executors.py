"""A coffea executor for one machine that is silent, reports progress, merges in a fixed order and keeps the type of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from coffea import processor
from coffea.processor import accumulate

from toolkit.errors import ToolkitError

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
        pool: Makes the workers, called with ``max_workers``; None takes coffea's choice, which starts fresh processes.
        retries: Never more than 0: an error in a chunk is final.
    """

    workers: int = 0
    on_chunk: OnChunk | None = None
    pool: Callable[..., Pool] | None = None
    retries: int = 0

    def __call__(self, items: Sequence[Any], function: Callable[[Any], Any], accumulator: Any) -> tuple[Any, int]:
        """Apply the function to all items and merge the results in the order of the items."""
        results = self._in_processes(items, function) if self.workers else self._here(items, function)
        return accumulate(results, accumulator), 0

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
            finally:
                for future in futures:
                    future.cancel()

    def _report(self, item: Any) -> None:
        if self.on_chunk is not None:
            self.on_chunk(item)


def guarded(function: Callable[[Any], Any], item: Any) -> Any:
    """Call the function; if it raises, bring the toolkit's own error to the front, with its type and message."""
    try:
        return function(item)
    except Exception as error:
        own = _own_error(error)
        if own is None:
            raise
    raise own  # outside the handler: inside, it would become its own context, and such a cycle cannot be pickled


def _own_error(error: BaseException) -> ToolkitError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ToolkitError):
        cause = cause.__cause__
    return cause
