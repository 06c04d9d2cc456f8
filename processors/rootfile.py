"""Open ROOT files, and turn everything that can be wrong with one into a message."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import uproot

from toolkit.errors import InputFileError, ToolkitError


@contextlib.contextmanager
def open_root(path: Path) -> Iterator[Any]:
    """Open a ROOT file, telling apart: missing, unreadable, not ROOT, truncated.

    Yields:
        The uproot directory.

    Raises:
        InputFileError: The file cannot be used.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
    except OSError as error:
        raise InputFileError(
            f"input file {path}", got=error.strerror, expected="a readable ROOT file", remedy="check the path and its permissions"
        ) from error
    if magic != b"root":
        raise InputFileError(
            f"input file {path}",
            got=f"not a ROOT file (it starts with {magic!r})",
            expected="a ROOT file with a TTree or RNTuple",
            remedy="give the ntuple itself; an interrupted download often leaves a text page or an empty file",
        )
    try:
        directory = uproot.open(path)
        end = int(directory.file.fEND)
        keys = directory.keys()
    except Exception as error:
        raise _truncated(path, f"{type(error).__name__}: {_first_line(error)}") from error
    with directory:
        if end > path.stat().st_size or not keys:
            raise _truncated(path, f"{path.stat().st_size} bytes on disk, {end} in the file header, {len(keys)} objects")
        yield directory


def _truncated(path: Path, got: str) -> InputFileError:
    return InputFileError(
        f"input file {path}",
        got=f"truncated or damaged ROOT file ({got})",
        expected="a complete ROOT file",
        remedy="copy or produce the file again; a file still being written cannot be read",
    )


@contextlib.contextmanager
def reading(path: str, start: int, stop: int) -> Iterator[None]:
    """Turn whatever the libraries raise while they decode a damaged file into one `InputFileError`."""
    try:
        yield
    except (ToolkitError, MemoryError, ImportError):
        raise
    except Exception as error:
        raise InputFileError(
            f"entries {start} to {stop} of {path}",
            got=f"{type(error).__name__}: {_first_line(error)}",
            expected="branches that can be read and decoded",
            remedy="copy or produce the file again; `h4l inspect` shows which branches it holds",
        ) from error


def tree_names(directory: Any) -> list[str]:
    """Return the names of the TTrees and RNTuples in a ROOT file."""
    classes = directory.classnames(recursive=True, cycle=False)
    return [name for name, kind in classes.items() if kind in {"TTree", "TNtuple", "TNtupleD", "TChain"} or "RNTuple" in kind]


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return a question that names the known name most like the given one, or None if none is like it."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
