"""Which chunks a run consists of, and the keys that say whether a chunk written earlier is still right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processors.components import component_tables
from processors.inputs import FileInput, SampleInputs
from processors.observables import written_observables
from processors.slices import adds_to
from processors.systematics import object_variations
from toolkit import __version__
from toolkit.artifacts.atomic import link_or_copy
from toolkit.artifacts.events import NOMINAL, SCHEMA, check_whole, chunk_path, read_info, table_name
from toolkit.artifacts.hashing import code_hash, file_sha256, stage_key
from toolkit.config import Config, CorrectionConfig
from toolkit.errors import SchemaError, ToolkitError
from toolkit.typing import JsonObject

CODE = (
    "processors",
    "toolkit.artifacts.columns",
    "toolkit.artifacts.events",
    "toolkit.expressions",
    "toolkit.kinematics",
    "toolkit.units",
    "toolkit.weights.splits",
)
SCORE_CODE = ("toolkit.artifacts.onnx_metadata", "toolkit.likelihood.onnx_ratio")


@dataclass(frozen=True)
class Chunk:
    """A range of entries of one file, processed at once."""

    sample: str
    file: FileInput
    file_index: int
    start: int
    stop: int
    key: str
    variations: tuple[str, ...] = ()
    """Variations of objects, each of which has a table of its own."""
    variation: str = NOMINAL
    """The variation that these files are, where they stand for others."""

    @property
    def dataset(self) -> str:
        """Name of the inputs that it belongs to, see `SampleInputs.name`."""
        return table_name(self.sample, self.variation)

    @property
    def relative_path(self) -> str:
        """Path of the chunk's own event table below the ``events`` folder, nominal but for files of a variation."""
        return chunk_path(self.sample, self.file_index, self.start, variation=self.variation)

    @property
    def relative_paths(self) -> tuple[str, ...]:
        """Paths of all event tables of the chunk below the ``events`` folder, its own first."""
        return tuple(chunk_path(self.sample, self.file_index, self.start, variation=v) for v in (self.variation, *self.variations))

    def is_done(self, events_folder: Path) -> bool:
        """Return whether complete, undamaged event tables with this key exist."""
        paths = [events_folder / path for path in self.relative_paths]
        try:
            if not all(path.is_file() and read_info(path).key == self.key for path in paths):
                return False
            for path in paths:
                check_whole(path)
            return True
        except ToolkitError:
            return False

    def take_over(self, folders: Sequence[Path], events_folder: Path) -> bool:
        """Take the event tables from the first of several folders that holds them complete and with this key; return whether one did."""
        source = next((folder for folder in folders if self.is_done(folder)), None)
        if source is not None:
            for path in self.relative_paths:
                (events_folder / path).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(source / path, events_folder / path)
        return source is not None


def plan_chunks(config: Config, inputs: Sequence[SampleInputs], *, chunksize: int) -> list[Chunk]:
    """Cut the files of all samples into chunks of nearly equal size.

    Args:
        config: The analysis.
        inputs: The checked files, those of variations included.
        chunksize: Target number of entries.

    Returns:
        The chunks, in the order of samples, files, entries. An empty file gives one empty chunk.
    """
    keys = sample_keys(config, inputs)
    chunks = []
    for sample in inputs:
        nominal = sample.variation == NOMINAL
        varied = (*(v.name for v in object_variations(config, sample.config)), *component_tables(config, sample.config)) if nominal else ()
        for index, file in enumerate(sample.files):
            for start, stop in entry_ranges(file.entries, chunksize):
                key = chunk_key(keys[sample.name], file, start, stop)
                chunks.append(Chunk(sample.config.name, file, index, start, stop, key, varied, sample.variation))
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
    """Hash, per set of files (`SampleInputs.name`), what its tables depend on: section without paths, selection, normalisation, code."""
    code = code_hash(*CODE, *(SCORE_CODE if config.scores else ()))
    common = {
        "code": code,
        "schema": SCHEMA,
        "version": __version__,
        "selection": config.selection.model_dump(mode="json"),
        "observables": written_observables(config),
        "corrections": _correction_section(config),
        "k_factors": _without_files(config.k_factors),
        "columns": {name: column.model_dump(mode="json") for name, column in config.columns.items()},
        "luminosity_ifb": config.luminosity_ifb,
        "variations": variation_section(config),
    }
    keys = {}
    for sample in inputs:
        section = sample.config.model_dump(mode="json", exclude={"files", "process", "generated", "label", "color", "uncertainty"})
        if not sample.config.where:
            del section["where"]
        other: JsonObject = {} if sample.variation == NOMINAL else {"variation": sample.variation}
        if parts := {s.name: s.where for s in adds_to(config, sample.config) if s.where}:
            other["parts"] = parts
        keys[sample.name] = stage_key({**common, "sample": section, "xsec_pb": sample.xsec_pb, "sumw": sample.sumw, **other})
    return keys


def _correction_section(config: Config) -> JsonObject:
    """Return the corrections without the paths of their files, whose hashes `variation_section` has."""
    return {name: section.model_dump(mode="json", exclude={"file"}) for name, section in config.corrections.items()}


def _without_files(sections: Mapping[str, Mapping[str, CorrectionConfig]]) -> JsonObject:
    return {p: {c: section.model_dump(mode="json", exclude={"file"}) for c, section in of.items()} for p, of in sections.items()}


def variation_section(config: Config) -> JsonObject:
    """Return the config of variations, scores and regions with the content of the files that they name, not their paths.

    Raises:
        InputFileError: A file cannot be read.
    """
    document = config.model_dump(mode="json", include={"systematics", "scores"})
    del document["systematics"]["ratios"], document["systematics"]["samples"]
    for shift in document["systematics"]["objects"].values():
        if shift["file"] is not None:
            del shift["file"]["path"]
    for score in document["scores"].values():
        del score["model"]
    return {**document, "regions": config.conditions, "files": {key: file_sha256(path) for key, path in config.external_files.items()}}


def chunk_key(sample_key: str, file: FileInput, start: int, stop: int) -> str:
    """Hash what the event table of one chunk depends on."""
    identity = [file.uuid.hex(), file.size, file.version, file.digest, file.entries]
    return stage_key({"sample": sample_key, "file": identity, "range": [start, stop]})
