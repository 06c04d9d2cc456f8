"""The demo's ntuples from a server of this machine against the same files on disk: event tables bit by bit, and bytes touched.

    python -m benchmarks.remote [--samples ggF_S ggF_B ggF_SBI qqZZ] [--chunksize 200000] [--gap 4096]

Aim: the same tables, and at most 1.3 times the bytes. Local bytes are those that uproot asks of the disk for events, trees and heads;
remote ones are all that the server sends, checks before and after the run included.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from uproot.source.coalesce import CoalesceConfig
from uproot.source.file import MultithreadedFileSource

from benchmarks.measure import print_json, print_table
from processors import remoteroot, rootfile, run
from tests.servers import http_server
from toolkit.config import Config, load_config
from toolkit.example import demo_config, example_folder


class CountingSource(MultithreadedFileSource):  # type: ignore[misc]
    """Reads of a local file, counted over all files."""

    read = 0
    """Bytes asked for."""

    def chunk(self, start: int, stop: int) -> Any:
        CountingSource.read += stop - start
        return super().chunk(start, stop)

    def chunks(self, ranges: Any, notifications: Any) -> Any:
        CountingSource.read += sum(stop - start for start, stop in ranges)
        return super().chunks(ranges, notifications)


@contextmanager
def counting() -> Iterator[type[CountingSource]]:
    """Count what is read of local ROOT files."""
    CountingSource.read, before = 0, rootfile.MultithreadedFileSource
    rootfile.MultithreadedFileSource = CountingSource
    try:
        yield CountingSource
    finally:
        rootfile.MultithreadedFileSource = before


def served(config: Config, url: str) -> Config:
    """Return the config with the files of its samples on a server."""
    samples = tuple(s.model_copy(update={"files": tuple(f"{url}/{Path(f).name}" for f in s.files)}) for s in config.samples)
    return config.model_copy(update={"samples": samples})


def tables(out: Path) -> dict[str, str]:
    """Return a hash of the content of every event table, its key and head left out."""
    found = {}
    for path in sorted((out / "events").rglob("*.parquet")):
        digest = hashlib.sha256()
        table = pq.read_table(path).combine_chunks()
        for name, column in zip(table.column_names, table.columns, strict=True):
            digest.update(name.encode())
            for part in column.chunks:
                for buffer in part.buffers():
                    digest.update(b"-" if buffer is None else memoryview(buffer))
        found[path.relative_to(out).as_posix()] = digest.hexdigest()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", nargs="+")
    parser.add_argument("--chunksize", type=int, default=200_000)
    parser.add_argument("--gap", type=int, default=remoteroot.COALESCE.max_range_gap)
    options = parser.parse_args()
    remoteroot.COALESCE = CoalesceConfig(max_range_gap=options.gap)
    config = load_config(demo_config())
    if options.samples:
        config = config.model_copy(update={"samples": tuple(config.sample(name) for name in options.samples)})
    with tempfile.TemporaryDirectory() as name, http_server(example_folder()) as server, counting() as local:
        work, seconds = Path(name), {}
        for where, own in (("disk", config), ("server", served(config, server.url))):
            began = time.perf_counter()
            run(own, work / where, chunksize=options.chunksize)
            seconds[where] = time.perf_counter() - began
        same = tables(work / "disk") == tables(work / "server")
        ratio = server.sent / local.read
        rows = [["disk", local.read, "", seconds["disk"]], ["server", server.sent, server.requests, seconds["server"]]]
    print_table(["files on", "bytes", "requests", "wall s"], rows)
    print(f"bytes of the server / bytes of the disk: {ratio:.3f}; event tables {'the same' if same else 'DIFFERENT'}")
    print_json({"ratio": ratio, "same": same, "requests": server.requests, "gap": options.gap})


if __name__ == "__main__":
    main()
