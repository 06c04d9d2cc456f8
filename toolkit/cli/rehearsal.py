"""What `--dry-run` shows: the stages that would run, why, what they would read and write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from toolkit.cli.wording import count, duration, owner_text, size
from toolkit.typing import JsonObject

if TYPE_CHECKING:
    from toolkit.pipeline import RunPreview, StagePreview

VERBS = {"run": "run", "resume": "go on", "skip": "skip"}
SHOWN_FILES = 6
"""Input files that are named before they are only counted."""


def preview_document(preview: RunPreview) -> JsonObject:
    """Return a rehearsal as JSON-like values."""
    return {
        "dry_run": True,
        "out": preview.out,
        "stages": preview.stages,
        "disk_bytes": preview.disk_bytes,
        "free_bytes": preview.free_bytes,
        "lock": preview.lock,
    }


def preview_text(preview: RunPreview) -> Iterator[RenderableType]:
    """Yield a table of the stages, the input files, and what the disk has to hold."""
    table = Table(title=f"what a run in {preview.out} would do", title_justify="left")
    table.add_column("stage", no_wrap=True)
    table.add_column("would", no_wrap=True)
    table.add_column("because", overflow="fold")
    table.add_column("writes", overflow="fold")
    table.add_column("took", justify="right", no_wrap=True)
    for stage in preview.stages:
        table.add_row(stage.stage, VERBS[stage.action], _why(stage), _writes(stage), duration(stage.seconds))
    yield table
    yield from _inputs(preview.stages)
    if preview.lock is not None and preview.lock.held:
        yield f"A run is going on in this folder: {owner_text(preview.lock)}."
    busy = [stage.stage for stage in preview.stages if stage.action != "skip"]
    if not busy:
        yield "Nothing would run: all results are there and still true."
        return
    disk = f"about {size(preview.disk_bytes)} on disk, {size(preview.free_bytes)} are free"
    yield f"{count(len(busy), 'stage')} would run ({', '.join(busy)}): {disk}. Nothing was written."


def _why(stage: StagePreview) -> RenderableType:
    if stage.action == "skip":
        return "unchanged"
    kept = [f"keeps {count(stage.kept_files, 'file')} of the interrupted run"] if stage.action == "resume" else []
    former = [f"takes over what is still true of {count(stage.former_tasks, 'file')}"] if stage.former_tasks else []
    from toolkit.pipeline.reasons import counted

    return Group(*counted(stage.reasons), *kept, *former)


def _writes(stage: StagePreview) -> RenderableType:
    return "-" if stage.action == "skip" else Group(*stage.writes)


def _inputs(stages: Sequence[StagePreview]) -> Iterator[str]:
    for stage in stages:
        files = [name for name in stage.reads if stage.input_bytes and not name.startswith("result of ")]
        if stage.action == "skip" or not files:
            continue
        yield f"{stage.stage} would read {count(len(files), 'file')}, {size(stage.input_bytes)}:"
        shown = files if len(files) <= SHOWN_FILES else files[: SHOWN_FILES - 1]
        yield from (f"  {_short(name)}" for name in shown)
        if len(shown) < len(files):
            yield f"  and {len(files) - len(shown)} more"


def _short(name: str) -> str:
    path = Path(name)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else name
