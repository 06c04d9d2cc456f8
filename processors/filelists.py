"""From what a user writes to files: paths, URLs, patterns, lists of files in a text, and datasets in JSON as coffea has them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.rootfile import nearest
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.locations import Location, RemoteFile, is_url, locate

LARGEST_LIST = 1 << 26
"""Bytes of a list that are read; ten times the largest in use."""
_LIST = re.compile(r"\.(txt|list)$", re.IGNORECASE)
_DATASETS = re.compile(r"(.+\.json(?:\.gz)?)(?:#(.+))?$", re.IGNORECASE)


@dataclass(frozen=True)
class Listed:
    """A file, and what was said about it where it is listed.

    Args:
        file: The file.
        tree: Its tree, if a dataset names one.
        dataset: Its dataset, if it stands in one.
    """

    file: Location
    tree: str = ""
    dataset: str = ""


def expand(patterns: Iterable[str], *, what: str, dataset: str | None = None) -> tuple[list[Listed], tuple[str, ...]]:
    """Return the files that a user names, each once, and sentences about those that are named more than once.

    Args:
        patterns: Paths, URLs and patterns of files; texts with one of these per line (``.txt``, ``.list``; ``#`` begins a comment);
            JSON files of datasets, ``{dataset: {"files": {path: tree}}}``. ``FILE.json#NAME`` names one dataset.
        what: Who names them, for messages.
        dataset: The dataset to take from JSON files that hold several; None takes all.

    Returns:
        (files, notes): in the order of the patterns, by name within each.

    Raises:
        InputFileError: A pattern matches nothing or a folder, or a list cannot be read.
        SchemaError: A list is empty, or a document is not of datasets.
        ArtifactMismatchError: A list names a file twice.
    """
    found: dict[Location, Listed] = {}
    again: dict[str, None] = {}
    for pattern in patterns:
        for listed in _expanded(pattern, what, dataset):
            file = listed.file.resolve()
            if file in found:
                again[str(file)] = None
            else:
                found[file] = Listed(file, listed.tree, listed.dataset)
    notes = (f"{what}: read once although named more than once: {_some(list(again))}",) if again else ()
    return list(found.values()), notes


def _expanded(pattern: str, what: str, dataset: str | None) -> Iterator[Listed]:
    datasets = _DATASETS.match(pattern)
    if datasets and not is_pattern(pattern):
        yield from _of_datasets(locate(datasets[1]), datasets[2] or dataset, what, named=datasets[2] is not None)
    elif _LIST.search(pattern) and not is_pattern(pattern):
        yield from _of_list(locate(pattern), what)
    else:
        yield from map(Listed, matches(pattern, what=what))


def is_pattern(text: str) -> bool:
    """Return whether a name stands for several files; an existing file never does.

    Examples:
        >>> is_pattern("a_*.root"), is_pattern("https://host/a.root?token=1"), is_pattern("root://host//store/*.root")
        (True, False, True)
    """
    location = locate(text)
    if isinstance(location, RemoteFile):
        return location.is_pattern
    return any(c in text for c in "*?[") and not location.is_file()


CHECK = {"files": "check the path under `files`, or the folder given with --data"}
"""What to do where nothing is found, by who named it; elsewhere the path is all there is."""


def matches(pattern: str, *, what: str) -> list[Location]:
    """Return the files that a path, URL or pattern stands for, sorted by name.

    Raises:
        InputFileError: There is none.
    """
    location = locate(pattern)
    if isinstance(location, RemoteFile):
        return _remote_matches(location, what)
    found = _local_matches(location)
    if found:
        return found
    if location.is_dir():
        raise InputFileError(what, got=f"the folder {pattern}", expected="files", remedy=f"give {pattern}/*.root")
    folder = location.parent
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    raise InputFileError(
        what,
        got=f"nothing at {pattern}" + ("" if folder.is_dir() else f" (no folder {folder})"),
        expected="at least one file",
        remedy=nearest(location.name, names) or CHECK.get(what.partition(" of sample ")[0], "check the path"),
    )


def _remote_matches(location: RemoteFile, what: str) -> list[Location]:
    if not location.is_pattern:
        return [location]
    found = location.glob()
    if not found:
        remedy = "check the pattern; an HTTP server must list the folder, else write the files into a list (FILES.txt)"
        raise InputFileError(what, got=f"nothing at {location}", expected="at least one file", remedy=remedy)
    return list(found)


def _local_matches(path: Path) -> list[Location]:
    if path.is_file():
        return [path]
    anchor = Path(path.anchor)
    try:
        return sorted(m for m in anchor.glob(str(path.relative_to(anchor))) if m.is_file())
    except (ValueError, NotImplementedError) as error:
        expected = "`*`, `?` and `[abc]` in names; `**` alone between two /"
        raise InputFileError(f"pattern {path}", got=str(error), expected=expected, remedy="correct the pattern under `files`") from error


def _of_list(source: Location, what: str) -> Iterator[Listed]:
    lines: dict[str, int] = {}
    for number, line in enumerate(_text(source).splitlines(), start=1):
        entry = line.partition(" #")[0].strip()
        if not entry or entry.startswith("#"):
            continue
        if entry in lines:
            raise ArtifactMismatchError(
                f"list of files {source}",
                got=f"{entry} in lines {lines[entry]} and {number}",
                expected="every file once",
                remedy="remove one of the two lines",
            )
        lines[entry] = number
    if not lines:
        raise SchemaError(f"list of files {source}", got="no line with a file", expected="one path, URL or pattern per line")
    for entry, number in lines.items():
        yield from map(Listed, matches(_beside(source, entry), what=f"{what}, line {number} of {source}"))


def _of_datasets(source: Location, name: str | None, what: str, *, named: bool) -> Iterator[Listed]:
    try:
        document = json.loads(_text(source), object_pairs_hook=_unique_keys(source))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ArtifactMismatchError):
            raise
        raise _no_datasets(source, f"no JSON ({str(error)[:200]})") from error
    if not isinstance(document, Mapping) or not document:
        raise _no_datasets(source, type(document).__name__)
    if name is not None and name not in document and not named and len(document) == 1:
        name = next(iter(document))
    if name is not None and name not in document:
        raise SchemaError(
            f"{what}: datasets {source}",
            got=f"no dataset {name!r}",
            expected=f"one of {_some(list(document))}",
            remedy=f"name the dataset: {source}#{_proposed(name, document)}",
        )
    for dataset in document if name is None else (name,):
        for path, tree in _files_of(document[dataset], source, dataset).items():
            for file in matches(_beside(source, path), what=f"{what}, dataset {dataset} of {source}"):
                yield Listed(file, tree, dataset)


def _proposed(name: str, known: Iterable[str]) -> str:
    """Return the known name that a message proposes."""
    names = list(known)
    return next((n for n in names if name.lower() in n.lower() or n.lower() in name.lower()), names[0])


def _files_of(section: Any, source: Location, dataset: str) -> dict[str, str]:
    """Return the tree of each file of a dataset, in any of the forms that coffea reads; empty where the document says none."""
    common = ""
    if isinstance(section, Mapping):
        common = section.get("treename", "")
        section = section.get("files")
    if isinstance(section, Sequence) and not isinstance(section, str):
        repeated = sorted({path for path in map(str, section) if list(map(str, section)).count(path) > 1}) if len(section) < 10_000 else []
        if repeated:
            raise _twice(source, f"{dataset}: {_some(repeated)}")
        section = dict.fromkeys(section, common)
    if not isinstance(section, Mapping) or not section:
        raise _no_datasets(source, f"dataset {dataset!r} without files")
    trees = {}
    for path, of in section.items():
        tree = of.get("object_path", common) if isinstance(of, Mapping) else of or common
        if not isinstance(path, str) or not isinstance(tree, str):
            raise _no_datasets(source, f"dataset {dataset!r}, file {str(path)[:100]!r}: tree {str(tree)[:100]!r}")
        trees[path] = tree
    return trees


def _unique_keys(source: Location) -> Any:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            raise _twice(source, _some(sorted({key for key in keys if keys.count(key) > 1})))
        return dict(pairs)

    return build


def _twice(source: Location, got: str) -> ArtifactMismatchError:
    return ArtifactMismatchError(
        f"datasets {source}", got=f"{got} twice", expected="every dataset and file once", remedy="remove one of the two"
    )


def _no_datasets(source: Location, got: str) -> SchemaError:
    return SchemaError(f"datasets {source}", got=got, expected='{"DATASET": {"files": {"FILE.root": "TREE"}}}', remedy="see docs/remote.md")


def _text(source: Location) -> str:
    try:
        with source.open("rb") as file:
            content = (gzip.GzipFile(fileobj=file) if source.suffix == ".gz" else file).read(LARGEST_LIST + 1)
        if len(content) > LARGEST_LIST:
            raise InputFileError(f"list of files {source}", got=f"more than {LARGEST_LIST} bytes", expected="a list of files")
        return bytes(content).decode("utf-8")
    except InputFileError:
        raise
    except (OSError, EOFError, UnicodeDecodeError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise InputFileError(f"list of files {source}", got=got, expected="a readable text in UTF-8", remedy="check the path") from error


def _beside(source: Location, entry: str) -> str:
    """Name a file as its list means it: relative to the folder of the list."""
    if is_url(entry) or entry.startswith("/"):
        return entry
    return str(source.beside(entry)) if isinstance(source, RemoteFile) else str(source.resolve().parent / entry)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
