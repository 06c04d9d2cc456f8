"""Results that one run keeps for the next: frozen dataclasses, the arrays in them digit by digit, in one file under a key.

A file says which classes its parts are of; only dataclasses of this package are made from it, and nothing in it is run.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from toolkit.artifacts.atomic import write_bytes
from toolkit.errors import SchemaError

SCHEMA = 1
_PACKAGE = "toolkit."


def write_kept(path: str | Path, value: Any, *, key: str) -> None:
    """Write results in one step.

    Args:
        path: The file.
        value: Dataclasses of this package, arrays of numbers or texts, numbers, texts, None, and tuples, lists and mappings of these.
        key: Hash of everything that they depend on.

    Raises:
        SchemaError: A value is none of these.
        InputFileError: The file cannot be written.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "kept.npz"
        >>> write_kept(path, {"x": (np.array([0.1, np.nan]), 1)}, key="a")
        >>> read_kept([path], key="a"), read_kept([path], key="b")
        ({'x': (array([0.1, nan]), 1)}, None)
    """
    arrays: dict[str, NDArray[Any]] = {}
    document = {"schema": SCHEMA, "key": key, "value": _encoded(value, arrays)}
    arrays["document"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_kept(paths: Iterable[str | Path], *, key: str) -> Any:
    """Read results from the first of some files that has them under a key.

    Args:
        paths: The files; they may be missing or damaged.
        key: Hash of everything that the results depend on.

    Returns:
        What was written; None where no file has it.
    """
    for path in paths:
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                document = json.loads(arrays["document"].tobytes())
                if (document["schema"], document["key"]) == (SCHEMA, key):
                    return _decoded(document["value"], arrays)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, EOFError, BadZipFile):
            continue
    return None


def _encoded(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_encoded(item, arrays) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[_encoded(name, arrays), _encoded(item, arrays)] for name, item in value.items()]}
    kind = type(value)
    if dataclasses.is_dataclass(value) and kind.__module__.startswith(_PACKAGE):
        fields = {field.name: _encoded(getattr(value, field.name), arrays) for field in dataclasses.fields(value) if field.init}
        return {"kind": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    what = "results to be kept"
    raise SchemaError(what, got=kind.__name__, expected="dataclasses of this package, arrays, numbers, texts, tuples, lists and mappings")


def _decoded(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "mapping" in value:
        return {_decoded(name, arrays): _decoded(item, arrays) for name, item in value["mapping"]}
    for kind in (tuple, list):
        if kind.__name__ in value:
            return kind(_decoded(item, arrays) for item in value[kind.__name__])
    module, _, name = value["kind"].partition(":")
    found = getattr(importlib.import_module(module), name) if module.startswith(_PACKAGE) else None
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise ValueError(value["kind"])
    return found(**{field: _decoded(item, arrays) for field, item in value["fields"].items()})
