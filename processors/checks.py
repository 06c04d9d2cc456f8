"""Checks after a run: complete or not at all, and no table of another run or file."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from coffea.processor.executor import WorkItem
from numpy.typing import NDArray

from processors.inputs import SampleInputs
from processors.plan import Chunk
from processors.sanity import explain_empty
from toolkit.artifacts.events import NOMINAL, ChunkInfo, read_info, read_table
from toolkit.artifacts.hashing import sampled_digest
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError
from toolkit.locations import FileState, file_state, locate

EVENT = ("run", "luminosityBlock", "event")
"""Columns that identify an event."""


def check_none_lost(items: Sequence[WorkItem], processed: Collection[WorkItem]) -> None:
    """Check that every chunk has a result."""
    lost = set(items) - set(processed)
    if lost:
        raise ArtifactMismatchError(
            "processing",
            got=f"{len(lost)} of {len(items)} chunks missing, first {min(lost, key=str)}",
            expected="a result for every chunk",
            remedy="run again; finished chunks are reused",
        )


def check_unchanged(inputs: Sequence[SampleInputs]) -> None:
    """Check that no input file was replaced or written to while it was being read."""
    for file in (file for sample in inputs for file in sample.files):
        try:
            where = locate(file.path)
            now = _described(file_state(where), sampled_digest(where))
        except OSError as error:
            now = str(error) if isinstance(error, InputFileError) else f"{type(error).__name__}: {error.strerror}"
        began = _described(FileState(file.size, file.version), file.digest)
        if now != began:
            raise ArtifactMismatchError(
                f"input file {file.path}",
                got=now,
                expected=f"{began}, as when the run began",
                remedy="run again when the file is complete; a file must not change while it is read",
            )


def _described(state: FileState, digest: str) -> str:
    return f"{state.size} bytes, version {state.version or 'unknown'}, content {digest}"


def check_complete(merged: Mapping[str, Any], inputs: Sequence[SampleInputs]) -> None:
    """Check that every entry of every file was counted."""
    for sample in inputs:
        got = merged.get(sample.name, {}).get("entries", 0)
        if got != sample.entries:
            raise ArtifactMismatchError(
                f"entries processed of sample {sample.name}",
                got=got,
                expected=f"{sample.entries}, the entries of its files",
                remedy="run again; finished chunks are reused",
            )


def check_selected(sample: SampleInputs, content: Mapping[str, Any]) -> None:
    """Check that at least one event of a sample is selected, and explain it if none is."""
    if content["selected"]:
        return
    explain_empty(sample.config, tuple(file.path for file in sample.files))
    counts = {cut: int(values["events"]) for cut, values in content["cutflow"].items()}
    names = list(counts)
    killer = next((b for a, b in itertools.pairwise(names) if counts[a] and not counts[b]), names[0])
    raise PhysicsDomainError(
        f"selected events of sample {sample.name}",
        got=f"zero; cut flow {counts}",
        expected="at least one event",
        remedy=f"loosen the selection (cut {killer!r} leaves nothing), or check momentum units and the file list",
    )


def verify_tables(events_folder: Path, chunks: Sequence[Chunk]) -> tuple[list[ChunkInfo], dict[str, int]]:
    """Check that the event tables on disk are those of this run; return what they say about themselves, and their rows."""
    infos, rows = [], {}
    for chunk in chunks:
        for relative_path in chunk.relative_paths:
            info = read_info(events_folder / relative_path)
            if info.key != chunk.key:
                raise ArtifactMismatchError(
                    f"event table {events_folder / relative_path}",
                    got=f"key {info.key}",
                    expected=f"key {chunk.key}",
                    remedy="another process writes to the same folder; give each run its own --out",
                )
            infos.append(info)
            rows[relative_path] = pq.read_metadata(events_folder / relative_path).num_rows
    return infos, rows


def check_unique(events_folder: Path, sample: str, infos: Sequence[ChunkInfo], *, variation: str = NOMINAL) -> None:
    """Check that no event occurs twice among the selected events of a sample, or of files that stand for it.

    Raises:
        ArtifactMismatchError: One does.

    Notes:
        Most samples number their events without repetition, and the sorted numbers alone show it in little memory.
    """
    mine = [info for info in infos if info.sample == sample and info.variation == variation]
    numbers = np.concatenate([_read(events_folder, info, "event") for info in mine])
    numbers.sort()
    if np.all(numbers[1:] != numbers[:-1]):
        return
    column = {name: np.concatenate([_read(events_folder, info, name) for info in mine]) for name in (*EVENT, "file_index", "entry")}
    order = np.lexsort([column[name] for name in reversed(EVENT)])
    same = np.logical_and.reduce([column[name][order][1:] == column[name][order][:-1] for name in EVENT])
    repeated = np.flatnonzero(same)
    if len(repeated):
        first, second = order[repeated[0]], order[repeated[0] + 1]
        sources = {info.file_index: info.source for info in mine}
        places = ", ".join(f"entry {column['entry'][i]} of {sources[int(column['file_index'][i])]}" for i in (first, second))
        raise ArtifactMismatchError(
            f"event number {column['event'][first]} of sample {sample}",
            got=f"it occurs {len(repeated) + 1 if len(repeated) == 1 else 'more than once'}: {places} ({len(repeated)} repetitions in all)",
            expected="every (run, luminosityBlock, event) once: the train/test split is keyed on it",
            remedy="remove the duplicated file or renumber the events",
        )


def _read(events_folder: Path, info: ChunkInfo, column: str) -> NDArray[Any]:
    values: NDArray[Any] = read_table(events_folder / info.relative_path, [column]).column(column).to_numpy()
    return values


def remove_stale(events_folder: Path, chunks: Sequence[Chunk]) -> None:
    """Remove event tables of an earlier chunking or file list, and what a killed run left, so that the folder holds what the index says."""
    planned = {events_folder / path for chunk in chunks for path in chunk.relative_paths}
    for sample in {chunk.sample for chunk in chunks}:
        for folder in (events_folder / sample, *events_folder.glob(f"{sample}@*")):
            for path in (*folder.glob("[0-9]*_[0-9]*.parquet"), *folder.glob(".*.parquet.*.tmp")):
                if path not in planned:
                    path.unlink(missing_ok=True)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
