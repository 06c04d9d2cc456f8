"""What an interrupted stage left for the next run of the same key."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from toolkit.artifacts.atomic import make_folder
from toolkit.pipeline.stamps import FOLDER

WORK_FILE = "work.json"


@dataclass(frozen=True)
class UnfinishedWork:
    """What a stage that was interrupted, or that runs now, has written.

    Args:
        key: Hash of what it is made from.
        seconds: Time that interrupted runs took; the present one does not count yet.
        code: Digest of the code that wrote it.
        files: Files below its folder, finished or not, as paths relative to the output folder that they will move to.
    """

    key: str
    seconds: float
    code: str
    files: tuple[str, ...]


def work_folder(out: Path, stage: str) -> Path:
    """Return the folder in which a stage works."""
    return out / FOLDER / "work" / stage


def folder_of_key(base: Path, key: str) -> Path:
    """Make the folder of the work on a key below `base`; that on other keys is deleted."""
    for other in base.iterdir() if base.is_dir() else ():
        if other.name != key[:16]:
            shutil.rmtree(other, ignore_errors=True)
    return make_folder(base / key[:16])


def unfinished_work(out: Path, stage: str) -> UnfinishedWork | None:
    """Read what a stage has left below its folder; None where there is nothing that a run could use."""
    folder = work_folder(out, stage)
    try:
        document = json.loads((folder / WORK_FILE).read_text(encoding="utf-8"))
        key, seconds, code = str(document["key"]), float(document["seconds"]), str(document["code"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    below = folder / "files"
    return UnfinishedWork(key, seconds, code, tuple(sorted(p.relative_to(below).as_posix() for p in below.rglob("*") if p.is_file())))
