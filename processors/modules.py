"""Python files of the user's that register observables: run once per process, again when they change."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ToolkitError
from toolkit.kinematics import OBSERVABLES
from toolkit.kinematics.registry import forget


@dataclass(frozen=True)
class _Loaded:
    digest: str
    names: tuple[str, ...]


_LOADED: dict[str, _Loaded] = {}
"""What each file registered in this process. The registry is one per process, so this is too."""


def load_modules(paths: Iterable[str], *, digests: dict[str, str] | None = None) -> dict[str, str]:
    """Run the user's files that this process has not run yet, or that have changed since; their observables are then registered.

    Args:
        paths: Python files.
        digests: Hashes that the files must have, by path; a worker process is given those of the main process.

    Returns:
        Hash of each file, by path.

    Raises:
        InputFileError: A file cannot be read.
        ArtifactMismatchError: A file has not the hash that it must have.
        SchemaError: A file does not run, or registers a name that is taken; nothing of it stays registered.
    """
    found = {}
    for path in paths:
        found[path] = digest = _digest(path)
        if digests is not None and digests.get(path) != digest:
            raise ArtifactMismatchError(
                f"module {path}", got="another content than when the run began", expected="a file that stays as it is", remedy="run again"
            )
        known = _LOADED.get(path)
        if known is not None and known.digest == digest:
            continue
        if known is not None:
            forget(_LOADED.pop(path).names)
        _LOADED[path] = _Loaded(digest, _run(path, digest))
    return found


def _digest(path: str) -> str:
    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise InputFileError(
            f"module {path}",
            got=error.strerror,
            expected="a Python file that registers observables",
            remedy="correct `modules` of the config",
        ) from error


def _run(path: str, digest: str) -> tuple[str, ...]:
    """Run a file as a module of its own, and return the names of the observables that it registers."""
    name, before = f"h4l_user_{digest}", set(OBSERVABLES)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SchemaError(f"module {path}", got=f"a file {Path(path).name}", expected="a Python file, NAME.py", remedy="rename the file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # functions of the file are pickled by this name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        forget(set(OBSERVABLES) - before)
        raise SchemaError(
            f"module {path}{_line(error, path)}",
            got=f"{error.what}: {error.got}" if isinstance(error, ToolkitError) else f"{type(error).__name__}: {error}",
            expected="a Python file that runs and registers observables under new names",
            remedy="correct the file; docs/observables.md has an example",
        ) from error
    return tuple(observable for observable in OBSERVABLES if observable not in before)


def _line(error: BaseException, path: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    number = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return "" if number is None else f", line {number}"
