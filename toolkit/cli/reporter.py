"""Shows the progress of a run: bars with the time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from toolkit.cli.console import PlainConsole
from toolkit.cli.wording import duration
from toolkit.text import visible
from toolkit.typing import DETAIL

if TYPE_CHECKING:
    from toolkit.pipeline import StageOutcome

LINE_INTERVAL_S = 15.0
"""A log gets a line at most this often."""
SHORT_S = 5.0
"""A step that is younger gets no line: it is likely to be over soon."""


class RichReporter:
    """Draws what the engine reports.

    Args:
        console: Where to draw, usually on stderr.
        quiet: Draw nothing.
    """

    def __init__(self, console: PlainConsole, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, tuple[float, float]] = {}
        self._last_line = 0.0

    def stage_started(self, name: str, *, number: int, of: int) -> None:
        """Announce a stage that runs now."""
        self.close()
        if not self._quiet:
            self._console.print(f"[{number}/{of}] {name}", style="bold")

    def stage_ended(self, outcome: StageOutcome) -> None:
        """Announce what became of a stage; a step that needed less than it expected is over, too."""
        if self._bars is not None:
            for task in self._bars.tasks:
                self._bars.update(task.id, completed=task.total)
        self.close()
        if self._quiet:
            return
        done = f"done in {duration(outcome.seconds)}" if outcome.status == "ran" else "unchanged, skipped"
        self._console.print(f"  {outcome.stage}: {done}")

    def progress(self, label: str, done: float, total: float) -> None:
        """Show how far a long step is; see `toolkit.typing.Progress`."""
        if self._quiet:
            return
        label, _, detail = visible(label).partition(DETAIL)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._draw(label, done, total, detail)
        else:
            self._write_line(label, done, total, detail)

    def close(self) -> None:
        """Stop drawing bars; also called when a run fails."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks.clear()
        self._began.clear()

    def _draw(self, label: str, done: float, total: float, detail: str) -> None:
        if self._bars is None:
            columns = (
                TextColumn("  {task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
            )
            self._bars = Progress(*columns, console=self._console)
            self._bars.start()
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=total, detail=detail)
        self._bars.update(self._tasks[label], completed=done, total=total, detail=detail)

    def _write_line(self, label: str, done: float, total: float, detail: str) -> None:
        now = time.monotonic()
        began, at_first = self._began.setdefault(label, (now, done))
        if now - self._last_line < LINE_INTERVAL_S or now - began < SHORT_S or not at_first < done < total:
            return
        self._last_line = now
        left = duration((now - began) * (total - done) / (done - at_first))
        beside = f" ({detail})" if detail else ""
        self._console.print(f"  {label}: {100 * done / total:.0f} %, about {left} left{beside}")
