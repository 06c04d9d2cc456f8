"""Whether samples that add up share events, looked for in their files before any chunk is processed.

Where the conditions name branches of the event, all entries tell at little cost which events could be shared; these alone are selected, as
processing does it. Conditions on observables need the selection of every event: a few entries are looked at, and processing sees the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from processors.branches import branches_to_read
from processors.eventfile import EventFile
from processors.formats import numbered
from processors.formats.columns import scalars
from processors.reading import read_record
from processors.selection import select
from processors.slices import Slice, is_branch
from toolkit.config import Config, SampleConfig
from toolkit.expressions import Condition
from toolkit.typing import BoolArray, IntArray

MOST = 1_000_000
"""Entries of a file whose branches are read."""
STEP = 100_000
"""Entries whose branches are read at once."""
RANGE = 10_000
"""Entries of a file that are selected."""


def undecided_entries(events: EventFile, config: Config, sample: SampleConfig) -> dict[str, int]:
    """Look for events of a file that a sample shares with those that it adds up with.

    Args:
        events: A file of the sample.
        config: The analysis.
        sample: Its section of the config.

    Returns:
        By name of the other sample, the entries of which only processing tells whether they are in its part; 0 where all are decided.

    Raises:
        ArtifactMismatchError: A selected event is in the part of another sample; see `Slice.apply`.
    """
    part = Slice.of(config, sample)
    return {other: _undecided(events, config, sample, part.only(other)) for other in part.others}


def overlap_notes(sample: SampleConfig, others: dict[str, str], undecided: dict[str, int], entries: int) -> tuple[str, ...]:
    """Say of which samples it is not known yet whether they share events with one.

    Args:
        sample: Its section of the config.
        others: Conditions of the samples that it adds up with, by name.
        undecided: Entries that `undecided_entries` left open, over all files, by name.
        entries: Entries of all files.

    Examples:
        >>> overlap_notes(SampleConfig(name="low", files=("low.root",)), {"high": "m4l > 300"}, {"high": 9000}, 10000)[0][:93]
        'samples low and high add up: 9000 of 10000 entries of low were not compared with `m4l > 300`,'
    """
    return tuple(
        f"samples {sample.name} and {name} add up: {n} of {entries} entries of {sample.name} were not compared with `{others[name]}`, the "
        f"part of {name}; `h4l process` compares every selected event that has what the condition names"
        for name, n in undecided.items()
        if n
    )


def _undecided(events: EventFile, config: Config, sample: SampleConfig, part: Slice) -> int:
    """Compare a file with the part of one other sample; return the entries that are left open."""
    (condition,) = part.others.values()
    if any(is_branch(config, name) and name not in events.types for name in condition.names):
        return events.entries
    parts = [c for whole in (part.where, condition) if whole is not None for c in whole.conjuncts]
    cheap = [c for c in parts if c.names and all(is_branch(config, name) for name in c.names)]
    candidates = _candidates(events, cheap)
    if len(candidates):
        _select(events, config, sample, part, start=int(candidates[0]))
    later = candidates >= (candidates[0] if len(candidates) else 0) + RANGE
    return int(later.sum()) + max(events.entries - MOST, 0)


def _candidates(events: EventFile, conditions: Sequence[Condition]) -> IntArray:
    """Return the entries that fulfil conditions on branches, increasing; without conditions all."""
    stop = min(events.entries, MOST)
    if not conditions:
        return np.arange(stop)
    return np.concatenate(
        [np.zeros(0, dtype=np.int64), *(start + np.flatnonzero(mask) for start, mask in _masks(events, conditions, stop))]
    )


def _masks(events: EventFile, conditions: Sequence[Condition], stop: int) -> Iterator[tuple[int, BoolArray]]:
    names = list(dict.fromkeys(name for condition in conditions for name in condition.names))
    for start in range(0, stop, STEP):
        chunk = events.arrays(names, start, min(start + STEP, stop))
        values = {name: scalars(chunk, name) for name in names}
        yield start, np.logical_and.reduce([condition.evaluate(values) for condition in conditions])


def _select(events: EventFile, config: Config, sample: SampleConfig, part: Slice, *, start: int) -> None:
    """Select a range of entries as processing does, and refuse those in the part of the other sample."""
    stop = min(start + RANGE, events.entries)
    chunk = events.arrays(list(branches_to_read(config, sample, events.types)), start, stop)
    record = numbered(read_record(chunk, config, sample), 0, start)
    weight = np.zeros(len(record))
    selected = select(record, weight, config.selection, observables=part.names(record.columns))
    part.apply(selected, weight[selected.index], record.identity["event"][selected.index])
