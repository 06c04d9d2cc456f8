"""Open ROOT files, and turn everything that can be wrong with one into a message."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from toolkit.errors import InputFileError, SchemaError, ToolkitError
from toolkit.typing import FloatArray


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


class RootEvents:
    """The events of one TTree or RNTuple.

    Args:
        path: The file, for messages.
        directory: The open file.
        name: Name of the tree.
    """

    def __init__(self, path: Path, directory: Any, name: str) -> None:
        self.path = path
        self.directory = directory
        self.tree = get_tree(directory, name, path, option="tree")

    @property
    def entries(self) -> int:
        """Number of events."""
        return int(self.tree.num_entries)

    @cached_property
    def _keys(self) -> dict[str, str]:
        return {key.replace(".", "_"): key for key in self.tree.keys()}  # noqa: SIM118

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Type of each branch by its name in TTree spelling."""
        return {name: str(self.tree[key].typename) for name, key in self._keys.items()}

    @property
    def uuid(self) -> bytes:
        """Identity that ROOT gave the file when it was written, 16 bytes."""
        return bytes(self.directory.file.uuid.bytes)

    def arrays(self, names: Sequence[str], start: int, stop: int) -> ak.Array:
        """Read branches of a range of entries.

        Raises:
            InputFileError: They cannot be decoded.
        """
        with reading(str(self.path), start, stop):
            columns = {name: self.tree[self._keys[name]].array(entry_start=start, entry_stop=stop) for name in names}
            return ak.zip(columns, depth_limit=1)

    def weight_names(self, column: str) -> tuple[str, ...]:
        """Return the description of a weight branch, where whoever wrote the file gave it one: a title that is not its leaf."""
        title = str(getattr(self.tree[self._keys[column]], "title", "") or "")
        leaf = re.fullmatch(rf"{re.escape(column)}(\[\w*\])*(/\w)?", title)
        return () if not title or leaf else (title,)

    def constants(self, tree: str, column: str) -> FloatArray | None:
        """Return a column of another tree; None where that tree lacks it.

        Raises:
            SchemaError: The file has no such tree.
        """
        other = get_tree(self.directory, tree, self.path, option="layout.runs_tree")
        return np.asarray(other[column].array(library="np"), dtype=np.float64) if column in other.keys() else None  # noqa: SIM118


@contextlib.contextmanager
def open_root_events(path: Path, tree: str) -> Iterator[RootEvents]:
    """Open the event tree of a ROOT file; see `open_root`.

    Yields:
        The events.

    Raises:
        InputFileError: The file cannot be used.
        SchemaError: It has no such tree.
    """
    with open_root(path) as directory:
        yield RootEvents(path, directory, tree)


def get_tree(directory: Any, name: str, path: Path, *, option: str) -> Any:
    """Return a tree of a ROOT file.

    Raises:
        SchemaError: There is none of that name; the nearest is given, or the config option that names it.
    """
    trees = tree_names(directory)
    if name not in trees:
        raise SchemaError(
            f"tree {name!r} in {path}",
            got=f"trees {sorted(trees)}",
            expected=f"a TTree or RNTuple called {name!r}",
            remedy=nearest(name, trees) or f"set `{option}` of the sample to the name of its tree",
        )
    return directory[name]


def tree_names(directory: Any) -> list[str]:
    """Return the names of the TTrees and RNTuples in a ROOT file."""
    classes = directory.classnames(recursive=True, cycle=False)
    return [name for name, kind in classes.items() if kind in {"TTree", "TNtuple", "TNtupleD", "TChain"} or "RNTuple" in kind]


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return a question that names the known name most like the given one, or None if none is like it.

    Examples:
        >>> nearest("Electron_Pt", ["Electron_pt", "Muon_pt"])
        "did you mean 'Electron_pt'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
