"""An executor on a dask cluster; needs the `dask` extra."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from processors.executors import LocalExecutor, guarded, merge_pair, worker_lost
from processors.reduction import reduced
from toolkit.clusters import CONNECT_S, POLL_S, WAIT_S, Watch, connected
from toolkit.typing import Progress, silent_progress


@dataclass
class ClusterExecutor(LocalExecutor):
    """Run the chunks on a dask cluster; results merge in the order of the chunks, as on one machine, and on the workers.

    A chunk whose worker dies runs again on another one, a few times; tables are written in one step, so nothing is
    counted twice.

    Args:
        client: A dask client.
        wait_s: Seconds without any worker after which the run gives up.
    """

    client: Any = None
    wait_s: float = WAIT_S

    def __call__(self, items: Sequence[Any], function: Callable[[Any], Any], accumulator: Any) -> tuple[Any, int]:
        """Apply the function to all items and merge the results in the order of the items."""
        from distributed import CancelledError  # noqa: PLC0415  # optional
        from distributed.comm.core import CommClosedError  # noqa: PLC0415
        from distributed.scheduler import KilledWorker  # noqa: PLC0415

        chunks = [self.client.submit(guarded, function, item, pure=False, retries=0) for item in items]
        merges: list[Any] = []

        def merge(left: Any, right: Any) -> Any:
            merges.append(self.client.submit(merge_pair, left, right, pure=False, retries=0))
            return merges[-1]

        try:
            total = reduced(chunks, merge)
            for item, chunk in zip(items, chunks, strict=True):
                self._await(chunk)
                self._report(item)
            if total is None:
                return accumulator, 0
            self._await(total)
            result = total.result()
        except (KilledWorker, CancelledError, CommClosedError) as error:
            raise worker_lost(f"{type(error).__name__}: {error}") from error
        finally:
            for future in (*merges, *chunks):
                future.cancel()
        return (result if accumulator is None else merge_pair(accumulator, result)), 0

    def _await(self, future: Any) -> None:
        """Wait for a result that stays on its worker; raise what the task raised."""
        from distributed import wait  # noqa: PLC0415  # optional

        def pause() -> None:
            with contextlib.suppress(TimeoutError):
                wait([future], timeout=POLL_S)

        Watch(self.client, progress=self.on_wait, limit_s=self.wait_s).until(future.done, pause=pause)
        if future.status != "finished":
            future.result()


@contextlib.contextmanager
def dask_executor(
    *,
    scheduler: str | None = None,
    workers: int = 1,
    progress: Progress = silent_progress,
    timeout_s: float = CONNECT_S,
    wait_s: float = WAIT_S,
) -> Iterator[ClusterExecutor]:
    """Connect to a dask scheduler, or start a cluster on this machine.

    Args:
        scheduler: Address of the scheduler; None starts a local cluster. Its workers need this package installed and
            the same file system.
        workers: Worker processes of the local cluster.
        progress: Told how long there has been no worker.
        timeout_s: How long to wait for the scheduler to answer, s.
        wait_s: How long to wait where there is no worker, s.

    Yields:
        An executor for `processors.run`.

    Raises:
        MissingExtraError: dask is not installed.
        InputFileError: The scheduler does not answer.
        WorkerLostError: No worker comes, or one of the local cluster died while it started.
    """
    with connected(scheduler, workers=workers, progress=progress, connect_s=timeout_s, wait_s=wait_s) as client:
        yield ClusterExecutor(client=client, on_wait=progress, wait_s=wait_s)
