"""Batches from parquet files that need not fit in memory.

Every epoch reads the row groups in a new random order, several at once, into a buffer that is shuffled again and again while batches are
taken from it. Memory depends on the size of the buffer and of a row group, not on the files. Batches mix as well as the file is mixed over
distances of the buffer: `write_shuffled` writes one in random order, whatever order the events come in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from toolkit.artifacts.checksums import check_file, checked_path
from toolkit.artifacts.hashing import file_sha256
from toolkit.errors import InputFileError, SchemaError
from toolkit.ratios.batches import Batch, count_validation, require_finite
from toolkit.ratios.training_state import digest_of
from toolkit.typing import BoolArray, IntArray

Columns = Sequence[str | Sequence[str]]
"""One entry per tensor: the name of a column, or the names of the columns of a matrix."""

CHUNK = 8192
"""Rows read at once from a row group."""
AT_ONCE = 8
"""Row groups that are read in turns."""
ROW_GROUP = 65_536
BUFFER = 262_144


class ParquetBatches:
    """Batches from parquet files, with the same numbers of events per epoch as `InMemoryBatches`.

    Args:
        files: Files with the same columns.
        columns: What the tensors of a batch are made of. Floats become float32, integers int64.
        batch_size: Events per training batch.
        validation_fraction: Share of the events, drawn at random, that do not train.
        generator: Draws the validation events.
        buffer_rows: Events kept in memory to draw batches from; more mixes better.

    Raises:
        InputFileError: A file cannot be read.
        SchemaError: A column is missing.
        FitError: A value is missing or not finite.

    Notes:
        The constructor reads all files once to check them. Validation events are kept in memory if they are no more than the
        buffer holds, and read again after every epoch otherwise.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        columns: Columns,
        batch_size: int,
        validation_fraction: float,
        generator: torch.Generator,
        buffer_rows: int = BUFFER,
    ) -> None:
        self.files, self.columns = tuple(files), tuple((c,) if isinstance(c, str) else tuple(c) for c in columns)
        self._matrix = tuple(not isinstance(c, str) for c in columns)
        self.batch_size, self.buffer_rows = batch_size, max(buffer_rows, 2 * batch_size)
        self._groups = [(file, g, rows) for file in self.files for g, rows in enumerate(self._row_groups(file))]
        sizes = np.array([rows for _, _, rows in self._groups], dtype=np.int64)
        n = int(sizes.sum())
        self.n_validation = count_validation(n, validation_fraction)
        self.n_training = n - self.n_validation
        self._seed = int(torch.randint(2**62, (1,), generator=generator))
        rng = np.random.default_rng(self._seed)
        self._held: IntArray = rng.multivariate_hypergeometric(sizes, self.n_validation, method="marginals") if n else sizes
        self._kept = self._check()

    def training(self, generator: torch.Generator, *, batch_size: int | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch in a new random order."""
        size = self.batch_size if batch_size is None else batch_size
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        parts: list[Batch] = []
        rows = 0
        for chunk in self._interleaved(rng):
            parts.append(chunk)
            rows += len(chunk[0])
            if rows >= max(self.buffer_rows, 2 * size):
                buffer = _shuffled(parts, rng)
                taken = rows // 2 // size * size
                yield from _split(buffer, taken, size)
                parts, rows = [tuple(t[taken:].clone() for t in buffer)], rows - taken
                del buffer
        if parts:
            yield from _split(_shuffled(parts, rng), rows // size * size, size)

    def validation(self) -> Iterator[Batch]:
        """Yield all validation events in the order of the files."""
        if self._kept is not None:
            yield self._kept
            return
        parts: list[Batch] = []
        for g in range(len(self._groups)):
            parts += list(self._read(g, held=True))
            if sum(len(part[0]) for part in parts) >= CHUNK:
                yield _joined(parts)
                parts = []
        if parts:
            yield _joined(parts)

    def digest(self) -> bytes:
        """Hash the files and what is made of them."""
        settings = repr((self.columns, self._matrix, self.batch_size, self.buffer_rows, self.n_validation, self._seed))
        return digest_of(settings.encode(), *(file_sha256(file).encode() for file in self.files))

    def _interleaved(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield training rows from a few row groups in turns, chosen at random."""
        waiting = [self._read(int(g), held=False) for g in rng.permutation(len(self._groups))]
        active: list[Iterator[Batch]] = []
        while waiting or active:
            while waiting and len(active) < AT_ONCE:
                active.append(waiting.pop())
            k = int(rng.integers(len(active)))
            chunk = next(active[k], None)
            if chunk is None:
                del active[k]
            else:
                yield chunk

    def _read(self, g: int, *, held: bool) -> Iterator[Batch]:
        """Yield the training or the validation rows of a row group."""
        file, index, n = self._groups[g]
        chosen: BoolArray = np.zeros(n, dtype=bool)
        chosen[np.random.default_rng([self._seed, g]).permutation(n)[: self._held[g]]] = True
        start = 0
        with pq.ParquetFile(file, pre_buffer=False) as source:
            names = [name for group in self.columns for name in group]
            for batch in source.iter_batches(CHUNK, row_groups=[index], columns=names):
                rows = np.nonzero(chosen[start : start + len(batch)] == held)[0]
                start += len(batch)
                if len(rows):
                    yield tuple(self._tensor(batch, k)[torch.from_numpy(rows)] for k in range(len(self.columns)))

    def _tensor(self, batch: pa.RecordBatch, k: int) -> torch.Tensor:
        values = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.columns[k]]
        stacked = np.stack(values, axis=1) if self._matrix[k] else values[0]
        return torch.from_numpy(stacked.astype(np.int64 if np.issubdtype(stacked.dtype, np.integer) else np.float32))

    def _check(self) -> Batch | None:
        """Look at all values once; return the validation events if they are few."""
        kept: list[Batch] = []
        for g in range(len(self._groups)):
            for held in (False, True):
                for part in self._read(g, held=held):
                    for k, tensor in enumerate(part):
                        require_finite(tensor, ", ".join(self.columns[k]))
                    if held and self.n_validation <= self.buffer_rows:
                        kept.append(part)
        return _joined(kept) if kept else None

    def _row_groups(self, file: Path) -> list[int]:
        check_file(file)
        try:
            with pq.ParquetFile(file) as source:
                absent = [name for group in self.columns for name in group if name not in source.schema_arrow.names]
                sizes = [source.metadata.row_group(g).num_rows for g in range(source.num_row_groups)]
        except (OSError, pa.ArrowInvalid) as error:
            remedy = "check the path, or write the file again"
            raise InputFileError(f"cannot read {file}", got=str(error), expected="a complete parquet file", remedy=remedy) from error
        if absent:
            raise SchemaError(f"columns of {file}", got=f"no column {absent[0]}", expected=f"all of {self.columns}")
        return sizes


def write_shuffled(path: Path, tensors: Batch, *, generator: torch.Generator, row_group: int = ROW_GROUP) -> Columns:
    """Write tensors to a parquet file, the events in random order, its checksum beside it.

    Args:
        path: The file.
        tensors: Tensors of the same length, of one or two dimensions.
        generator: Draws the order.
        row_group: Events per row group.

    Returns:
        The columns, for `ParquetBatches`.
    """
    columns = [f"t{k}" if t.ndim == 1 else tuple(f"t{k}_{j}" for j in range(t.shape[1])) for k, t in enumerate(tensors)]
    order = torch.randperm(len(tensors[0]), generator=generator)
    with checked_path(path) as temporary:
        writer: pq.ParquetWriter | None = None
        for rows in torch.split(order, row_group):
            table = pa.table({name: values for k, t in enumerate(tensors) for name, values in _named(columns[k], t[rows].cpu().numpy())})
            writer = pq.ParquetWriter(temporary, table.schema, compression="none") if writer is None else writer
            writer.write_table(table)
        if writer is not None:
            writer.close()
    return columns


def _named(names: str | Sequence[str], values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [(names, values)] if isinstance(names, str) else [(name, values[:, j]) for j, name in enumerate(names)]


def _split(buffer: Batch, rows: int, size: int) -> Iterator[Batch]:
    yield from zip(*(torch.split(t[:rows], size) for t in buffer), strict=True) if rows else ()


def _joined(parts: Sequence[Batch]) -> Batch:
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))


def _shuffled(parts: Sequence[Batch], rng: np.random.Generator) -> Batch:
    joined = _joined(parts)
    order = torch.from_numpy(rng.permutation(len(joined[0])))
    return tuple(t.index_select(0, order) for t in joined)
