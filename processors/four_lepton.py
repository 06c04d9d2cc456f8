"""The four-lepton processor: select, compute, weight, accumulate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from coffea import processor
from numpy.typing import NDArray

from processors.dialects import EventRecord, reader_for
from processors.histograms import OWN, book, fill
from processors.inputs import SampleInputs, inspect_inputs
from processors.observables import read_columns, written_observables
from processors.plan import chunk_key, sample_keys
from processors.rootfile import reading
from processors.selection import select
from toolkit.artifacts.events import ChunkInfo, write_chunk
from toolkit.config import Config
from toolkit.errors import PhysicsDomainError, SchemaError


class FourLeptonProcessor(processor.ProcessorABC):  # type: ignore[misc]  # coffea is untyped
    """Fill histograms and the cut flow of four-lepton events, and optionally write the event tables.

    Use it in any coffea Runner with ``schema=BaseSchema``; the dataset names are the sample names of the config.

    Args:
        config: The analysis.
        inputs: Normalisation of the samples; None opens the files of the config and reads it.
        events_folder: Where the event tables go, one parquet file per chunk; None writes none.
    """

    def __init__(self, config: Config, *, inputs: Sequence[SampleInputs] | None = None, events_folder: str | Path | None = None) -> None:
        self.config = config
        self.inputs = {s.config.name: s for s in (inspect_inputs(config) if inputs is None else inputs)}
        self.events_folder = None if events_folder is None else Path(events_folder)
        self.observables = written_observables(config)
        self.keys = sample_keys(config, tuple(self.inputs.values()))

    def process(self, events: ak.Array) -> dict[str, Any]:
        """Process one chunk.

        Args:
            events: What coffea's BaseSchema gives, with the chunk's metadata.

        Returns:
            ``{sample: {"entries": int, "selected": int, "cutflow": {cut: {"events", "sumw", "sumw2"}}, "histograms": {name: Hist}}}``.

        Raises:
            InputFileError: The entries cannot be read, or the event table cannot be written.
            ShapeError: A benchmark weight vector has the wrong length.
            PhysicsDomainError: A weight is NaN or infinite.
        """
        chunk = events.metadata
        sample = self._sample(chunk["dataset"])
        with reading(chunk["filename"], chunk["entrystart"], chunk["entrystop"]):
            record = reader_for(sample.config).read(events, sample.config)
            record = replace(record, columns=record.columns | read_columns(events, self.config.columns))
        _check_weights(record, sample, chunk["filename"], chunk["entrystart"])
        scaled = record.gen_weight * sample.scale(self.config.luminosity_ifb)
        selected = select(record, scaled, self.config.selection, observables=self.observables)
        weight = scaled[selected.index]
        benchmark_weights = weight[:, None] * record.benchmark_ratios[selected.index]
        if self.events_folder is not None:
            info = self._info(sample, chunk, selected.cutflow)
            identity = {name: values[selected.index] for name, values in record.identity.items()}
            identity["entry"] = selected.index + chunk["entrystart"]
            identity["file_index"] = np.full(len(weight), info.file_index)
            identity["channel"] = selected.channel
            write_chunk(
                self.events_folder,
                info=info,
                identity=identity,
                observables=selected.observables,
                weight=weight,
                benchmark_weights=benchmark_weights,
            )
        return self.accumulate(
            sample,
            entries=len(record),
            cutflow=selected.cutflow,
            observables=selected.observables,
            weight=weight,
            benchmark_weights=benchmark_weights,
        )

    def accumulate(
        self,
        sample: SampleInputs,
        *,
        entries: int,
        cutflow: Mapping[str, Mapping[str, float]],
        observables: Mapping[str, NDArray[np.float64]],
        weight: NDArray[np.float64],
        benchmark_weights: NDArray[np.float64],
    ) -> dict[str, Any]:
        """Return what `process` accumulates for selected events; also used for the chunks of an earlier run."""
        histograms = book(self.config, self.observables, (OWN, *sample.config.benchmarks))
        fill(histograms, observables, weight, benchmark_weights)
        content = {"entries": entries, "selected": len(weight), "cutflow": cutflow, "histograms": histograms}
        return {sample.config.name: content}

    def postprocess(self, accumulator: Any) -> Any:
        """Return the merged accumulator as it is."""
        return accumulator

    def _sample(self, name: str) -> SampleInputs:
        if name not in self.inputs:
            raise SchemaError(
                f"dataset {name!r}",
                got="no such sample in the config",
                expected=f"one of {list(self.inputs)}",
                remedy="name the datasets like the samples",
            )
        return self.inputs[name]

    def _info(self, sample: SampleInputs, chunk: Mapping[str, Any], cutflow: dict[str, dict[str, float]]) -> ChunkInfo:
        paths = [f.path for f in sample.files]
        path = str(Path(chunk["filename"]).resolve())
        if path not in paths:
            raise SchemaError(
                f"file {path}",
                got=f"not a file of sample {sample.config.name}",
                expected=f"one of {paths}",
                remedy="list the file in the config, or write no event tables",
            )
        file = sample.files[paths.index(path)]
        return ChunkInfo(
            sample=sample.config.name,
            benchmarks=sample.config.benchmarks,
            key=chunk_key(self.keys[sample.config.name], file, chunk["entrystart"], chunk["entrystop"]),
            source=Path(path).name,
            file_index=paths.index(path),
            start=chunk["entrystart"],
            stop=chunk["entrystop"],
            cutflow=cutflow,
        )


def _check_weights(record: EventRecord, sample: SampleInputs, path: str, start: int) -> None:
    named = [("generator weight", record.gen_weight)]
    named += [(f"benchmark weight of {name}", record.benchmark_ratios[:, i]) for i, name in enumerate(sample.config.benchmarks)]
    for what, values in named:
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            first = int(bad[0])
            raise PhysicsDomainError(
                f"{what} of event {record.identity['event'][first]} (entry {start + first}) in {path}",
                got=f"{values[first]} ({len(bad)} such events in this chunk)",
                expected="a finite number",
                remedy="repair the ntuple, or ask who made it; events are never dropped silently",
            )
