"""Where the steps of an analysis read, write, and keep what they have finished."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config
from toolkit.typing import Progress, silent_progress


class Session(Protocol):
    """What the steps of an analysis share; the stages of `h4l run` give their own, scripts a `Folder`."""

    @property
    def config(self) -> Config:
        """The analysis."""

    @property
    def out(self) -> Path:
        """The folder of earlier results: event tables, networks."""

    @property
    def work(self) -> Path:
        """The folder to write in; may be `out`."""

    @property
    def progress(self) -> Progress:
        """Told how far a long step is."""

    @property
    def tasks(self) -> FinishedTasks:
        """Records of finished tasks, for a run that is resumed."""


@dataclass(frozen=True)
class Folder:
    """A session on one folder, for scripts and notebooks: nothing is resumed.

    Args:
        config: The analysis.
        out: The folder that holds `events/` and `models/`; results are written there too.
        progress: Told how far a long step is.
    """

    config: Config
    out: Path
    progress: Progress = silent_progress

    @property
    def work(self) -> Path:
        """The same folder."""
        return self.out

    @property
    def tasks(self) -> FinishedTasks:
        """No records: every task runs."""
        return FinishedTasks(None)
