"""Which chunks a run consists of, and the keys that say whether a chunk written earlier is still right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processors.inputs import FileInput, SampleInputs
from processors.observables import written_observables
from toolkit import __version__
from toolkit.artifacts.events import SCHEMA, read_info
from toolkit.artifacts.hashing import code_hash, stage_key
from toolkit.config import Config
from toolkit.errors import SchemaError, ToolkitError

CODE = ("processors", "toolkit.artifacts.events", "toolkit.kinematics", "toolkit.units")


@dataclass(frozen=True)
class Chunk:
    """A range of entries of one file, processed at once."""

    sample: str
    file: FileInput
    file_index: int
    start: int
    stop: int
    key: str

    @property
    def relative_path(self) -> str:
        """Path of the chunk's event table below the ``events`` folder."""
        return f"{self.sample}/{self.file_index:04d}_{self.start:010d}.parquet"

    def is_done(self, events_folder: Path) -> bool:
        """Return whether a complete event table with this key exists."""
        path = events_folder / self.relative_path
        if not path.is_file():
            return False
        try:
            return read_info(path).key == self.key
        except ToolkitError:
            return False


def plan_chunks(config: Config, inputs: Sequence[SampleInputs], *, chunksize: int) -> list[Chunk]:
    """Cut the files of all samples into chunks of nearly equal size.

    Args:
        config: The analysis.
        inputs: The checked files.
        chunksize: Target number of entries.

    Returns:
        The chunks, in the order of samples, files, entries. An empty file gives one empty chunk.
    """
    keys = sample_keys(config, inputs)
    chunks = []
    for sample in inputs:
        for index, file in enumerate(sample.files):
            for start, stop in entry_ranges(file.entries, chunksize):
                key = chunk_key(keys[sample.config.name], file, start, stop)
                chunks.append(Chunk(sample.config.name, file, index, start, stop, key))
    return chunks


def entry_ranges(entries: int, chunksize: int) -> list[tuple[int, int]]:
    """Cut a number of entries into nearly equal ranges.

    Examples:
        >>> entry_ranges(10, 4)
        [(0, 5), (5, 10)]
        >>> entry_ranges(0, 4)
        [(0, 0)]
    """
    if chunksize < 1:
        raise SchemaError("chunksize", got=chunksize, expected="at least 1", remedy="give the number of events to process at once")
    size = math.ceil(entries / max(round(entries / chunksize), 1))
    return [(start, min(start + size, entries)) for start in range(0, entries, size)] if entries else [(0, 0)]


def sample_keys(config: Config, inputs: Sequence[SampleInputs]) -> dict[str, str]:
    """Hash, per sample, what its event tables depend on: its section without the paths, selection, luminosity, normalisation, code."""
    code = code_hash(*CODE)
    common = {
        "code": code,
        "schema": SCHEMA,
        "version": __version__,
        "selection": config.selection.model_dump(mode="json"),
        "observables": written_observables(config),
        "columns": {name: column.model_dump(mode="json") for name, column in config.columns.items()},
        "luminosity_ifb": config.luminosity_ifb,
    }
    keys = {}
    for sample in inputs:
        section = sample.config.model_dump(mode="json", exclude={"files"})
        keys[sample.config.name] = stage_key({**common, "sample": section, "xsec_pb": sample.xsec_pb, "sumw": sample.sumw})
    return keys


def chunk_key(sample_key: str, file: FileInput, start: int, stop: int) -> str:
    """Hash what the event table of one chunk depends on."""
    identity = [file.uuid.hex(), file.size, file.modified_ns, file.entries]
    return stage_key({"sample": sample_key, "file": identity, "range": [start, stop]})
