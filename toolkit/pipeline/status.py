"""What an output folder holds: which stages are done, what is in work, who runs in it. Reads only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from toolkit.analysis.layout import MANIFEST
from toolkit.errors import InputFileError
from toolkit.pipeline.former import count_former_tasks
from toolkit.pipeline.lock import LockState, lock_state
from toolkit.pipeline.reasons import counted
from toolkit.pipeline.stamps import FOLDER, Stamp, damaged_outputs, read_stamp, stamp_path
from toolkit.pipeline.unfinished import unfinished_work

MEMBER = "models/members/"
"""Where the training stage keeps each finished network."""


@dataclass(frozen=True)
class StageStatus:
    """One stage of an output folder.

    Args:
        stage: Its name.
        state: `done`; `damaged` where files are missing or changed, or were being moved when a run died; `in work` where a
            run is at it or was interrupted; `missing` where there is nothing.
        seconds: Time that it took, or has taken in interrupted runs; None where it is missing.
        finished: When it ended, local time in ISO 8601; empty unless done.
        key: Hash of everything that the result depends on; empty where there is none.
        files: Number of files of its result, or of those that it has written so far.
        size_bytes: Their sizes summed, of the result only.
        remarks: What is wrong or what has been done so far.
    """

    stage: str
    state: Literal["done", "damaged", "in work", "missing"]
    seconds: float | None = None
    finished: str = ""
    key: str = ""
    files: int = 0
    size_bytes: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunStatus:
    """An output folder.

    Args:
        out: The folder.
        stages: Every stage, in order.
        lock: Who runs in it; None where nobody does.
        config_hash: Hash of the config of the last run that ended; empty where none did.
        versions: Versions of the toolkit and the libraries of that run.
        results: `results.json` and `report.html` where they are.
    """

    out: str
    stages: tuple[StageStatus, ...]
    lock: LockState | None
    config_hash: str
    versions: dict[str, str]
    results: tuple[str, ...]


def read_status(out: Path, stages: Sequence[str]) -> RunStatus:
    """Read what an output folder holds.

    Args:
        out: The folder.
        stages: Names of all stages, in order.

    Returns:
        Its status.

    Raises:
        InputFileError: It is no output folder.
    """
    if not (out / FOLDER).is_dir():
        raise InputFileError(
            f"output folder {out}",
            got="a folder without .stages" if out.is_dir() else "a file" if out.exists() else "no such folder",
            expected="the --out folder of a run",
            remedy="give that folder; without --out it is out/<name of the config>",
        )
    manifest = _manifest(out)
    return RunStatus(
        out=str(out),
        stages=tuple(_stage(out, name) for name in stages),
        lock=lock_state(out / FOLDER / "lock"),
        config_hash=str(manifest.get("config_hash", "")),
        versions={str(name): str(value) for name, value in dict(manifest.get("versions", {})).items()},
        results=tuple(str(out / name) for name in ("results.json", "report.html") if (out / name).is_file()),
    )


def _manifest(out: Path) -> dict[str, Any]:
    try:
        document = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _stage(out: Path, name: str) -> StageStatus:
    stamp, left = read_stamp(out, name), unfinished_work(out, name)
    if left is not None:
        remarks = [f"{len(left.files)} file{'s' * (len(left.files) > 1)} written so far"] if left.files else []
        members = sum(file.startswith(MEMBER) and file.endswith(".pt") for file in left.files)
        remarks += [f"{members} member{'s' * (members > 1)} trained"] if members else []
        remarks += ["the former result is still in place"] if stamp is not None else []
        return StageStatus(name, "in work", left.seconds, key=left.key, files=len(left.files), remarks=tuple(remarks))
    if stamp is None:
        former = count_former_tasks(out, name)
        kept = (f"{former} file{'s' * (former > 1)} of a former result kept for the next run",) if former else ()
        return StageStatus(name, "missing", remarks=kept)
    wrong = damaged_outputs(out, stamp) if stamp.status == "done" else ["a run died while it moved the files into place"]
    return StageStatus(
        stage=name,
        state="damaged" if wrong else "done",
        seconds=stamp.seconds,
        finished=_finished(out, stamp),
        key=stamp.key,
        files=len(stamp.outputs),
        size_bytes=sum(entry.size for entry in stamp.outputs.values()),
        remarks=tuple(counted(wrong)),
    )


def _finished(out: Path, stamp: Stamp) -> str:
    """Return when a stage ended; for a stamp of a former version, when it was written."""
    if stamp.finished:
        return stamp.finished
    return datetime.fromtimestamp(stamp_path(out, stamp.stage).stat().st_mtime).astimezone().isoformat(timespec="seconds")
