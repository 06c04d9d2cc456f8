"""Hashes of files, documents and source code: what decides whether a stage can be reused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import InputFileError
from toolkit.locations import Location, RemoteFile, locate


def file_sha256(path: str | Path) -> str:
    """Hash the content of a file.

    Args:
        path: An existing file.

    Returns:
        SHA-256 as 64 hexadecimal digits.

    Raises:
        InputFileError: The file cannot be read.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "empty"
        >>> path.touch()
        >>> file_sha256(path)[:16]
        'e3b0c44298fc1c14'
    """
    try:
        with Path(path).open("rb") as handle:
            digest = hashlib.sha256()
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputFileError(f"cannot read {path}", got=str(error), expected="a readable file", remedy="check the path") from error
    return digest.hexdigest()


BLOCKS, BLOCK_BYTES = 64, 16_384
"""How much of a large file `sampled_digest` reads: at most 1 MiB."""


def sampled_digest(path: str | Location) -> str:
    """Hash the size of a file and blocks spread evenly over it, the first and the last among them; of a small file all of it.

    It notices at little cost what size and time of change do not: a file that was replaced, or overwritten in a stretch of more than
    a 64th of its length. Of a remote file whose server states a version (ETag, time of change), size and version stand for the blocks.

    Args:
        path: An existing file.

    Returns:
        32 hexadecimal digits.

    Raises:
        InputFileError: The file cannot be read.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a"
        >>> _ = path.write_bytes(b"abc")
        >>> before = sampled_digest(path)
        >>> _ = path.write_bytes(b"abd")
        >>> sampled_digest(path) == before
        False
    """
    where = locate(path)
    if isinstance(where, RemoteFile):
        return _remote_digest(where)
    try:
        with where.open("rb") as handle:
            size = handle.seek(0, 2)
            digest = hashlib.blake2b(str(size).encode(), digest_size=16)
            for start, _ in _blocks(size):
                handle.seek(start)
                digest.update(handle.read(BLOCK_BYTES))
    except OSError as error:
        raise InputFileError(f"cannot read {path}", got=str(error), expected="a readable file", remedy="check the path") from error
    return digest.hexdigest()


def _blocks(size: int) -> list[tuple[int, int]]:
    """Return begin and end of the blocks of a file of this size (bytes)."""
    last = max(size - BLOCK_BYTES, 0)
    starts = range(0, size, BLOCK_BYTES) if size <= BLOCKS * BLOCK_BYTES else [i * last // (BLOCKS - 1) for i in range(BLOCKS)]
    return [(start, min(start + BLOCK_BYTES, size)) for start in starts]


def _remote_digest(file: RemoteFile) -> str:
    state = file.state()
    digest = hashlib.blake2b(str(state.size).encode(), digest_size=16)
    for part in [state.version.encode()] if state.version else file.read_ranges(_blocks(state.size)):
        digest.update(part)
    return digest.hexdigest()


def stage_key(parts: Mapping[str, Any]) -> str:
    """Hash everything that a stage's result depends on.

    Args:
        parts: JSON-like values, for example ``{"config": section.model_dump(mode="json"), "code": code_hash("processors")}``.

    Returns:
        32 hexadecimal digits; equal for equal parts, whatever the order of their keys.

    Examples:
        >>> stage_key({"a": 1, "b": 2}) == stage_key({"b": 2, "a": 1})
        True
        >>> stage_key({"a": 1}) == stage_key({"a": 2})
        False
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def code_hash(*names: str) -> str:
    """Hash the Python sources of modules and packages (packages with all they contain).

    Args:
        names: Importable names, for example ``"processors"``, ``"toolkit.kinematics"``.

    Returns:
        32 hexadecimal digits.

    Raises:
        ModuleNotFoundError: A name is not importable.

    Examples:
        >>> code_hash("toolkit.errors") == code_hash("toolkit.errors") != code_hash("toolkit.units")
        True
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            msg = f"no module {name!r} to hash"
            raise ModuleNotFoundError(msg)
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
        for file in files:
            digest.update(f"{name}:{file.relative_to(origin.parent).as_posix()}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]
