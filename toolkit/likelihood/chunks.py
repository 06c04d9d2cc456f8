"""Sums over events, chunk by chunk, by one or several threads: the same numbers whatever their number.

A block of events fits into the cache, so that arrays that are used twice are read from memory once. A chunk is a fixed number of
blocks and the unit of work of a thread; partial sums are added in the order of the chunks, so that the sum does not depend on
which thread was faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from toolkit.errors import PhysicsDomainError

BLOCK_BYTES = 3 << 19
"""Memory of a block: it fits into the second-level cache of common processors."""
LEAST_ROWS, MOST_ROWS = 1 << 8, 1 << 12
CHUNK_BLOCKS = 16
FEW_CHUNKS = 4
"""Below this many chunks (about 64 MB of arrays) starting threads costs more than they save."""

T = TypeVar("T")


def granted_threads(threads: int | None) -> int:
    """Return the number of threads to use.

    Args:
        threads: As asked for; None means the variable OMP_NUM_THREADS if it is set (batch systems and dask workers set it), else the
            processors that this process may run on.

    Raises:
        PhysicsDomainError: Fewer than one.

    Examples:
        >>> granted_threads(3)
        3
    """
    if threads is not None:
        if threads < 1:
            raise PhysicsDomainError("threads", got=threads, expected=">= 1")
        return threads
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if text.isdecimal() and int(text) > 0:
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def block_rows(bytes_per_event: int) -> int:
    """Choose how many events make a block.

    Examples:
        >>> [block_rows(size) for size in (16, 2048, 1 << 20)]
        [4096, 768, 256]
    """
    return min(max(BLOCK_BYTES // max(bytes_per_event, 1), LEAST_ROWS), MOST_ROWS)


def blocks(part: slice, rows: int) -> Iterator[slice]:
    """Cut a slice of events into blocks."""
    for start in range(part.start, part.stop, rows):
        yield slice(start, min(start + rows, part.stop))


def map_chunks(call: Callable[[slice], T], n: int, *, rows: int, threads: int | None = None) -> Iterator[T]:
    """Evaluate a function of a slice of events on all chunks.

    Args:
        call: Evaluates one chunk.
        n: Number of events.
        rows: Events per block.
        threads: Number of threads; see `granted_threads`.

    Yields:
        The results, in the order of the events.

    Examples:
        >>> [part.stop for part in map_chunks(lambda part: part, 10_000, rows=256)]
        [4096, 8192, 10000]
    """
    length = rows * CHUNK_BLOCKS
    parts = [slice(start, min(start + length, n)) for start in range(0, n, length)]
    workers = min(granted_threads(threads), len(parts)) if len(parts) >= FEW_CHUNKS else 1
    if workers == 1:
        yield from map(call, parts)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(call, parts)
