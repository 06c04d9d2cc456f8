"""An executor on a dask cluster; needs the `dask` extra."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from processors.executors import LocalExecutor, guarded, worker_lost
from toolkit.errors import InputFileError, MissingExtraError


@dataclass
class ClusterExecutor(LocalExecutor):
    """Run the chunks on a dask cluster; results merge in the order of the chunks, as on one machine.

    A chunk whose worker dies runs again on another one, a few times; tables are written in one step, so nothing is
    counted twice.

    Args:
        client: A dask client.
    """

    client: Any = None

    def _results(self, items: Sequence[Any], function: Callable[[Any], Any]) -> Iterator[Any]:
        from distributed import CancelledError  # noqa: PLC0415  # optional
        from distributed.comm.core import CommClosedError  # noqa: PLC0415
        from distributed.scheduler import KilledWorker  # noqa: PLC0415

        futures = [self.client.submit(guarded, function, item, pure=False, retries=0) for item in items]
        try:
            for position, item in enumerate(items):
                result, futures[position] = futures[position].result(), None
                yield result
                self._report(item)
        except (KilledWorker, CancelledError, CommClosedError) as error:
            raise worker_lost(f"{type(error).__name__}: {error}") from error
        finally:
            for future in futures:
                if future is not None:
                    future.cancel()


@contextlib.contextmanager
def dask_executor(*, scheduler: str | None = None, workers: int = 1, timeout_s: float = 20.0) -> Iterator[ClusterExecutor]:
    """Connect to a dask scheduler, or start a cluster on this machine.

    Args:
        scheduler: Address of the scheduler; None starts a local cluster. Its workers need this package installed and
            the same file system.
        workers: Worker processes of the local cluster.
        timeout_s: How long to wait for the scheduler to answer.

    Yields:
        An executor for `processors.run`.

    Raises:
        MissingExtraError: dask is not installed.
        InputFileError: The scheduler does not answer.
        WorkerLostError: A worker of the local cluster died while it started.
    """
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtraError(
            "executor dask", got=str(error), expected="dask and distributed", remedy="pip install 'h4l-toolkit[dask]'"
        ) from error
    with contextlib.ExitStack() as stack:
        try:
            address: Any = scheduler or stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
        except (RuntimeError, OSError) as error:
            raise worker_lost(f"local dask cluster does not start: {error}") from error
        try:
            client = stack.enter_context(Client(address, timeout=timeout_s))
        except (OSError, ValueError) as error:
            raise InputFileError(
                f"dask scheduler {scheduler}", got=str(error), expected="a scheduler that answers", remedy="check --scheduler ADDRESS"
            ) from error
        yield ClusterExecutor(client=client)
