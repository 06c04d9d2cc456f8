"""Finished tasks of a long step, each in a file, so that a run that was stopped goes on with the next task.

A record holds a digest of its content: one that was cut off or damaged counts as not there, and its task runs again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.hashing import file_sha256, stage_key

SCHEMA = 1


@dataclass(frozen=True)
class FinishedTasks:
    """What finished tasks have left.

    Args:
        folder: Where the records are; created if need be. None keeps nothing, and every task runs.

    Notes:
        The records know the names of their tasks, not what the tasks depend on: use one folder for one state of config,
        code and inputs.
    """

    folder: Path | None = None

    def result(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the result of a task: read if it is finished, computed and kept otherwise.

        Args:
            name: Name of the task, unique in the folder.
            compute: Runs it; its result must be a JSON object without NaN and infinity.

        Returns:
            The result as it is after a way through JSON, which keeps every digit, whether it was read or computed.

        Raises:
            InputFileError: The record cannot be written.

        Examples:
            >>> import tempfile
            >>> tasks = FinishedTasks(Path(tempfile.mkdtemp()))
            >>> tasks.result("third", lambda: {"x": 1 / 3}), tasks.result("third", lambda: {"x": 0.0})
            ({'x': 0.3333333333333333}, {'x': 0.3333333333333333})
        """
        found = self._read(name)
        if found is not None:
            return found
        result: dict[str, Any] = json.loads(json.dumps(compute(), allow_nan=False))
        self._write(name, result)
        return result

    def has_files(self, name: str, paths: Sequence[Path]) -> bool:
        """Whether a task wrote its files, and they are as it left them.

        Args:
            name: Name of the task, unique in the folder.
            paths: The files.
        """
        found = self._read(name)
        return found is not None and all(path.is_file() and found.get(path.name) == file_sha256(path) for path in paths)

    def keep_files(self, name: str, paths: Sequence[Path]) -> None:
        """Remember the files that a task has written.

        Args:
            name: Name of the task, unique in the folder.
            paths: The files.

        Raises:
            InputFileError: The record cannot be written.
        """
        if self.folder is not None:
            self._write(name, {path.name: file_sha256(path) for path in paths})

    def _path(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{stage_key({'task': name})[:32]}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self._path(name)
        try:
            record = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
            result: dict[str, Any] = record["result"]
            whole = (record["schema"], record["task"], record["digest"]) == (SCHEMA, name, stage_key(result))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return result if whole else None

    def _write(self, name: str, result: dict[str, Any]) -> None:
        path = self._path(name)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"schema": SCHEMA, "task": name, "digest": stage_key(result), "result": result})
