"""The command status: what an output folder holds, what is in work, who runs in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from toolkit.cli.screen import Screen
from toolkit.cli.wording import duration, owner_text, size

if TYPE_CHECKING:
    from toolkit.pipeline import RunStatus

_SHOWN_VERSIONS = ("h4l-toolkit", "python", "torch", "onnxruntime", "coffea", "pyhf", "numpy")
_COLOURS = {"damaged": "bold red", "in work": "yellow", "missing": "dim"}
SHORT_KEY = 10
"""Digits of a hash that a table shows; the JSON document has all."""


def show_status(out: Path, screen: Screen) -> None:
    """Print what an output folder holds.

    Args:
        out: The folder.
        screen: How much is shown, and in which form.
    """
    with screen.explained():
        from toolkit.pipeline import STAGE_NAMES, read_status

        status = read_status(out, STAGE_NAMES)
        screen.document(status)
        screen.show(*_text(status))


def _text(status: RunStatus) -> Iterator[RenderableType]:
    table = Table(title=status.out, title_justify="left")
    for name in ("stage", "state", "ended", "time", "size", "hash"):
        table.add_column(name, justify="right" if name in {"time", "size"} else "left", no_wrap=True)
    for stage in status.stages:
        ended = stage.finished[:16].replace("T", " ") or "-"
        on_disk = size(stage.size_bytes) if stage.finished else "-"
        row = (stage.stage, stage.state, ended, duration(stage.seconds), on_disk, stage.key[:SHORT_KEY] or "-")
        table.add_row(*row, style=_COLOURS.get(stage.state))
    yield table
    yield from (f"{stage.stage}: {', '.join(stage.remarks)}" for stage in status.stages if stage.remarks)
    yield _lock_text(status)
    if status.config_hash:
        yield f"last finished run: config {status.config_hash[:SHORT_KEY]}, {_versions(status)}"
    yield from (f"{Path(name).name}: {name}" for name in status.results)


def _lock_text(status: RunStatus) -> str:
    lock = status.lock
    if lock is None:
        return "No run is going on in this folder."
    if lock.held:
        return f"A run is going on: {owner_text(lock)}."
    return f"No run is going on; {owner_text(lock)} was killed. The next run goes on from what is finished."


def _versions(status: RunStatus) -> str:
    return ", ".join(f"{name} {status.versions[name]}" for name in _SHOWN_VERSIONS if name in status.versions)
