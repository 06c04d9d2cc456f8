"""Write files so that a reader never sees half of one: temporary name beside the target, flush to disk, rename."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import InputFileError


def make_folder(path: str | Path) -> Path:
    """Create a folder and its parents, and check that files can be written in it.

    Args:
        path: The folder; it may exist.

    Returns:
        The folder.

    Raises:
        InputFileError: It cannot be created or written.

    Examples:
        >>> import tempfile
        >>> make_folder(Path(tempfile.mkdtemp()) / "run" / "events").name
        'events'
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-test-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return folder


@contextlib.contextmanager
def atomic_path(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path in the same folder that becomes `path` when the block ends without an error.

    Args:
        path: The final file; its folder must exist.
        durable: Wait until the disk has the content. Without, a killed process still leaves the old or the new file, but
            a loss of power may leave a damaged one.

    Yields:
        The temporary path to write to. On any error it is removed and an existing `path` stays as it was.

    Raises:
        InputFileError: The disk is full, or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "a.txt") as temporary:
        ...     _ = temporary.write_text("done")
        >>> [p.name for p in folder.iterdir()]
        ['a.txt']
    """
    final = Path(path)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if durable:
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
        temporary.replace(final)
    except OSError as error:
        if isinstance(error, InputFileError):
            raise
        raise _cannot_write(final, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links; an existing `target` is replaced.

    Args:
        source: The file; it must not be written to later, only replaced.
        target: Its other name; the folder must exist.

    Raises:
        InputFileError: The disk is full, or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_text(folder / "a.txt", "done")
        >>> link_or_copy(folder / "a.txt", folder / "b.txt")
        >>> (folder / "b.txt").read_text()
        'done'
    """
    with atomic_path(target, durable=False) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy2(source, temporary)


def write_bytes(path: str | Path, data: bytes, *, durable: bool = True) -> None:
    """Write bytes to a file in one step; see `atomic_path`.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "model.onnx"
        >>> write_bytes(path, b"12345")
        >>> path.stat().st_size
        5
    """
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text to a file in one step; see `atomic_path`.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note.txt"
        >>> write_text(path, "μ = 1")
        >>> path.stat().st_size  # the letter takes two bytes
        6
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document in one step, indented, keys in the given order; NaN and infinity are refused.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "results.json"
        >>> write_json(path, {"mu_hat": 1.0, "interval_68": [0.3, 1.9]})
        >>> json.loads(path.read_text())
        {'mu_hat': 1.0, 'interval_68': [0.3, 1.9]}
    """
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _cannot_write(path: Path, error: OSError) -> InputFileError:
    return InputFileError(
        f"cannot write {path}",
        got=f"{type(error).__name__}: {error.strerror or error}",
        expected="a writable folder with free disk space",
        remedy="free disk space, or choose another output folder with --out",
    )
