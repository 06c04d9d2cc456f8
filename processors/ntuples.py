"""Slim ROOT ntuples of the selected events, on request: plain columns that C++ reads without a dictionary."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import uproot
from numpy.typing import NDArray

from toolkit.artifacts.atomic import atomic_path, make_folder
from toolkit.artifacts.events import ChunkInfo, read_table
from toolkit.errors import ArtifactMismatchError

TREE = "Events"
Columns = dict[str, NDArray[Any]]


def write_ntuples(
    folder: str | Path, events_folder: str | Path, infos: Sequence[ChunkInfo], *, form: Literal["ttree", "rntuple"]
) -> list[Path]:
    """Write one ROOT file per sample and variation of objects, ``<folder>/<variation>/<sample>.root``, from the event tables.

    Args:
        folder: The ``ntuples`` folder; emptied first.
        events_folder: The ``events`` folder.
        infos: All chunks of all samples.
        form: TTree or RNTuple, called ``Events``.

    Returns:
        The files.

    Raises:
        InputFileError: The disk is full or the folder cannot be written.
        ArtifactMismatchError: A file does not read back as it was written; it is not kept.

    Notes:
        Columns are scalars: identity, observables (NaN where missing), scores, `weight`, `weight_<benchmark>`,
        `weight_<variation>` for weight variations, `region_<region>` as bool. Rows are in the order of the ntuples.
    """
    shutil.rmtree(folder, ignore_errors=True)
    tables: dict[tuple[str, str], list[ChunkInfo]] = {}
    for info in sorted(infos, key=lambda i: (i.sample, i.variation, i.file_index, i.start)):
        tables.setdefault((info.sample, info.variation), []).append(info)
    paths = []
    for (sample, variation), chunks in tables.items():
        path = make_folder(Path(folder) / variation) / f"{sample}.root"
        with atomic_path(path) as temporary:
            _write(temporary, Path(events_folder), chunks, form)
            _verify(temporary, path, Path(events_folder), chunks)
        paths.append(path)
    return paths


def chunk_columns(path: Path, info: ChunkInfo) -> Columns:
    """Read one event table as the columns of a ROOT ntuple: ratios become weights, nulls NaN, channels int32."""
    columns: Columns = {}
    table = read_table(path)
    for name in table.column_names:
        column = table.column(name).to_numpy()
        if name == "channel":
            columns[name] = column.astype(np.int32)
        elif name.removeprefix("ratio_") in info.weight_variations and name.startswith("ratio_"):
            columns[f"weight_{name.removeprefix('ratio_')}"] = table.column("weight").to_numpy() * column
        else:
            columns[name] = column
    return columns


def _write(path: Path, events_folder: Path, chunks: Sequence[ChunkInfo], form: str) -> None:
    first = chunk_columns(events_folder / chunks[0].relative_path, chunks[0])
    types = {name: column.dtype for name, column in first.items()}
    with uproot.recreate(path) as file:
        tree = file.mktree(TREE, types) if form == "ttree" else file.mkrntuple(TREE, types)
        for info in chunks:
            columns = chunk_columns(events_folder / info.relative_path, info)
            if len(columns["entry"]):
                tree.extend(columns)


def _verify(path: Path, final: Path, events_folder: Path, chunks: Sequence[ChunkInfo]) -> None:
    """Read the file back and compare every column of every row."""
    with uproot.open(path) as file:
        tree = file[TREE]
        start = 0
        for info, expected in _all_columns(events_folder, chunks):
            stop = start + len(expected["entry"])
            got = tree.arrays(entry_start=start, entry_stop=stop)
            wrong = set(expected) ^ set(got.fields)
            wrong |= {n for n in set(expected) - wrong if not _same(np.asarray(got[n]), expected[n])}
            if wrong:
                raise _not_written(final, f"columns {sorted(wrong)} of {info.relative_path} differ")
            start = stop
        if tree.num_entries != start:
            raise _not_written(final, f"{tree.num_entries} entries instead of {start}")


def _all_columns(events_folder: Path, chunks: Sequence[ChunkInfo]) -> Iterator[tuple[ChunkInfo, Columns]]:
    for info in chunks:
        yield info, chunk_columns(events_folder / info.relative_path, info)


def _same(got: NDArray[Any], expected: NDArray[Any]) -> bool:
    return got.dtype == expected.dtype and np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f")


def _not_written(path: Path, got: str) -> ArtifactMismatchError:
    return ArtifactMismatchError(
        f"ROOT ntuple {path}, read back",
        got=got,
        expected="what the event tables hold",
        remedy="write the other form (`outputs.root`), and report it",
    )
