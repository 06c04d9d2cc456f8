"""Write the columns of a file again, with new ones beside them: numbers, vectors and lists of numbers, in a TTree."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from processors.eventfile import EventFile
from processors.formats.aliases import holds_numbers
from processors.rootfile import RootEvents
from toolkit.errors import SchemaError
from toolkit.locations import Location

_FIXED = re.compile(r"\w+(\[\d+\])+")
"""Type of a branch with arrays of one shape."""


@dataclass(frozen=True)
class CopyPlan:
    """How the columns of a file are written again.

    Args:
        read: Columns to read.
        groups: Lists of the same length per event by their counter nGROUP: GROUP to {field: column}.
        alone: Other columns.
    """

    read: tuple[str, ...]
    groups: Mapping[str, Mapping[str, str]]
    alone: tuple[str, ...]

    @staticmethod
    def counter(group: str) -> str:
        """Name of the branch that holds the lengths of the lists of a group."""
        return f"n{group}"

    def pack(self, arrays: ak.Array) -> dict[str, Any]:
        """Return what a chunk holds in the form that uproot writes."""
        out: dict[str, Any] = {name: _plain(arrays[name]) for name in self.alone}
        for group, fields in self.groups.items():
            out[group] = ak.zip({field: arrays[column] for field, column in fields.items()})
        return out


def plan_copy(events: EventFile, drop: Sequence[str], new: Sequence[str], source: Location) -> CopyPlan:
    """Say how the columns of a file are written again.

    Args:
        events: The file.
        drop: Columns that are left out.
        new: Names of columns that will stand beside them.
        source: The file, for messages.

    Raises:
        SchemaError: A column holds no numbers, or has the name of a new one.
    """
    types = {name: kind for name, kind in events.types.items() if name not in drop}
    taken, strange = sorted(set(types) & set(new)), [name for name, kind in types.items() if not _can_copy(kind)]
    if taken or strange:
        msg = f"branches of {source}"
        got = f"{taken} exist already" if taken else f"{strange} of type {[types[name] for name in strange]}"
        remedy = "choose another --prefix" if taken else f"leave them out with {' '.join(f'--drop {name}' for name in strange)}"
        raise SchemaError(msg, got=got, expected="free names, and numbers or lists of numbers", remedy=remedy)
    first = events.arrays(list(types), 0, min(1, events.entries))
    groups: dict[str, dict[str, str]] = {}
    for name in (name for name in types if _is_jagged(first[name])):
        group, _, field = name.partition("_")
        collection = events.collection(name) if isinstance(events, RootEvents) else None
        if field and (f"n{group}" in types or collection == group):
            groups.setdefault(group, {})[field] = name
    counters = {CopyPlan.counter(group) for group in groups}
    grouped = {column for fields in groups.values() for column in fields.values()}
    alone = tuple(name for name in types if name not in grouped | counters)
    return CopyPlan(tuple(name for name in types if name not in counters), groups, alone)


def written_type(values: Any) -> Any:
    """Return the type of a column for uproot."""
    if isinstance(values, np.ndarray):
        return np.dtype((values.dtype, values.shape[1:])) if values.ndim > 1 else values.dtype
    return values.type.content if hasattr(values.type, "content") else values.type


def _can_copy(kind: str) -> bool:
    return holds_numbers(kind) or _FIXED.fullmatch(kind) is not None


def _is_jagged(values: ak.Array) -> bool:
    return "var" in str(values.type)


def _plain(values: ak.Array) -> Any:
    """Return numbers, or vectors of fixed length, as NumPy; lists as they are."""
    return values if _is_jagged(values) else ak.to_numpy(values)
