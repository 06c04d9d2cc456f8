"""Stamps: what a finished stage left in the output folder, and from which key. Written after the outputs.

A stamp with status `publishing` marks a stage whose files were being moved into place when the run died: it never
counts as done, but it names the files that must be cleared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.hashing import file_sha256
from toolkit.typing import JsonObject

SCHEMA = 1
FOLDER = ".stages"


@dataclass(frozen=True)
class OutputFile:
    """One file that a stage wrote: size in bytes, time of last change in ns, SHA-256."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Stamp:
    """What a finished stage left.

    Args:
        stage: Name of the stage.
        key: Hash of everything that the result depends on.
        parts: What the key was made of: config part, code, inputs, keys of the stages before.
        outputs: Files below the output folder.
        seconds: Time that the stage took.
        status: `done`, or `publishing` while the files are moved.
        modules: Digest of every module that did the work, by name: to say which of them changed.
        finished: When the stage ended, ISO 8601 with the offset from UTC; empty where a former version wrote the stamp.
        schema: Version of this form.
    """

    stage: str
    key: str
    parts: JsonObject
    outputs: dict[str, OutputFile]
    seconds: float
    status: str = "done"
    modules: dict[str, str] = field(default_factory=dict)
    finished: str = ""
    schema: int = SCHEMA


def stamp_path(out: Path, stage: str) -> Path:
    """Return the file that holds the stamp of a stage."""
    return out / FOLDER / f"{stage}.json"


def read_stamp(out: Path, stage: str) -> Stamp | None:
    """Read the stamp of a stage; None where there is none that this version can read."""
    try:
        document = json.loads(stamp_path(out, stage).read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            return None
        outputs = {name: OutputFile(**entry) for name, entry in document["outputs"].items()}
        return Stamp(**{**document, "outputs": outputs})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_stamp(out: Path, stamp: Stamp) -> None:
    """Write a stamp in one step."""
    write_json(stamp_path(out, stamp.stage), asdict(stamp))


def describe_outputs(folder: Path) -> dict[str, OutputFile]:
    """Describe every file below a folder, keyed by its path relative to the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _describe(path) for path in files}


def damaged_outputs(out: Path, stamp: Stamp) -> list[str]:
    """Return what is wrong with the files of a stamp: `NAME is missing` or `NAME changed`, in the order of the stamp."""
    wrong = [name for name, entry in stamp.outputs.items() if not _unchanged(out / name, entry)]
    return [f"{name} changed" if (out / name).is_file() else f"{name} is missing" for name in wrong]


def publish(work: Path, out: Path, stamp: Stamp) -> Stamp:
    """Move all files of a finished stage into place, then write its stamp.

    Args:
        work: Where the stage wrote; files that are not there any more are in place.
        out: The output folder, already cleared of the stage's former files.
        stamp: The stamp, with the outputs as they stand in `work`.

    Returns:
        The stamp.
    """
    write_stamp(out, replace(stamp, status="publishing"))
    for name in stamp.outputs:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (work / name).exists():
            (work / name).replace(target)
    write_stamp(out, stamp)
    return stamp


def finish_publishing(work: Path, out: Path, *, stage: str, key: str) -> Stamp | None:
    """Move the rest of a finished stage into place after a run died while it did so.

    Args:
        work: Where the stage wrote.
        out: The output folder.
        stage: Name of the stage.
        key: What the result must be of.

    Returns:
        The stamp; None where there is nothing to finish, or not all of it is left as the stage wrote it.
    """
    stamp = read_stamp(out, stage)
    if stamp is None or (stamp.status, stamp.key) != ("publishing", key):
        return None
    waiting = {name: work / name for name in stamp.outputs if (work / name).is_file()}
    if not all(_has_content(waiting.get(name, out / name), entry) for name, entry in stamp.outputs.items()):
        return None
    return publish(work, out, replace(stamp, status="done"))


def retract(out: Path, stages: Iterable[str]) -> None:
    """Delete the stamps of stages, then the files that they name, then folders left empty.

    Args:
        out: The output folder.
        stages: Names, last stage first.
    """
    for stage in stages:
        stamp = read_stamp(out, stage)
        if stamp is not None:
            write_stamp(out, replace(stamp, status="publishing"))
            for name in stamp.outputs:
                (out / name).unlink(missing_ok=True)
                remove_empty_folders(out / name, below=out)
        stamp_path(out, stage).unlink(missing_ok=True)


def remove_empty_folders(path: Path, *, below: Path) -> None:
    """Delete the parents of a deleted file that are empty now, up to but not including `below`."""
    for parent in path.parents:
        if parent == below or below not in parent.parents or not parent.is_dir() or any(parent.iterdir()):
            return
        parent.rmdir()


def _describe(path: Path) -> OutputFile:
    status = path.stat()
    return OutputFile(size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=file_sha256(path))


def _has_content(path: Path, entry: OutputFile) -> bool:
    try:
        return path.stat().st_size == entry.size and file_sha256(path) == entry.sha256
    except OSError:
        return False


def _unchanged(path: Path, entry: OutputFile) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    if status.st_size != entry.size:
        return False
    return status.st_mtime_ns == entry.mtime_ns or file_sha256(path) == entry.sha256
