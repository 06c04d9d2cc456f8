"""Release bundles as archives: written the same byte for byte, opened without trusting a name or a number in them.

A bundle is a gzipped tar of regular files with one index, `bundle.json`, that lists every other file with size and SHA-256.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.artifacts.atomic import atomic_path, make_folder, write_bytes
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError

INDEX = "bundle.json"
SCHEMA = 1
MOST_FILES = 10_000
MOST_BYTES = 8 << 30
_REMEDY = "copy or download the bundle again and compare sizes"


def write_archive(path: str | Path, files: Mapping[str, bytes], *, description: Mapping[str, Any]) -> dict[str, Any]:
    """Write a bundle.

    Args:
        path: The archive.
        files: Content by name; names are relative, with /.
        description: Further keys of the index.

    Returns:
        The index.

    Raises:
        SchemaError: A name that would leave the folder it is unpacked in.
        InputFileError: The archive cannot be written.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "result.tar.gz"
        >>> index = write_archive(path, {"results.json": b"{}"}, description={"title": "mu"})
        >>> index["files"][0]["path"], index["files"][0]["size"]
        ('results.json', 2)
        >>> extract_archive(path, path.parent / "copy")["title"]
        'mu'
    """
    for name in files:
        _check_name(name)
    entries = [{"path": n, "size": len(files[n]), "sha256": hashlib.sha256(files[n]).hexdigest()} for n in sorted(files)]
    index = {"schema": SCHEMA, "format": "h4l-bundle", **description, "files": entries}
    content = {INDEX: (json.dumps(index, indent=1, allow_nan=False) + "\n").encode(), **{n: files[n] for n in sorted(files)}}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o644, 0
            tar.addfile(member, io.BytesIO(data))
    with atomic_path(path) as temporary, temporary.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as out:
        out.write(buffer.getvalue())
    return index


def extract_archive(path: str | Path, folder: str | Path) -> dict[str, Any]:
    """Unpack a bundle, every file checked against the index.

    Args:
        path: The archive.
        folder: Where to; created.

    Returns:
        The index.

    Raises:
        InputFileError: The archive is missing, truncated or damaged, or holds something else than files.
        SchemaError: A name points outside the folder, or the index is not that of a bundle.
        ArtifactMismatchError: A file differs from the index, is missing, or is not listed.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "result.tar.gz"
        >>> _ = write_archive(path, {"plots/scan.json": b"[]"}, description={})
        >>> _ = extract_archive(path, path.parent / "copy")
        >>> (path.parent / "copy" / "plots" / "scan.json").read_text()
        '[]'
    """
    source = Path(path)
    files = _read(source)
    index = _read_index(files, source)
    listed: dict[str, Mapping[str, Any]] = {entry["path"]: entry for entry in index["files"]}
    for name in sorted((set(listed) | set(files)) - {INDEX}):
        what = f"{name} of the bundle {source}"
        if name not in files or name not in listed:
            got = "in the index only" if name not in files else "not in the index"
            raise ArtifactMismatchError(what, got=got, expected="every file once, in both", remedy=_REMEDY)
        digest = hashlib.sha256(files[name]).hexdigest()
        if digest != listed[name]["sha256"] or len(files[name]) != listed[name]["size"]:
            expected = f"{listed[name]['size']} bytes, SHA-256 {listed[name]['sha256']}"
            raise ArtifactMismatchError(what, got=f"{len(files[name])} bytes, {digest}", expected=expected, remedy=_REMEDY)
    target = make_folder(folder)
    for name, data in files.items():
        make_folder((target / name).parent)
        write_bytes(target / name, data, durable=False)
    return index


def _read(source: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(source, mode="r:gz") as tar:
            for member in tar:
                _check_name(member.name)
                total += member.size
                if not member.isreg() or member.name in files or len(files) >= MOST_FILES or total > MOST_BYTES:
                    what = f"{member.name} of the bundle {source}"
                    expected = f"regular files, each once, at most {MOST_FILES} with {MOST_BYTES} bytes together"
                    raise InputFileError(what, got=f"type {member.type!r}, {member.size} bytes", expected=expected, remedy=_REMEDY)
                content = tar.extractfile(member)
                files[member.name] = content.read() if content is not None else b""
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        if isinstance(error, InputFileError):
            raise
        what = f"bundle {source}"
        got = f"{type(error).__name__}: {error}"
        raise InputFileError(what, got=got, expected="a complete .tar.gz written by h4l bundle", remedy=_REMEDY) from error
    return files


def _read_index(files: Mapping[str, bytes], source: Path) -> dict[str, Any]:
    try:
        index = json.loads(files.get(INDEX, b""))
        good = index["format"] == "h4l-bundle" and index["schema"] == SCHEMA
        good = good and all({"path", "size", "sha256"} <= set(entry) for entry in index["files"])
    except (ValueError, TypeError, KeyError):
        good = False
    if not good:
        what = f"{INDEX} of {source}"
        raise SchemaError(
            what, got="missing, or of another form", expected=f"a bundle of schema {SCHEMA}", remedy="write it with h4l bundle"
        )
    return dict(index)


def _check_name(name: str) -> None:
    """Refuse names that lead out of the folder, whatever the system makes of separators and drives."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in {"..", "."} for part in parts) or any(c in name for c in "\\:\0"):
        what = "name of a file in the bundle"
        raise SchemaError(what, got=name, expected="a relative name inside the bundle", remedy="do not use this file")
