"""Find selected events that would count twice, in one sample or in two; `processors.inputs` finds files that are copies.

Event numbers alone do not tell: generators number every sample from 1. Events are the same if their observables agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.artifacts.events import NOMINAL, ChunkInfo, chunk_table, observables_of, read_table
from toolkit.errors import ArtifactMismatchError

COLUMNS = 4
"""Observables that are compared: the first that are no counts."""
ENOUGH = 3
"""With fewer observables the event number must agree, too."""
_REMEDY = "remove one of the two, or set `allow_duplicates: true` if the events are meant to count twice"


def check_no_shared_events(events_folder: Path, infos: Sequence[ChunkInfo]) -> None:
    """Check that no selected event occurs twice, under whatever number, in one sample or in two.

    Args:
        events_folder: The ``events`` folder.
        infos: All chunks of all samples.

    Raises:
        ArtifactMismatchError: One does.
    """
    mine = [info for info in infos if info.variation == NOMINAL]
    if not mine:
        return
    columns = _compared(events_folder / mine[0].relative_path)
    if not columns:
        return
    parts = [_contents(events_folder, info, columns) for info in mine]
    contents = np.concatenate(parts)
    chunk = np.repeat(np.arange(len(mine)), [len(part) for part in parts])
    order = np.argsort(contents, kind="stable")
    again = np.flatnonzero(contents[order][1:] == contents[order][:-1])
    if not len(again):
        return
    first, second = order[again], order[again + 1]
    pairs = {tuple(sorted((mine[chunk[a]].sample, mine[chunk[b]].sample))) for a, b in zip(first[:1000], second[:1000], strict=True)}
    starts = np.cumsum([0, *(len(part) for part in parts)])
    places = [_place(events_folder, mine[chunk[i]], int(i - starts[chunk[i]]), columns) for i in (first[0], second[0])]
    names = " and ".join(dict.fromkeys(name for pair in sorted(pairs) for name in pair))
    raise ArtifactMismatchError(
        f"selected events of {'sample' if ' and ' not in names else 'samples'} {names}",
        got=f"{len(again)} events twice, first {places[0]} and {places[1]}",
        expected="every event once: the same observables to the last bit are the same event",
        remedy=_REMEDY,
    )


def _compared(path: Path) -> list[str]:
    """Return the columns that are compared; none where the tables hold no observables."""
    found = [name for name in observables_of(path) if not name.startswith(("n_", "has_"))][:COLUMNS]
    return found if len(found) >= ENOUGH or not found else [*found, "event"]


def _contents(events_folder: Path, info: ChunkInfo, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Return a number for each event of a chunk that depends on every bit of its columns, (n,)."""
    table = read_table(events_folder / info.relative_path, columns)
    mixed = np.zeros(table.num_rows, dtype=np.uint64)
    for name in columns:
        values = table.column(name).to_numpy()
        bits = values.astype(np.uint64) if name == "event" else np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
        mixed = (mixed ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
    return mixed


def _place(events_folder: Path, info: ChunkInfo, row: int, columns: Sequence[str]) -> str:
    table = chunk_table(events_folder / info.relative_path, columns=[name for name in columns if name != "event"])
    values = ", ".join(f"{name} {table.observables[name][row]:.6g}" for name in columns if name != "event")
    return f"entry {table.entry[row]} of {info.source} in {info.sample} (event {table.event_id[row]}, {values})"
