"""Draw and save plots, in this process and in others that begin while it still computes what the next plots show."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from toolkit.artifacts.tasks import FinishedTasks
from toolkit.likelihood.toy_workers import worker_lost
from toolkit.plots import SavedPlot, StyledFigure, save_figure
from toolkit.report.page import PageFigure
from toolkit.typing import Progress, silent_progress


@dataclass(frozen=True)
class PlotJob:
    """One plot to be made: the part of the report it belongs to, its file name, its caption, and how to draw it."""

    part: str
    name: str
    caption: str
    draw: Callable[[], StyledFigure]
    wide: bool = False


class Drawing:
    """Draws plots; the files are the same wherever that is.

    Args:
        folder: Where PDF, PNG and JSON files go.
        progress: Told how far the drawing is, from `finish` on.
        tasks: Knows the plots that an interrupted run has drawn in the folder; none by default.
        processes: This one and others, which start at once. With more than one, a program needs ``if __name__ == "__main__":``.
        prepare: Called before a plot is drawn, such as to register the user's observables.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        progress: Progress = silent_progress,
        tasks: FinishedTasks = FinishedTasks(),  # noqa: B008  # frozen
        processes: int = 1,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._folder, self._progress, self._tasks, self._prepare = Path(folder), progress, tasks, prepare
        self._jobs: list[PlotJob] = []
        self._done = 0
        self._waiting: list[PlotJob] = []
        self._given: dict[Future[None], PlotJob] = {}
        self._others: Executor | None = None
        if processes > 1:
            fresh = multiprocessing.get_context("spawn")  # a forked copy of a process with threads may hang
            self._others = ProcessPoolExecutor(processes - 1, mp_context=fresh, initializer=_begin)
            for _ in range(processes - 1):
                self._others.submit(_begin)  # a process starts with its first task

    def __enter__(self) -> Drawing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._others is not None:
            self._others.shutdown(cancel_futures=True)

    def add(self, jobs: Sequence[PlotJob]) -> None:
        """Take plots on; other processes begin with them."""
        self._jobs += jobs
        for job in jobs:
            if self._tasks.has_files(f"plot {job.name}", self._files(job)):
                self._done += 1
            elif self._others is None:
                self._waiting.append(job)
            else:
                self._given[self._others.submit(_draw, self._folder, job, self._prepare)] = job

    def finish(self) -> dict[str, tuple[PageFigure, ...]]:
        """Draw what is left here, too.

        Returns:
            The pictures for the page, by part of the report, in the order of the jobs.

        Raises:
            InputFileError: The folder cannot be written or the disk is full.
            WorkerLostError: Another process died.
        """
        gc.freeze()  # a figure is made of cycles: what lives longer need not be searched again and again
        try:
            self._draw_all()
        except BrokenExecutor as error:
            raise worker_lost(str(error)) from error
        finally:
            gc.unfreeze()
        drawn: dict[str, list[PageFigure]] = {}
        for job in self._jobs:
            png = SavedPlot.at(self._folder, job.name).png.read_bytes()
            drawn.setdefault(job.part, []).append(PageFigure(png, job.caption, wide=job.wide, name=job.name))
        return {part: tuple(figures) for part, figures in drawn.items()}

    def _draw_all(self) -> None:
        self._progress("plots", self._done, len(self._jobs))
        for job in self._waiting:
            _draw(self._folder, job, self._prepare)
            self._keep(job)
        for future, job in reversed(list(self._given.items())):
            if future.cancel():  # nobody has begun with it: the others go through the list from its other end
                _draw(self._folder, job, self._prepare)
                self._keep(job)
            self._collect(wait=False)
        self._collect(wait=True)

    def _collect(self, *, wait: bool) -> None:
        """Note which plots other processes have drawn."""
        for future, job in list(self._given.items()):
            if future.cancelled():
                del self._given[future]
            elif wait or future.done():
                future.result()
                del self._given[future]
                self._keep(job)

    def _keep(self, job: PlotJob) -> None:
        self._tasks.keep_files(f"plot {job.name}", self._files(job))
        self._done += 1
        self._progress("plots", self._done, len(self._jobs))

    def _files(self, job: PlotJob) -> tuple[Path, Path, Path]:
        return SavedPlot.at(self._folder, job.name).files


def draw_all(
    jobs: Sequence[PlotJob],
    *,
    folder: str | Path,
    progress: Progress = silent_progress,
    tasks: FinishedTasks = FinishedTasks(),  # noqa: B008  # frozen
    processes: int = 1,
) -> dict[str, tuple[PageFigure, ...]]:
    """Draw and save plots that are all known; see `Drawing`."""
    with Drawing(folder, progress=progress, tasks=tasks, processes=processes) as drawing:
        drawing.add(jobs)
        return drawing.finish()


def _begin() -> None:
    """Import this module and what it needs before the first plot is there, and see them as lasting; see `Drawing.finish`."""
    gc.freeze()


def _draw(folder: Path, job: PlotJob, prepare: Callable[[], object] | None) -> None:
    if prepare is not None:
        prepare()
    save_figure(job.draw(), folder, job.name)
