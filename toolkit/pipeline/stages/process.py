"""Stage `process`: event tables, histograms and cut flow from the ntuples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from processors.runner import run as run_processors
from toolkit.errors import InputFileError, MissingExtraError
from toolkit.pipeline.stage import ExecutorOptions, StageContext


def run(context: StageContext) -> None:
    """Process all samples into `events/`, `histograms/` and `cutflow.json`; finished chunks are reused."""
    with open_executor(context.executor) as (executor, workers):
        run_processors(context.config, context.work, executor=executor, workers=workers, progress=context.progress)


@contextlib.contextmanager
def open_executor(options: ExecutorOptions) -> Iterator[tuple[Any, int]]:
    """Give the executor that the user asked for and its number of workers.

    Args:
        options: What the user asked for.

    Yields:
        `iterative`, `futures` or a coffea executor on a dask cluster, and the number of local worker processes.

    Raises:
        MissingExtraError: dask was asked for and is not installed.
        InputFileError: The dask scheduler does not answer.
    """
    workers = options.workers or os.cpu_count() or 1
    if options.name != "dask":
        yield options.name, workers
        return
    with contextlib.ExitStack() as stack:
        yield _dask_executor(options, workers, stack), workers


def _dask_executor(options: ExecutorOptions, workers: int, stack: contextlib.ExitStack) -> Any:
    try:
        from coffea.processor import DaskExecutor
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtraError(
            "executor dask", got=str(error), expected="dask and distributed", remedy="pip install 'h4l-toolkit[dask]'"
        ) from error
    address: Any = options.scheduler or stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
    try:
        client = stack.enter_context(Client(address, timeout="20s"))
    except OSError as error:
        raise InputFileError(
            f"dask scheduler {options.scheduler}", got=str(error), expected="a scheduler that answers", remedy="check --scheduler ADDRESS"
        ) from error
    return DaskExecutor(client=client, retries=0, status=False)
