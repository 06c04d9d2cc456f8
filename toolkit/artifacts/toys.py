"""File of finished toys: one line of JSON per block, appended, so that a stopped campaign goes on where it was.

The first line names the campaign; a file of another campaign is refused. A last line that was cut off when the program stopped
is dropped and its toys run again. Numbers are written with all their digits: what is read is bit-equal to what was computed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.artifacts.versions import other_version
from toolkit.errors import ArtifactMismatchError, InputFileError

SCHEMA = 1
Row = tuple[float, ...]
PointKey = tuple[tuple[str, float], ...]
"""A parameter point as sorted (name, value) pairs."""


def point_key(theta: Mapping[str, float]) -> PointKey:
    """Return the sorted form of a parameter point.

    Examples:
        >>> point_key({"t": 1, "mu": 0.5})
        (('mu', 0.5), ('t', 1.0))
    """
    return tuple(sorted((name, float(value)) for name, value in theta.items()))


@dataclass
class ToyFile:
    """Finished toys of one campaign, by parameter point and toy index.

    Args:
        path: The file; None keeps the toys in memory only.
        campaign: Hash of everything the toys depend on, apart from point and index.

    Raises:
        ArtifactMismatchError: The file belongs to another campaign.
        SchemaError: Another version wrote it.
        InputFileError: The file cannot be read or written.
    """

    path: Path | None
    campaign: str
    rows: dict[PointKey, dict[int, Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is None:
            return
        try:
            self._read(self.path)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def add(self, theta: Mapping[str, float], rows: Mapping[int, Row]) -> None:
        """Keep finished toys: index -> numbers. They are on disk when this returns."""
        self.rows.setdefault(point_key(theta), {}).update(rows)
        if self.path is None:
            return
        line = json.dumps({"theta": dict(point_key(theta)), "toys": [[index, *row] for index, row in rows.items()]})
        try:
            self._append(self.path, line)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def finished(self, theta: Mapping[str, float]) -> Mapping[int, Row]:
        """Return the finished toys of a parameter point."""
        return self.rows.get(point_key(theta), {})

    def _read(self, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append(path, json.dumps({"schema": SCHEMA, "campaign": self.campaign}))
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = list(_documents(whole.splitlines(), path))
        if not lines:
            path.unlink()
            self._read(path)
            return
        if lines[0].get("schema") != SCHEMA:
            raise other_version(
                f"toys {path}", found=lines[0].get("schema"), expected=SCHEMA, remedy="remove the file, or name another one"
            )
        if lines[0] != {"schema": SCHEMA, "campaign": self.campaign}:
            raise ArtifactMismatchError(
                f"toys {path}",
                got=f"campaign {lines[0].get('campaign')}",
                expected=f"campaign {self.campaign}",
                remedy="the model, the events or the seed have changed: remove the file, or name another one",
            )
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        for line in lines[1:]:
            kept = self.rows.setdefault(point_key(line["theta"]), {})
            kept.update({int(toy[0]): tuple(float(x) for x in toy[1:]) for toy in line["toys"]})

    @staticmethod
    def _append(path: Path, line: str) -> None:
        with path.open("ab") as handle:
            handle.write(line.encode("utf-8") + b"\n")
            handle.flush()
            os.fsync(handle.fileno())


def _documents(lines: Sequence[bytes], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        try:
            document = json.loads(line)
        except ValueError as error:
            raise _damaged(path, number, str(error)) from error
        if not isinstance(document, dict) or not ({"schema", "campaign"} <= set(document) or {"theta", "toys"} <= set(document)):
            raise _damaged(path, number, line[:60].decode("utf-8", errors="replace"))
        yield document


def _damaged(path: Path, number: int, got: str) -> InputFileError:
    return InputFileError(
        f"toys {path}, line {number}", got=got, expected="one JSON object per line as a campaign writes it", remedy="remove the file"
    )


def _unusable(path: Path, error: OSError) -> InputFileError:
    return InputFileError(
        f"toys {path}",
        got=f"{type(error).__name__}: {error.strerror or error}",
        expected="a file that can be read and written",
        remedy="free disk space, or name another file",
    )
