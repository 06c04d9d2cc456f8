"""What a stage is, and what it is given to work with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config
from toolkit.locations import Location
from toolkit.typing import ExecutorName, JsonObject, Progress, silent_progress


@dataclass(frozen=True)
class ExecutorOptions:
    """Where ntuples are processed and networks trained.

    Args:
        name: `iterative` in this process, `futures` in local processes, `dask` on a cluster.
        workers: Number of processes; None takes the number of cores.
        scheduler: Address of a dask scheduler; None starts a local cluster.
        local: Processes of this machine for what is worth starting them whatever the name says: the networks of a large `iterative`
            training, and plots. With more than one, a program needs ``if __name__ == "__main__":``.
    """

    name: ExecutorName = "iterative"
    workers: int | None = None
    scheduler: str | None = None
    local: int = 1


@dataclass(frozen=True)
class StageContext:
    """What a stage is given, a `toolkit.analysis.Session`. It reads earlier results from `out`, and writes only below `work`.

    Files below `work` move to the same relative path below `out` when the stage has ended without an error.

    Args:
        config: The analysis.
        out: The output folder with the results of earlier stages.
        work: The folder to write in; holds what an interrupted run of the same key left there if the stage is resumable.
        key: Hash of everything that the stage's result depends on.
        executor: Where ntuples are processed and networks trained.
        progress: Told how far a long step is.
        timing_s: Seconds that each earlier stage took.
        started: Monotonic clock at the start of the stage.
        spent_s: Seconds that interrupted runs of the same key already took.
        former: Folders laid out like `work` with finished tasks of former results, made by the same code; a task whose own key
            still holds may be taken over.
    """

    config: Config
    out: Path
    work: Path
    key: str
    executor: ExecutorOptions = ExecutorOptions()
    progress: Progress = silent_progress
    timing_s: Mapping[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    spent_s: float = 0.0
    former: tuple[Path, ...] = ()

    @property
    def tasks(self) -> FinishedTasks:
        """Records of finished tasks of a resumable stage, beside `work`: they go when the stage has ended."""
        return FinishedTasks(self.work.parent / "tasks")

    def elapsed_s(self) -> float:
        """Return the seconds that this stage has taken so far, interrupted runs of the same key included."""
        return self.spent_s + time.monotonic() - self.started


def no_files(config: Config) -> dict[str, tuple[Path, ...]]:
    """Return no inputs: for stages that read only what earlier stages wrote."""
    del config
    return {}


@dataclass(frozen=True)
class Stage:
    """One node of the graph.

    Args:
        name: Name on the command line.
        run: Does the work.
        needs: Stages whose results it reads.
        modules: Modules of ours that do the work; a change in them, or in anything they import, makes the stage stale.
        config_part: The part of the config that the result depends on, as JSON-like values.
        inputs: The user's files that it reads, per sample.
        resumable: Keep `work` after an interruption, for the next run of the same key.
        disk_bytes: Estimate of the space that the result takes, given the inputs' sizes summed.
        writes: Files and folders (with a slash) of the result, for a run that is only rehearsed.
        tasks: Patterns of files of the result that a later run may take over, each with a key of its own inside.
        completes: A stage whose result it completes: where that one is asked for alone, this one comes along.
        idle: Whether it has nothing to do for a config: it then runs by itself before a later stage that is asked for alone.
    """

    name: str
    run: Callable[[StageContext], None]
    needs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    config_part: Callable[[Config], JsonObject] = lambda config: config.model_dump(mode="json")
    inputs: Callable[[Config], Mapping[str, Sequence[Location]]] = no_files
    resumable: bool = False
    disk_bytes: Callable[[int], int] = lambda size: 50_000_000
    writes: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    completes: str | None = None
    idle: Callable[[Config], bool] = lambda config: False
