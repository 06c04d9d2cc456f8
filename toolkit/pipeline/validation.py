"""Check the output folder of a run, or an unpacked bundle: every file against its checksum, every network against its reference rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.analysis.layout import MANIFEST
from toolkit.artifacts.archive import INDEX
from toolkit.artifacts.checksums import SUFFIX, check_file, checksum_path, read_checked
from toolkit.artifacts.hashing import file_sha256
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ToolkitError
from toolkit.likelihood import OnnxRatio
from toolkit.likelihood.reference_rows import ReferenceCheck, reference_path
from toolkit.typing import Progress, silent_progress

SHOWN = 10
"""Damaged files that a message lists."""
_CHECKED = (".onnx", ".parquet", ".json")
_FOLDERS = ("models", "member_models", "workspace", "events")
"""Where files of these kinds have a checksum if the toolkit wrote them."""


@dataclass(frozen=True)
class RunCheck:
    """What `check_run` found in order.

    Args:
        files: Number of files that were compared with their checksums.
        references: How well each network reproduces its reference rows, by its name in the folder.
        without_checksum: Networks, observations and workspaces that nothing vouches for.
        without_reference: Networks without reference rows.
    """

    files: int
    references: Mapping[str, ReferenceCheck]
    without_checksum: tuple[str, ...]
    without_reference: tuple[str, ...]


def check_run(out: str | Path, *, progress: Progress = silent_progress) -> RunCheck:
    """Compare every file of a run with its checksum, and evaluate the reference rows of every network.

    Args:
        out: Output folder of `h4l run`, or a bundle that was unpacked.
        progress: Called after every file.

    Returns:
        What was checked, and what nothing vouches for.

    Raises:
        InputFileError: There is neither manifest.json nor bundle.json, or a file cannot be read.
        SchemaError: They are not of the toolkit's form.
        ArtifactMismatchError: A file is missing or changed, or a network does not compute its reference rows.
    """
    folder = Path(out)
    listed = _listed(folder)
    beside = [name for name in _names(folder, SUFFIX) if (own := name.removesuffix(SUFFIX)) not in listed and (folder / own).is_file()]
    wrong = []
    for done, (name, expected) in enumerate(listed.items(), start=1):
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif file_sha256(path) != expected:
            wrong.append(f"{name} changed")
        progress("files", done, len(listed) + len(beside))
    for name in beside:
        check_file(folder / name.removesuffix(SUFFIX))
    if wrong:
        shown = ", ".join(wrong[:SHOWN]) + (f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else "")
        remedy = "run h4l run CONFIG with this --out, which makes them again, or copy the folder again"
        raise ArtifactMismatchError(
            f"{len(wrong)} of {len(listed)} files in {folder} are not what was written",
            got=shown,
            expected="unchanged files",
            remedy=remedy,
        )
    networks = _names(folder, ".onnx")
    with_rows = [name for name in networks if reference_path(folder / name).is_file()]
    references = {name: OnnxRatio(folder / name, threads=1).check_reference() for name in with_rows}
    return RunCheck(
        files=len(listed) + len(beside),
        references=references,
        without_checksum=tuple(_without_checksum(folder, listed)),
        without_reference=tuple(name for name in networks if name not in with_rows),
    )


def _listed(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that the folder says it holds, by name."""
    source = folder / (INDEX if (folder / INDEX).is_file() else MANIFEST)
    try:
        document = json.loads(read_checked(source)[0])
        listed = {entry["path"]: entry["sha256"] for entry in document["files"]} if source.name == INDEX else dict(document["outputs"])
    except ToolkitError:
        raise
    except OSError as error:
        got = "no such folder" if not folder.is_dir() else str(error.strerror or error)
        raise InputFileError(
            f"{source}", got=got, expected="the output folder of a run, or an unpacked bundle", remedy="finish the run with h4l run CONFIG"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        raise SchemaError(
            f"{source}", got=got, expected="files with their SHA-256", remedy="copy the folder again, or run again"
        ) from error
    inside = folder.resolve()
    strange = [n for n, digest in listed.items() if not (_is_text(n, digest) and (folder / n).resolve().is_relative_to(inside))]
    if strange or not listed:
        got = f"{strange[:SHOWN]}" if strange else "no files"
        raise SchemaError(f"{source}", got=got, expected="names of files in this folder", remedy="copy the folder again, or run again")
    return listed


def _is_text(*values: Any) -> bool:
    return all(isinstance(value, str) and "\0" not in value for value in values)


def _names(folder: Path, suffix: str) -> list[str]:
    """Return the files below a folder whose names end so, relative to it; hidden folders are left out."""
    found = (path.relative_to(folder) for path in sorted(folder.rglob(f"*{suffix}")))
    return [path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)]


def _without_checksum(folder: Path, listed: Mapping[str, str]) -> Iterator[str]:
    for suffix in _CHECKED:
        for name in _names(folder, suffix):
            vouched = name in listed or checksum_path(folder / name).is_file() or name.endswith(".reference.json")
            if not vouched and name.partition("/")[0] in _FOLDERS:
                yield name
