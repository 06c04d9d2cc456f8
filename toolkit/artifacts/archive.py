"""Release bundles as archives: written the same byte for byte, opened without trusting a name or a number in them.

A bundle is a gzipped tar of regular files with one index, `bundle.json`, that lists every other file with size and SHA-256.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import secrets
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.artifacts.atomic import atomic_path, make_folder
from toolkit.artifacts.unpacking import LARGEST_RATIO, MOST_FILES, REMEDY, members, most_bytes
from toolkit.artifacts.versions import other_version
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError

INDEX = "bundle.json"
SCHEMA = 1
MOST_JSON_BYTES = 12 << 20
"""Bytes of a JSON document: as objects in memory it is up to thirty times as large."""
LONGEST_NAME = 200
_ENTRY = {"path": str, "size": int, "sha256": str}


def write_archive(path: str | Path, files: Mapping[str, bytes], *, description: Mapping[str, Any]) -> dict[str, Any]:
    """Write a bundle.

    Args:
        path: The archive.
        files: Content by name; names are relative, with /.
        description: Further keys of the index.

    Returns:
        The index.

    Raises:
        SchemaError: A name that would leave the folder it is unpacked in, or content beyond the limits of opening.
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
        out.close()
        largest = max((len(data) for name, data in content.items() if name.endswith(".json")), default=0)
        if sum(map(len, content.values())) > most_bytes(raw.tell()) or len(content) > MOST_FILES or largest > MOST_JSON_BYTES:
            what = f"bundle {path}"
            expected = f"at most {MOST_FILES} files and {LARGEST_RATIO} times the archive; JSON of at most {MOST_JSON_BYTES} bytes"
            raise SchemaError(what, got=f"{len(content)} files that could not be opened again", expected=expected, remedy="leave files out")
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
    source, target = Path(path), Path(folder)
    above = next(parent for parent in target.absolute().parents if parent.is_dir())
    with _scratch(above) as scratch:
        found = {name: _unpack(scratch / name, pieces) for name, pieces in _checked(source)}
        index = _read_index(scratch / INDEX, source)
        listed = {entry["path"]: entry for entry in index["files"]}
        for name in sorted((set(listed) | set(found)) - {INDEX}):
            what = f"{name} of the bundle {source}"
            if name not in found or name not in listed:
                got = "in the index only" if name not in found else "not in the index"
                raise ArtifactMismatchError(what, got=got, expected="every file once, in both", remedy=REMEDY)
            size, digest = found[name]
            if digest != listed[name]["sha256"] or size != listed[name]["size"]:
                expected = f"{listed[name]['size']} bytes, SHA-256 {listed[name]['sha256']}"
                raise ArtifactMismatchError(what, got=f"{size} bytes, {digest}", expected=expected, remedy=REMEDY)
        for name in found:
            _move(scratch / name, make_folder(target / PurePosixPath(name).parent) / PurePosixPath(name).name)
    return index


@contextlib.contextmanager
def _scratch(above: Path) -> Iterator[Path]:
    """Give a folder to unpack into, on the disk of the target, so that nothing of a refused bundle gets there."""
    folder = make_folder(above / f".unpacking-{secrets.token_hex(4)}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked(source: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    for name, pieces in members(source):
        _check_name(name)
        yield name, pieces


def _unpack(path: Path, pieces: Iterator[bytes]) -> tuple[int, str]:
    """Write a file, and return its size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    make_folder(path.parent)
    with atomic_path(path, durable=False) as temporary, temporary.open("wb") as out:
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            if path.suffix == ".json" and size > MOST_JSON_BYTES:
                what, expected = f"{path.name} of a bundle", f"JSON documents of at most {MOST_JSON_BYTES} bytes"
                raise InputFileError(what, got="a larger one", expected=expected, remedy=REMEDY)
            out.write(piece)
    return size, digest.hexdigest()


def _move(source: Path, target: Path) -> None:
    with atomic_path(target, durable=False) as temporary:
        source.replace(temporary)


def _read_index(path: Path, source: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_bytes())
        ours, schema = index["format"] == "h4l-bundle", index["schema"]
        good = ours and schema == SCHEMA and isinstance(index["files"], list)
        good = good and all(isinstance(entry[key], kind) for entry in index["files"] for key, kind in _ENTRY.items())
        good = good and len({entry["path"] for entry in index["files"]}) == len(index["files"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        good = ours = False
    if ours and isinstance(schema, int) and schema != SCHEMA:
        remedy = "open it with the version that wrote it, or write it anew with h4l bundle"
        raise other_version(f"bundle {source}", found=schema, expected=SCHEMA, remedy=remedy)
    if not good:
        expected = f"a bundle of schema {SCHEMA}, every file once with size and hash"
        raise SchemaError(f"{INDEX} of {source}", got="missing, or of another form", expected=expected, remedy="write it with h4l bundle")
    return dict(index)


def _check_name(name: str) -> None:
    """Refuse names that lead out of the folder, whatever the system makes of separators and drives."""
    parts = PurePosixPath(name).parts
    odd = any(c in "\\:" or not c.isprintable() for c in name) or any(len(part.encode()) > LONGEST_NAME for part in parts)
    if not parts or odd or name.startswith("/") or any(part in {"..", "."} for part in parts) or "/".join(parts) != name:
        what = "name of a file in the bundle"
        raise SchemaError(what, got=name, expected="a relative name inside the bundle", remedy="do not use this file")
