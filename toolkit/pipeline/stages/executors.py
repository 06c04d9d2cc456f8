"""Where networks train, in the words of the training."""

from __future__ import annotations

from toolkit.pipeline.stage import ExecutorOptions

MANY_EVENTS = 20_000
"""Training events from which an `iterative` training starts processes: with fewer, a member trains as fast as its process starts."""


def executor_of(options: ExecutorOptions, *, n_events: int = 0) -> tuple[str, int | None]:
    """Return where the members train, in the words of `train_ensemble`, and the number of processes.

    Args:
        options: What the user asked for.
        n_events: Training events of the ensemble.

    Examples:
        >>> executor_of(ExecutorOptions("futures")), executor_of(ExecutorOptions("dask", 8, scheduler="tcp://10.0.0.1:8786"))
        (('processes', None), ('tcp://10.0.0.1:8786', 8))
        >>> executor_of(ExecutorOptions(local=4)), executor_of(ExecutorOptions(local=4), n_events=100_000)
        (('sequential', None), ('processes', 4))
    """
    if options.name == "iterative" and options.local > 1 and n_events >= MANY_EVENTS:
        return "processes", options.local
    names = {"iterative": "sequential", "futures": "processes", "dask": options.scheduler or "dask"}
    return names[options.name], options.workers
