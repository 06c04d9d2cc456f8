"""Where networks train, in the words of the training."""

from __future__ import annotations

from toolkit.pipeline.stage import ExecutorOptions


def executor_of(options: ExecutorOptions) -> str:
    """Return where the members train, in the words of `train_ensemble`.

    Examples:
        >>> executor_of(ExecutorOptions("futures")), executor_of(ExecutorOptions("dask", scheduler="tcp://10.0.0.1:8786"))
        ('processes', 'tcp://10.0.0.1:8786')
    """
    names = {"iterative": "sequential", "futures": "processes", "dask": options.scheduler or "dask"}
    return names[options.name]
