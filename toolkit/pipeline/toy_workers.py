"""Where the toys of a run are made: here, in local processes, or on the cluster that processed the ntuples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from toolkit.likelihood.toy_workers import Workers, dask_workers, local_processes, run_here
from toolkit.pipeline.stage import ExecutorOptions


@contextlib.contextmanager
def toy_workers(options: ExecutorOptions) -> Iterator[Workers]:
    """Give the place where toys run."""
    if options.name == "dask":
        from processors.cluster import dask_executor  # noqa: PLC0415 - dask is an extra

        with dask_executor(scheduler=options.scheduler, workers=options.workers or 1) as executor:
            yield dask_workers(executor.client)
    elif options.name == "futures":
        yield local_processes(options.workers or os.cpu_count() or 1)
    else:
        yield run_here
