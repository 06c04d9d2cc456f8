"""The four-lepton processor: select, compute, weight, accumulate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from coffea import processor
from numpy.typing import NDArray

from processors.components import SampleComponents, component_tables
from processors.corrections import LAST_LINE, SampleCorrections
from processors.factors import weight_factors
from processors.formats import EventRecord, has, numbered
from processors.histograms import OWN, book, fill
from processors.inputs import SampleInputs, inspect_inputs, with_varied
from processors.modules import load_modules
from processors.observables import written_observables
from processors.plan import chunk_key, sample_keys
from processors.reading import read_record
from processors.regions import Regions
from processors.rootfile import decoding
from processors.sanity import check_momenta
from processors.selection import Cutflow, select, sum_weights
from processors.slices import Slice
from processors.systematics import object_variations
from processors.variations import combined_members, read_ratios, weight_branches, weight_names
from toolkit.artifacts.events import NOMINAL, ChunkInfo, EventTable, chunk_table, read_info, table_name, write_chunk
from toolkit.artifacts.events import read_ratios as read_chunk_ratios
from toolkit.config import Config
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.locations import locate


@dataclass(frozen=True)
class _Sums:
    """Weight ratios of the selected events, cut flow, and first and last cut under each weight variation."""

    ratios: dict[str, NDArray[np.float64]]
    cutflow: Cutflow
    varied: dict[str, Cutflow]


class FourLeptonProcessor(processor.ProcessorABC):  # type: ignore[misc]  # coffea is untyped
    """Fill histograms and the cut flow of four-lepton events, and optionally write the event tables.

    Use it in any coffea Runner with ``schema=BaseSchema``; the dataset names are the sample names of the config.

    Args:
        config: The analysis.
        inputs: Normalisation of the samples; None opens the files of the config and reads it.
        events_folder: Where the event tables go, one parquet file per chunk; None writes none.
        histograms: Whether to fill histograms, which a runner of your own accumulates. `processors.run` fills the same ones from the event
            tables (`processors.fill_histograms`), so that other bins need no events again.
    """

    def __init__(
        self,
        config: Config,
        *,
        inputs: Sequence[SampleInputs] | None = None,
        events_folder: str | Path | None = None,
        histograms: bool = True,
    ) -> None:
        self.config = config
        self.histograms = histograms
        self.inputs = {s.name: s for s in with_varied(inspect_inputs(config) if inputs is None else inputs)}
        self.events_folder = None if events_folder is None else Path(events_folder)
        self.observables = written_observables(config)
        self.regions = Regions(config, observables=self.observables)
        sections = {s.config.name: s.config for s in self.inputs.values()}
        self.corrections = {name: SampleCorrections(config, section) for name, section in sections.items()}
        self.components = {name: SampleComponents(config, section) for name, section in sections.items()}
        self.slices = {name: Slice.of(config, section) for name, section in sections.items()}
        self.keys = sample_keys(config, tuple(self.inputs.values()))
        self.modules = load_modules(config.modules)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in a worker process, which must know the user's observables too, from the same files."""
        self.__dict__.update(state)
        load_modules(self.config.modules, digests=self.modules)

    def process(self, events: ak.Array) -> dict[str, Any]:
        """Process one chunk.

        Args:
            events: What coffea's BaseSchema gives, with the chunk's metadata.

        Returns:
            One mapping per sample with ``entries``, ``selected``, ``cutflow``, ``regions``, ``histograms`` (by name) and ``variations``
            (by name, each the same without entries and variations). Cut flow and regions hold ``events``, ``sumw`` and ``sumw2`` per
            cut or region.

        Raises:
            InputFileError: The entries cannot be read, or the event table cannot be written.
            ShapeError: A benchmark weight vector has the wrong length.
            PhysicsDomainError: A weight or a momentum is NaN or infinite.
        """
        return self.process_range(events, events.metadata)

    def process_range(self, events: ak.Array, chunk: Mapping[str, Any]) -> dict[str, Any]:
        """Process entries that were read without coffea, as those of CSV and LHE files are; see `process`.

        Args:
            events: One field per branch.
            chunk: ``dataset``, ``filename``, ``entrystart`` and ``entrystop``, as coffea's metadata have them.
        """
        sample = self._sample(chunk["dataset"])
        with decoding(chunk["filename"], f"a branch of entries {chunk['entrystart']} to {chunk['entrystop']}"):
            nominal = sample.variation == NOMINAL
            vectors = [name for name in weight_branches(self.config, sample.config) if has(events, name)] if nominal else []
            record = read_record(events, self.config, sample.config, weight_vectors=vectors)
            record = numbered(record, sample.position(chunk["filename"]), chunk["entrystart"])
            ratios = read_ratios(events, record, self.config, sample.config) if nominal else {}
        _check_weights(record, sample, chunk["filename"], chunk["entrystart"])
        check_momenta(record, chunk["filename"], chunk["entrystart"])
        if not nominal:
            table, sums = self._table(sample, chunk, record, variation=sample.variation, ratios={})
            return self.accumulate(sample, entries=len(record), table=table, cutflow=sums.cutflow, ratios={}, varied_sums={}, variations={})
        varied = {}
        for shift in object_variations(self.config, sample.config):
            table, sums = self._table(sample, chunk, shift.apply(record), variation=shift.name, ratios={})
            varied[shift.name] = self._contents(sample, table, sums.cutflow)
        for name in component_tables(self.config, sample.config):
            table, sums = self._table(sample, chunk, record, variation=name, ratios={})
            varied[name] = self._contents(sample, table, sums.cutflow)
        table, sums = self._table(sample, chunk, record, variation=NOMINAL, ratios=ratios)
        return self.accumulate(
            sample, entries=len(record), table=table, cutflow=sums.cutflow, ratios=sums.ratios, varied_sums=sums.varied, variations=varied
        )

    def accumulate(
        self,
        sample: SampleInputs,
        *,
        entries: int,
        table: EventTable,
        cutflow: Cutflow,
        ratios: Mapping[str, NDArray[np.float64]],
        varied_sums: Mapping[str, Cutflow],
        variations: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return what `process` accumulates for a chunk; also used for the chunks of an earlier run.

        Args:
            sample: The sample.
            entries: Entries of the ntuple.
            table: Selected events, nominal.
            cutflow: Their cut flow.
            ratios: Varied over nominal weight of the selected events, by name of the weight variation.
            varied_sums: First and last cut under each weight variation.
            variations: Counts and histograms of each variation of objects.
        """
        members = {name for _, names in combined_members(self.config, sample.config).values() for name in names}
        weighted = {}
        for name, ratio in ratios.items():
            changed = replace(table, weight=table.weight * ratio, benchmark_weights=table.benchmark_weights * ratio[:, np.newaxis])
            weighted[name] = self._contents(sample, changed, varied_sums[name], monitor=name not in members)
        content = {"entries": entries, **self._contents(sample, table, cutflow), "variations": {**variations, **weighted}}
        return {sample.name: content}

    def reload(self, folder: Path, paths: Sequence[str]) -> dict[str, Any]:
        """Return what `process` accumulated for a chunk of an earlier run.

        Args:
            folder: The ``events`` folder.
            paths: The event tables of the chunk, its own first.
        """
        info, *others = (read_info(folder / path) for path in paths)
        sample = self.inputs[table_name(info.sample, info.variation)]
        varied = {o.variation: self._contents(sample, chunk_table(folder / o.relative_path), o.cutflow) for o in others}
        return self.accumulate(
            sample,
            entries=info.stop - info.start,
            table=chunk_table(folder / info.relative_path),
            cutflow=info.cutflow,
            ratios=read_chunk_ratios(folder / info.relative_path),
            varied_sums=info.varied_sums,
            variations=varied,
        )

    def _table(
        self,
        sample: SampleInputs,
        chunk: Mapping[str, Any],
        record: EventRecord,
        *,
        variation: str,
        ratios: Mapping[str, NDArray[np.float64]],
    ) -> tuple[EventTable, _Sums]:
        """Select the events of one variation, and write their table."""
        corrections, components = self.corrections[sample.config.name], self.components[sample.config.name]
        scaled = record.gen_weight * sample.scale(self.config.luminosity_ifb, k_factor=corrections.constant * components.constant)
        part = self.slices[sample.config.name]
        inputs = (*corrections.event_inputs, *components.inputs, *part.names(record.columns))
        more = tuple(name for name in dict.fromkeys(inputs) if name not in self.observables)
        properties = corrections.lepton_properties(record)
        selected = select(
            record,
            scaled,
            self.config.selection,
            observables=(*self.observables, *more),
            leptons=properties,
            jets=corrections.jet_properties,
        )
        selected = part.apply(selected, scaled[selected.index], record.identity["event"][selected.index])
        index, event = selected.index, record.identity["event"][selected.index]
        factor, found = corrections.factors(record, selected, event)
        weight = scaled[index] if factor is None else scaled[index] * factor
        benchmark_weights = weight[:, np.newaxis] * record.benchmark_ratios[index]
        if components.corrections:
            own, under = components.apply(record.benchmark_ratios[index], selected.observables, event, variation)
            benchmark_weights, weight = weight[:, np.newaxis] * under, weight * own
        corrected = factor is not None or components.changes_weights
        cutflow = {**selected.cutflow, LAST_LINE: sum_weights(weight)} if corrected else selected.cutflow
        known = {**{name: ratio[index] for name, ratio in ratios.items()}, **found} if variation == NOMINAL else {}
        varied = {name: known[name] for name in weight_names(self.config, sample.config) if name in known}
        observables = {name: selected.observables[name] for name in self.observables}
        scores, regions = self.regions.evaluate(observables)
        table = EventTable(
            sample=sample.config.name,
            event_id=event,
            observables={**observables, **scores},
            weight=weight,
            benchmarks=sample.config.benchmarks,
            benchmark_weights=benchmark_weights,
            channel=selected.channel,
            regions=regions,
            variation=variation,
        )
        first = {name: sum_weights(scaled * ratio) for name, ratio in ratios.items()}
        sums = {name: _first_and_last(first.get(name), weight * ratio, cutflow) for name, ratio in varied.items()}
        if self.events_folder is not None:
            info = replace(
                self._info(sample, chunk, cutflow),
                variation=variation,
                weight_variations=tuple(varied),
                regions=tuple(regions),
                varied_sums=sums,
            )
            identity = {name: values[index] for name, values in record.identity.items()}
            identity["entry"] = index + chunk["entrystart"]
            identity["file_index"] = np.full(len(weight), info.file_index)
            identity["channel"] = selected.channel
            write_chunk(
                self.events_folder,
                info=info,
                identity=identity,
                observables=table.observables,
                weight=weight,
                benchmark_weights=table.benchmark_weights,
                ratios=varied,
                regions=regions,
            )
        return table, _Sums(varied, cutflow, sums)

    def _contents(self, sample: SampleInputs, table: EventTable, cutflow: Cutflow, *, monitor: bool = True) -> dict[str, Any]:
        """Return the counts and histograms of one table; without monitoring only the baseline histograms."""
        histograms = {}
        if self.histograms:
            histograms = book(self.config, self.observables if monitor else (), (OWN, *sample.config.benchmarks))
            fill(histograms, table.observables, table.weight, table.benchmark_weights)
        regions = {name: sum_weights(table.weight[inside]) for name, inside in table.regions.items()}
        return {"selected": len(table), "cutflow": cutflow, "regions": regions, "histograms": histograms}

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
        path = str(locate(chunk["filename"]).resolve())
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
            key=chunk_key(self.keys[sample.name], file, chunk["entrystart"], chunk["entrystop"]),
            source=locate(path).name,
            file_index=paths.index(path),
            start=chunk["entrystart"],
            stop=chunk["entrystop"],
            cutflow=cutflow,
        )


def _first_and_last(before: dict[str, float] | None, weight: NDArray[np.float64], cutflow: Cutflow) -> Cutflow:
    """Sum varied weights before and after all cuts; corrections vary those after all cuts only."""
    first, *_, last = cutflow
    return {first: cutflow[first] if before is None else before, last: sum_weights(weight)}


def _check_weights(record: EventRecord, sample: SampleInputs, path: str, start: int) -> None:
    named = [(f"weight factor {name!r}", record.columns[name]) for name in weight_factors(sample.config) if name in record.columns]
    named += [("generator weight", record.gen_weight)]
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
