"""Checksums beside files: `<name>.sha256`, a line as `sha256sum` writes it, compared whenever the file is read.

Networks, observations and workspaces are written with one. A file from elsewhere may lack it, and is read all the same: the readers
say so (`has_checksum`), `h4l validate DIR` lists such files. Event tables, of which a run has thousands, hold their checksums inside.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolkit.artifacts.atomic import atomic_path, write_text
from toolkit.artifacts.hashing import file_sha256
from toolkit.errors import ArtifactMismatchError, InputFileError
from toolkit.locations import Location, RemoteFile, locate

SUFFIX = ".sha256"
_LINE = re.compile(r"([0-9a-fA-F]{64})(\s|$)")


def checksum_path(path: str | Path) -> Path:
    """Return the file that holds the checksum of another.

    Examples:
        >>> checksum_path("models/mixture.onnx").name
        'mixture.onnx.sha256'
    """
    return Path(f"{path}{SUFFIX}")


@contextlib.contextmanager
def checked_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` with a checksum beside it when the block ends; see `atomic_path`.

    Args:
        path: The final file; its folder must exist.

    Yields:
        The temporary path to write to.

    Raises:
        InputFileError: The disk is full, or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "asimov.parquet"
        >>> with checked_path(path) as temporary:
        ...     _ = temporary.write_bytes(b"events")
        >>> read_checked(path)
        (b'events', True)
    """
    final = Path(path)
    with atomic_path(final) as temporary:
        yield temporary
        digest = file_sha256(temporary)
        checksum_path(final).unlink(missing_ok=True)  # never the old checksum beside the new file, wherever the process dies
    write_text(checksum_path(final), f"{digest}  {final.name}\n")


def write_checked_json(path: str | Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document as `toolkit.artifacts.write_json` does, with its checksum beside it.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "nsbi.json"
        >>> write_checked_json(path, {"version": "1.0.0"})
        >>> check_file(path)
        True
    """
    with checked_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_checked(path: str | Path) -> tuple[bytes, bool]:
    """Read a file and compare it with the checksum beside it.

    Args:
        path: The file.

    Returns:
        The content, and whether there was a checksum to compare it with.

    Raises:
        OSError: The file cannot be read.
        InputFileError: The checksum cannot be read.
        ArtifactMismatchError: The content is not what was written.
    """
    content = Path(path).read_bytes()
    expected = _read(checksum_path(path))
    if expected is not None:
        _compare(path, hashlib.sha256(content).hexdigest(), expected)
    return content, expected is not None


def check_file(path: str | Location) -> bool:
    """Compare a file of any size with the checksum beside it.

    Args:
        path: The file. A remote one is never compared: that would read all of it.

    Returns:
        Whether there is a checksum; where there is none, nothing is compared.

    Raises:
        InputFileError: The file or the checksum cannot be read.
        ArtifactMismatchError: The content is not what was written.
    """
    where = locate(path)
    if isinstance(where, RemoteFile):
        return False
    expected = _read(checksum_path(where))
    if expected is not None:
        _compare(where, file_sha256(where), expected)
    return expected is not None


def _read(path: Path) -> str | None:
    """Return the checksum that a file holds; None where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _no_checksum(path, f"{type(error).__name__}: {error}") from error
    found = _LINE.match(text)
    if found is None:
        raise _no_checksum(path, repr(text[:80]))
    return found[1].lower()


def _no_checksum(path: Path, got: str) -> InputFileError:
    remedy = "copy it again with its file; without it the file is read unchecked"
    return InputFileError(f"checksum {path}", got=got, expected="64 hexadecimal digits and a name, as sha256sum writes them", remedy=remedy)


def _compare(path: str | Path, found: str, expected: str) -> None:
    if found == expected:
        return
    name = Path(path).name
    raise ArtifactMismatchError(
        f"{path} is not what was written",
        got=f"SHA-256 {found}",
        expected=f"{expected}, of {name}{SUFFIX} beside it",
        remedy=f"copy or make the file again; if you changed it on purpose: sha256sum {name} > {name}{SUFFIX}",
    )
