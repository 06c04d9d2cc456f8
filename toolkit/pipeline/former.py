"""Parts of an outdated result that can be used again: event tables of files that did not change, networks whose settings did not change.

A stage runs again when anything that it depends on changed. Most of what it wrote may still be right: a sample that is added leaves the
event tables of the other samples right. Each such part (a task) therefore carries a key of its own, made of what this part alone depends
on. Before an outdated result is removed, its tasks are moved to `DIR/.stages/former/<stage>/`. The next run of the stage takes those whose
key is the one that it would compute, and the rest is deleted at its end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.pipeline.stage import Stage
from toolkit.pipeline.stamps import FOLDER, Stamp

NAME = "former"
CODE_FILE = "code.json"


def set_aside(stage: Stage, source: Path, names: Iterable[str], *, out: Path, code: str) -> None:
    """Move the tasks among the files of a stage to where its next run looks for them.

    Args:
        stage: The stage.
        source: Folder of the files.
        names: Their paths below it.
        out: The output folder.
        code: Digest of the code that made them, empty if unknown; tasks of other code are not kept.
    """
    tasks = [name for name in names if any(PurePosixPath(name).match(pattern) for pattern in stage.tasks)]
    if not tasks or not code:
        return
    folder = _folder(out, stage)
    if _code(folder) != code:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(make_folder(folder) / CODE_FILE, {"code": code})
    for name in tasks:
        if (source / name).is_file():
            target = folder / "files" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (source / name).replace(target)


def former_tasks(stage: Stage, *, out: Path, stamp: Stamp | None, code: str) -> tuple[Path, ...]:
    """Return the folders, laid out like `out`, where tasks are that this code made.

    Args:
        stage: The stage.
        out: The output folder, whose tasks count if the former result is in place.
        stamp: Stamp of the former result, if it is.
        code: Digest of the code of the stage.
    """
    if not stage.tasks:
        return ()
    folder = _folder(out, stage)
    in_place = (out,) if stamp is not None and stamp.parts.get("code") == code else ()
    return (*in_place, *((folder / "files",) if _code(folder) == code else ()))


def count_tasks(stage: Stage, folders: Iterable[Path]) -> int:
    """Count the tasks in such folders."""
    return sum(path.is_file() for folder in folders for pattern in stage.tasks for path in folder.glob(pattern))


def count_former_tasks(out: Path, stage: str) -> int:
    """Return how many tasks are set aside for a stage."""
    return sum(path.is_file() for path in (out / FOLDER / NAME / stage / "files").rglob("*"))


def forget(stage: Stage, *, out: Path) -> None:
    """Delete what was set aside for a stage."""
    shutil.rmtree(_folder(out, stage), ignore_errors=True)
    parent = _folder(out, stage).parent
    if parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()


def _folder(out: Path, stage: Stage) -> Path:
    return out / FOLDER / NAME / stage.name


def _code(folder: Path) -> str:
    try:
        return str(json.loads((folder / CODE_FILE).read_text(encoding="utf-8"))["code"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
