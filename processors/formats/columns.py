"""Take branches out of a chunk of events, whatever container wrote them, and refuse branches of the wrong form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.formats.names import find_name, keys_by_name
from toolkit.config import SampleConfig
from toolkit.errors import PhysicsDomainError, ShapeError


def column_name(pattern: str, i: int, field: str) -> str:
    """Return the name of a numbered column; whatever else stands in braces is part of the name.

    Examples:
        >>> column_name("lep{i}_{field}", 1, "pt"), column_name("{x}{i}{field}", 2, "eta")
        ('lep1_pt', '{x}2eta')
    """
    return pattern.replace("{i}", str(i)).replace("{field}", field)


def has(events: ak.Array, name: str) -> bool:
    """Return whether the chunk has the branch, under any spelling of its name or as a field of a collection."""
    kind, _, field = name.partition("_")
    return _field(events, name) is not None or (kind in events.fields and field in events[kind].fields)


def branch(events: ak.Array, name: str) -> ak.Array:
    """Return a branch by any spelling of its name; events of an RNTuple that coffea opened hold it as a field of a collection."""
    found = _field(events, name)
    if found is not None:
        return events[found]
    kind, _, field = name.partition("_")
    return events[kind][field]


def _field(events: ak.Array, name: str) -> str | None:
    """Return the field of a chunk that a name means: the chunk has the names that were asked for, or the keys of the tree."""
    if name in events.fields:
        return name
    known = keys_by_name(events.fields)
    found = find_name(known, name)
    return None if found is None else known[found]


def scalars(events: ak.Array, name: str) -> NDArray[np.float64]:
    """Return a branch with one number per event, (n,) float64.

    Raises:
        ShapeError: It holds a list per event, as a file does into which whole columns were written as one entry.
    """
    values = _without_lists_of_one(branch(events, name))
    if values.ndim != 1:
        raise _wrong_form(name, values, expected="one number per event", remedy="take `kind: mapping`, or write one entry per event")
    return np.asarray(values, dtype=np.float64)


def _without_lists_of_one(values: ak.Array) -> ak.Array:
    """Return the numbers of a branch that holds them in lists of one each, as split classes do; other branches as they are."""
    if values.ndim == 2 and ak.all(ak.num(values) == 1):
        return ak.flatten(values)
    return values


def lists(events: ak.Array, names: Sequence[str]) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """Return branches with one list per event, all of the same lengths.

    Args:
        events: The chunk.
        names: Branches; the first sets the lengths.

    Returns:
        Lengths, (n,) int64, and each branch's numbers, event after event.

    Raises:
        ShapeError: A branch is no list per event, or its lists are longer or shorter than those of the first.
    """
    counts: NDArray[np.int64] | None = None
    content = []
    for name in names:
        values = branch(events, name)
        if values.ndim != 2:
            raise _wrong_form(name, values, expected="a list of numbers per event", remedy="take `kind: flat` for one column per particle")
        lengths = np.asarray(ak.num(values), dtype=np.int64)
        if counts is None:
            counts = lengths
        elif not np.array_equal(lengths, counts):
            entry = int(np.flatnonzero(lengths != counts)[0])
            raise ShapeError(
                f"branches {names[0]!r} and {name!r}, entry {entry} of the chunk",
                got=f"{counts[entry]} and {lengths[entry]} elements",
                expected="lists of the same length: element k of every branch belongs to particle k",
                remedy="name branches of one collection, or write the ntuple again",
            )
        content.append(np.asarray(ak.flatten(values), dtype=np.float64))
    return (np.zeros(len(events), dtype=np.int64) if counts is None else counts), content


def is_event_number(events: ak.Array, name: str) -> bool:
    """Return whether a branch holds one number per event, and no list."""
    return bool(branch(events, name).ndim == 1)


def product(events: ak.Array, names: Sequence[str], factors: Sequence[str] = ()) -> NDArray[np.float64]:
    """Return the product of columns of one number per event, (n,); ones without any name.

    Args:
        events: The chunk.
        names: Columns of one number per event.
        factors: Further columns; those of leptons, lists or patterns with `{i}`, are left out.
    """
    values = np.ones(len(events))
    for name in (*names, *(name for name in factors if "{i}" not in name and is_event_number(events, name))):
        values = values * scalars(events, name)
    return values


def weight_vector(events: ak.Array, name: str) -> NDArray[np.float64]:
    """Return a weight vector, (n, k), or a single weight column as (n, 1).

    Raises:
        ShapeError: The length of the vector changes from event to event.
    """
    values = branch(events, name)
    if values.ndim == 1:
        return np.asarray(values, dtype=np.float64)[:, np.newaxis]
    lengths = np.asarray(ak.num(values, axis=1))
    width = int(lengths[0]) if len(lengths) else 0
    if np.any(lengths != width):
        entry = int(np.flatnonzero(lengths != width)[0])
        raise ShapeError(
            f"weight vector {name!r}, entry {entry} of the chunk",
            got=f"length {lengths[entry]}, after events with length {width}",
            expected="the same weights in every event",
            remedy="do not merge samples with different weights; process them as different samples",
        )
    return np.asarray(ak.flatten(values, axis=1), dtype=np.float64).reshape(-1, width)


def benchmark_vector(events: ak.Array, name: str, sample: SampleConfig) -> NDArray[np.float64]:
    """Return the vector of benchmark weights, (n, n_benchmarks).

    Raises:
        ShapeError: Its length is not the number of benchmarks.
    """
    values = branch(events, name)
    n_benchmarks = len(sample.benchmarks)
    lengths = np.asarray(ak.num(values, axis=1))
    if np.any(lengths != n_benchmarks):
        bad = int(np.flatnonzero(lengths != n_benchmarks)[0])
        raise wrong_vector_length(name, sample, int(lengths[bad]), where=f"entry {bad} of the chunk")
    return np.asarray(ak.flatten(values, axis=1), dtype=np.float64).reshape(-1, n_benchmarks)


def benchmark_columns(events: ak.Array, names: Sequence[str], sample: SampleConfig, *, option: str) -> NDArray[np.float64]:
    """Return benchmark weights that stand in a column each, (n, n_benchmarks).

    Raises:
        ShapeError: There is not one column per benchmark.
    """
    if len(names) != len(sample.benchmarks):
        raise wrong_vector_length(option, sample, len(names), where="the config")
    return np.stack([scalars(events, name) for name in names], axis=1)


def wrong_vector_length(name: str, sample: SampleConfig, length: int, *, where: str) -> ShapeError:
    """Return the error for a benchmark weight vector that does not match the config."""
    return ShapeError(
        f"benchmark weights {name!r} of sample {sample.name}, {where}",
        got=f"a vector of length {length}",
        expected=f"length {len(sample.benchmarks)}, one weight per benchmark {list(sample.benchmarks)}",
        remedy="list the benchmarks of the weight vector in its order under `benchmarks` of the sample",
    )


def identity(events: ak.Array, *, event: str | None, run: str | None, block: str | None) -> dict[str, NDArray[Any]]:
    """Return ``run``, ``luminosityBlock`` (0 where absent) and, unless its name is None, ``event``."""
    columns: dict[str, NDArray[Any]] = {}
    if event is not None:
        columns["event"] = _whole_numbers(events, event).astype(np.uint64)
    for name, source in (("run", run), ("luminosityBlock", block)):
        if source is not None and has(events, source):
            columns[name] = _whole_numbers(events, source, most=2**32 - 1).astype(np.uint32)
        else:
            columns[name] = np.zeros(len(events), dtype=np.uint32)
    return columns


def _whole_numbers(events: ak.Array, name: str, *, most: int = 2**64 - 1) -> NDArray[Any]:
    """Return event numbers; negative ones are unsigned numbers that a signed branch wrapped around.

    Raises:
        PhysicsDomainError: One is no whole number, too large, or in a branch of floating-point numbers that may have rounded it.
    """
    values = _without_lists_of_one(branch(events, name))
    if values.ndim != 1:
        raise _wrong_form(name, values, expected="one number per event", remedy="name the branch of the event number")
    numbers = np.ascontiguousarray(values)
    if numbers.dtype.kind == "f":
        bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))))
        if len(bad):
            raise PhysicsDomainError(
                f"{name!r}, entry {bad[0]} of the chunk",
                got=numbers[bad[0]],
                expected="a whole number that identifies the event",
                remedy="name the branch of the event number under `layout`, or `null` to number the events",
            )
        _check_exact(numbers, name)
    if len(numbers) and numbers.max() > most:
        entry = int(np.argmax(numbers))
        remedy = "name the right branch under `layout`"
        raise PhysicsDomainError(f"{name!r}, entry {entry} of the chunk", got=numbers[entry], expected=f"at most {most}", remedy=remedy)
    if numbers.dtype.kind == "f":
        return numbers.astype(np.uint64)
    return numbers.view(f"u{numbers.dtype.itemsize}") if numbers.dtype.kind == "i" else numbers


def _check_exact(numbers: NDArray[Any], name: str) -> None:
    """Refuse whole numbers that a floating-point branch may have rounded: two events would become one."""
    limit = 2.0 ** (np.finfo(numbers.dtype).nmant + 1)
    rounded = np.flatnonzero(numbers >= limit)
    if len(rounded):
        raise PhysicsDomainError(
            f"{name!r}, entry {rounded[0]} of the chunk",
            got=f"{numbers[rounded[0]]:.0f} in a column of {numbers.dtype}",
            expected=f"numbers below {limit:.0f}, which {numbers.dtype} holds without rounding",
            remedy="write event numbers as 64-bit integers, up to 2^63 in CSV, or let the toolkit number the events (`event: null`)",
        )


def _wrong_form(name: str, values: ak.Array, *, expected: str, remedy: str) -> ShapeError:
    got = f"{len(values)} entries of type {values.type.content}"
    if len(values) == 1 and values.ndim > 1:
        got += " (whole columns in one entry)"
    return ShapeError(f"branch {name!r}", got=got, expected=expected, remedy=remedy)
