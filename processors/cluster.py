"""A coffea executor on a dask cluster; needs the `dask` extra."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from coffea import processor

from processors.executors import guarded
from toolkit.errors import InputFileError, MissingExtraError


class GuardedDaskExecutor(processor.DaskExecutor):  # type: ignore[misc]  # coffea is untyped
    """coffea's dask executor, with the toolkit's own errors brought to the front."""

    def __call__(self, items: Sequence[Any], function: Callable[[Any], Any], accumulator: Any) -> Any:
        """Apply the function to all items on the cluster and merge the results."""
        return super().__call__(items, partial(guarded, function), accumulator)


@contextlib.contextmanager
def dask_executor(*, scheduler: str | None = None, workers: int = 1) -> Iterator[Any]:
    """Connect to a dask scheduler, or start a cluster on this machine.

    Args:
        scheduler: Address of the scheduler; None starts a local cluster. Its workers need this package installed and
            the same file system.
        workers: Worker processes of the local cluster.

    Yields:
        A coffea executor for `processors.run`.

    Raises:
        MissingExtraError: dask is not installed.
        InputFileError: The scheduler does not answer.
    """
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtraError(
            "executor dask", got=str(error), expected="dask and distributed", remedy="pip install 'h4l-toolkit[dask]'"
        ) from error
    with contextlib.ExitStack() as stack:
        address: Any = scheduler or stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
        try:
            client = stack.enter_context(Client(address, timeout="20s"))
        except (OSError, ValueError) as error:
            raise InputFileError(
                f"dask scheduler {scheduler}", got=str(error), expected="a scheduler that answers", remedy="check --scheduler ADDRESS"
            ) from error
        yield GuardedDaskExecutor(client=client, retries=0, status=False)
