"""Where the toys of a run are made: here, in local processes, or on the cluster that processed the ntuples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from toolkit.clusters import connected
from toolkit.likelihood.toy_workers import Workers, dask_workers, local_processes, run_here
from toolkit.pipeline.stage import ExecutorOptions
from toolkit.typing import Progress, silent_progress


@contextlib.contextmanager
def toy_workers(options: ExecutorOptions, progress: Progress = silent_progress) -> Iterator[Workers]:
    """Give the place where toys run; `progress` is told how long a cluster has had no worker."""
    if options.name == "dask":
        with connected(options.scheduler, workers=options.workers or 1, progress=progress) as client:
            yield dask_workers(client)
    elif options.name == "futures":
        yield local_processes(options.workers or os.cpu_count() or 1)
    else:
        yield run_here
