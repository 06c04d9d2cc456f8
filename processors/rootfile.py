"""Open ROOT files, and turn everything that can be wrong with one into a message."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
import uproot
from uproot.source.file import MultithreadedFileSource

from processors.formats.members import has_parts, members_of, type_of
from processors.formats.names import Names, find_name, keys_by_name, split_entry
from processors.remoteroot import RemoteSource
from toolkit.errors import InputFileError, SchemaError, ShapeError, ToolkitError
from toolkit.locations import Location, RemoteFile, file_state, locate
from toolkit.typing import FloatArray


@contextlib.contextmanager
def open_root(path: Location) -> Iterator[Any]:
    """Open a ROOT file, telling apart: missing, unreadable, not ROOT, truncated.

    Yields:
        The uproot directory.

    Raises:
        InputFileError: The file cannot be used.
    """
    try:
        if isinstance(path, RemoteFile):
            size, magic = path.state().size, path.read(0, 4)
        else:
            with path.open("rb") as raw:
                size, magic = file_state(path).size, raw.read(4)
    except InputFileError:
        raise
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
    with decoding(path, "the file"):
        # Plain reads of local files are a quarter faster than those of fsspec. A mapping, so that no colon of a URL ends the name.
        kind = RemoteSource if isinstance(path, RemoteFile) else MultithreadedFileSource
        directory = uproot.open({str(path): None} if isinstance(path, RemoteFile) else path, handler=kind)
    with directory:
        with decoding(path, "the list of objects"):
            end, objects = int(directory.file.fEND), len(directory.keys())
        if end > size or not objects:
            raise _damaged(path, "the file", f"{size} bytes on disk, {end} in the file header, {objects} objects")
        yield directory


@contextlib.contextmanager
def decoding(path: str | Location, what: str) -> Iterator[None]:
    """Turn whatever uproot and awkward raise while they decode a file into a message: every access to them stands in this block.

    Args:
        path: The file.
        what: What is read from it, a phrase for the message: ``"tree 'Events'"``.

    Raises:
        InputFileError: The file is damaged, or memory does not suffice for what it announces.
        SchemaError: It holds a C++ type that cannot be read.
    """
    try:
        yield
    except (ToolkitError, ImportError):
        raise
    except _UNREADABLE_TYPE as error:
        raise SchemaError(
            f"{what} of {path}",
            got=f"a type that cannot be read ({type(error).__name__}: {_first_line(error)})",
            expected="numbers, or lists of numbers",
            remedy="leave the branch out, or write it as numbers",
        ) from error
    except Exception as error:
        raise _damaged(path, what, f"{type(error).__name__}: {_first_line(error)}") from error


_UNREADABLE_TYPE = (
    NotImplementedError,
    uproot.interpretation.identify.UnknownInterpretation,
    uproot.interpretation.objects.CannotBeAwkward,
    uproot.interpretation.objects.CannotBeStrided,
)


def _damaged(path: str | Location, what: str, got: str) -> InputFileError:
    return InputFileError(
        f"input file {path}",
        got=f"truncated or damaged file: {what} cannot be read ({got})",
        expected="a complete ROOT file" if locate(path).suffix == ".root" else "a complete file",
        remedy="copy or produce the file again and compare sizes; a file still being written cannot be read",
    )


class RootEvents:
    """The events of one TTree or RNTuple.

    Args:
        path: The file, for messages.
        directory: The open file.
        name: Name of the tree.
    """

    def __init__(self, path: Location, directory: Any, name: str) -> None:
        self.path = path
        self.directory = directory
        self.name = name
        self.tree = get_tree(directory, name, path, option="tree")

    @cached_property
    def entries(self) -> int:
        """Number of events."""
        with self._decoding():
            entries = int(self.tree.num_entries)
        if entries < 0:
            raise _damaged(self.path, f"tree {self.name!r}", f"{entries} entries")
        return entries

    @cached_property
    def _keys(self) -> dict[str, str]:
        with self._decoding():
            return keys_by_name([key for key in self.tree.keys() if not has_parts(self.tree[key])])  # noqa: SIM118

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Type of each branch by its plain name; other spellings of the name find it, too."""
        with self._decoding():
            own = {name: type_of(self.tree[key]) for name, key in self._keys.items()}
        return Names({**self._member_types, **own})

    @cached_property
    def _members(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Key of the branch and path of the member, by name, of every number inside the objects of a branch (TLorentzVector and others)."""
        return {name: where for name, (where, _) in self._found_members.items()}

    @cached_property
    def _member_types(self) -> dict[str, str]:
        return {name: kind for name, (_, kind) in self._found_members.items()}

    @cached_property
    def _found_members(self) -> dict[str, tuple[tuple[str, tuple[str, ...]], str]]:
        found = {}
        with self._decoding():
            for name, key in self._keys.items():
                for path, kind in members_of(self.tree[key]).items():
                    found["_".join((name, *path))] = ((key, path), kind)
        return {name: value for name, value in found.items() if name not in self._keys}

    @property
    def uuid(self) -> bytes:
        """Identity that ROOT gave the file when it was written, 16 bytes."""
        with decoding(self.path, "the file header"):
            return bytes(self.directory.file.uuid.bytes)

    def arrays(self, names: Sequence[str], start: int, stop: int) -> ak.Array:
        """Read branches of a range of entries.

        Raises:
            InputFileError: They cannot be decoded.
            SchemaError: One is of a type that cannot be read.
        """
        columns = {}
        for name in names:
            with self._decoding(f"branch {name!r}, entries {start} to {stop}"):
                columns[name] = self._column(name, start, stop)
                if len(columns[name]) != stop - start:
                    raise _damaged(self.path, f"branch {name!r} of tree {self.name!r}", f"{len(columns[name])} of {stop - start} entries")
        with self._decoding():
            return ak.zip(columns, depth_limit=1)

    def weight_names(self, column: str) -> tuple[str, ...]:
        """Return the description of a weight branch, where whoever wrote the file gave it one: a title that is not its leaf."""
        with self._decoding(f"branch {column!r}"):
            title = str(getattr(self._branch(column), "title", "") or "")
        leaf = re.fullmatch(rf"{re.escape(column)}(\[\w*\])*(/\w)?", title)
        return () if not title or leaf else (title,)

    def collection(self, column: str) -> str | None:
        """Return the collection (RNTuple) or split class (TTree) that a column belongs to; None for a column of its own."""
        path, _, last = self._keys[column].rpartition("/")
        is_part = bool(path) or not hasattr(self.tree, "branches")
        return last.rpartition(".")[0] or None if is_part else None

    def constants(self, tree: str, column: str) -> FloatArray | None:
        """Return a column of another tree; None where that tree lacks it. Some versions of NanoAOD end the names in Runs with ``_``.

        Raises:
            SchemaError: The file has no such tree.
        """
        other = get_tree(self.directory, tree, self.path, option="layout.runs_tree")
        with decoding(self.path, f"branch {column!r} of tree {tree!r}"):
            found = next((name for name in (column, f"{column}_") if name in other.keys()), None)  # noqa: SIM118
            return None if found is None else np.asarray(other[found].array(library="np"), dtype=np.float64)

    def _column(self, name: str, start: int, stop: int) -> ak.Array:
        """Read a branch, a member of the objects of a branch, or one entry of its lists."""
        member = self._members.get(find_name(self._members, name) or "")
        key, path = member or (None, ())
        values = (self._branch(name) if key is None else self.tree[key]).array(entry_start=start, entry_stop=stop)
        for field in path:
            values = values[field]
        base, position = split_entry(name)
        if position is None or name in self._keys:
            return values
        short = np.flatnonzero(np.asarray(ak.num(values, axis=1)) <= position)
        if len(short):
            raise ShapeError(
                f"{name!r}, entry {start + short[0]} of {self.path}",
                got=f"{len(values[short[0]])} entries in {base!r}",
                expected=f"at least {position + 1}",
                remedy="name an entry that every event has",
            )
        return values[:, position]

    def _branch(self, name: str) -> Any:
        found = find_name(self._keys, name)
        if found is None:
            raise SchemaError(
                f"branch {name!r} of tree {self.name!r} in {self.path}",
                got="no such branch",
                expected="a branch of the tree",
                remedy=nearest(name, self._keys) or "`h4l inspect` lists what the file has",
            )
        return self.tree[self._keys[found]]

    def _decoding(self, what: str = "") -> contextlib.AbstractContextManager[None]:
        return decoding(self.path, f"{what} of tree {self.name!r}" if what else f"tree {self.name!r}")


@contextlib.contextmanager
def open_root_events(path: Location, tree: str) -> Iterator[RootEvents]:
    """Open the event tree of a ROOT file; see `open_root`.

    Yields:
        The events.

    Raises:
        InputFileError: The file cannot be used.
        SchemaError: It has no such tree.
    """
    with open_root(path) as directory:
        yield RootEvents(path, directory, tree)


def get_tree(directory: Any, name: str, path: Location, *, option: str) -> Any:
    """Return a tree of a ROOT file.

    Raises:
        SchemaError: There is none of that name; the nearest is given, or the config option that names it.
    """
    trees = tree_names(directory, path)
    if name not in trees:
        raise SchemaError(
            f"tree {name!r} in {path}",
            got=f"trees {sorted(trees)}",
            expected=f"a TTree or RNTuple called {name!r}",
            remedy=nearest(name, trees) or f"set `{option}` of the sample to the name of its tree",
        )
    with decoding(path, f"tree {name!r}"):
        return directory[name]


def tree_names(directory: Any, path: Location) -> list[str]:
    """Return the names of the TTrees and RNTuples in a ROOT file."""
    with decoding(path, "the list of objects"):
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
