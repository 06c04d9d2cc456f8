"""Stage `process`: event tables and cut flow from the ntuples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from processors.runner import write_tables
from toolkit.analysis.layout import PLOTS
from toolkit.pipeline.stage import ExecutorOptions, StageContext
from toolkit.typing import Progress


def run(context: StageContext) -> None:
    """Process all samples into `events/`, `cutflow.json` and its plot; finished chunks are reused."""
    with open_executor(context.executor, context.progress) as (executor, workers):
        result = write_tables(
            context.config, context.work, executor=executor, workers=workers, progress=context.progress, former=context.former
        )
    from toolkit.pipeline.stages.looks import process_looks
    from toolkit.plots import PlotStyle, plot_cutflow, save_figure

    style = PlotStyle(luminosity_ifb=context.config.luminosity_used, processes=process_looks(context.config))
    simulated = {sample.name: result.cutflow[sample.name] for sample in context.config.simulated}
    figure = plot_cutflow(simulated, style=style) if simulated else plot_cutflow(result.cutflow, style=style.for_data())
    save_figure(figure, context.work / PLOTS, "cutflow")


@contextlib.contextmanager
def open_executor(options: ExecutorOptions, progress: Progress) -> Iterator[tuple[Any, int]]:
    """Give the executor that the user asked for and the number of local worker processes.

    Args:
        options: What the user asked for.
        progress: Told how long a cluster has had no worker.

    Yields:
        `iterative`, `futures` or a coffea executor on a dask cluster, and the number of workers.
    """
    workers = options.workers or os.cpu_count() or 1
    if options.name != "dask":
        yield options.name, workers
        return
    from processors.cluster import dask_executor

    with dask_executor(scheduler=options.scheduler, workers=workers, progress=progress) as executor:
        yield executor, workers
