"""Read a remote ROOT file with uproot: the byte ranges of a branch in few requests, each repeated where its failure may pass."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from uproot.source.chunk import Chunk, Source
from uproot.source.coalesce import CoalesceConfig, coalesce_requests
from uproot.source.futures import TrivialFuture

from toolkit.locations import RemoteFile

COALESCE = CoalesceConfig(max_range_gap=4096)
"""Baskets closer than this (bytes) are read in one range: less costs requests, more costs bytes that nobody needs."""
THREADS = 4
"""Requests of one file under way at the same time."""


class RemoteSource(Source):  # type: ignore[misc]
    """The bytes of a remote file, for uproot.

    Args:
        url: Its URL.
        options: Of `uproot.open`; none is used.
    """

    def __init__(self, url: str, **options: Any) -> None:
        del options
        super().__init__()
        self._file = RemoteFile(url)
        self._file_path = url
        self._executor = ThreadPoolExecutor(THREADS)
        self._closed = False
        self._size = self._file.state().size

    def __repr__(self) -> str:
        """Return the kind and the URL."""
        return f"<RemoteSource {self._file.url}>"

    def __enter__(self) -> RemoteSource:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the threads."""
        self._executor.shutdown()
        self._closed = True

    @property
    def num_bytes(self) -> int:
        """Size of the file."""
        return self._size

    @property
    def closed(self) -> bool:
        """Whether the threads have ended."""
        return self._closed

    def chunk(self, start: int, stop: int) -> Chunk:
        """Read one range."""
        return Chunk(self, start, stop, TrivialFuture(self._file.read(start, min(stop, self._size))))

    def chunks(self, ranges: Sequence[tuple[int, int]], notifications: queue.Queue[Chunk]) -> list[Chunk]:
        """Read ranges in the background, neighbours together; each chunk goes to `notifications` when it is there."""

        def submit(merged: list[tuple[int, int]]) -> Any:
            return self._executor.submit(self._file.read_ranges, merged)

        return list(coalesce_requests(list(ranges), submit, self, notifications, config=COALESCE))
