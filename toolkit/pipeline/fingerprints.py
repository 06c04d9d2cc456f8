"""Content hashes of input files, remembered by size, time of last change and a sampled digest so that big files are hashed once."""

from __future__ import annotations

import json
from pathlib import Path

from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.hashing import file_sha256, sampled_digest
from toolkit.errors import InputFileError
from toolkit.locations import Location, RemoteFile
from toolkit.typing import JsonObject


class Fingerprints:
    """Hashes files, and remembers the hashes in a small JSON file.

    Args:
        path: The JSON file; read if it exists, written by `save`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[object]] = {}
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(document, dict):
            self._known = {name: entry for name, entry in document.items() if isinstance(entry, list) and len(entry) == 4}

    def describe(self, path: Location) -> JsonObject:
        """Return name, size in bytes and SHA-256 of a file; of a remote one a digest that reads little, see `sampled_digest`.

        Args:
            path: An existing file.

        Returns:
            `{"name", "size", "sha256"}`, or `{"name", "size", "sampled"}`; the folder is left out, so that moved inputs count as unchanged.

        Raises:
            InputFileError: The file cannot be read.
        """
        if isinstance(path, RemoteFile):
            return {"name": path.name, "size": path.state().size, "sampled": sampled_digest(path)}
        try:
            status = path.stat()
        except OSError as error:
            raise InputFileError(f"input file {path}", got=error.strerror, expected="an existing file", remedy="check the path") from error
        state: list[object] = [status.st_size, status.st_mtime_ns, sampled_digest(path)]
        entry = self._known.get(str(path))
        if entry is None or entry[:3] != state:
            entry = self._known[str(path)] = [*state, file_sha256(path)]
        return {"name": path.name, "size": status.st_size, "sha256": entry[3]}

    def save(self) -> None:
        """Write the remembered hashes in one step."""
        write_json(self._path, self._known)
