"""Run the processor over all samples: event tables, histograms and cut flow, complete or not at all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from coffea import processor
from coffea.nanoevents import BaseSchema
from coffea.processor import accumulate
from coffea.processor.executor import ExecutorBase, WorkItem
from uproot.source.file import MultithreadedFileSource

from processors.executors import LocalExecutor
from processors.four_lepton import FourLeptonProcessor
from processors.histograms import write_histograms
from processors.inputs import SampleInputs, inspect_inputs
from processors.ntuples import write_ntuples
from processors.plan import Chunk, plan_chunks
from processors.sanity import explain_empty
from processors.selection import Cutflow
from processors.summary import add_combinations, cutflow_document, histogram_files
from processors.textfile import process_text
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.events import NOMINAL, ChunkInfo, read_info, write_index
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError
from toolkit.typing import Progress, silent_progress

CHUNKSIZE = 200_000
ExecutorName = Literal["iterative", "futures"]


@dataclass(frozen=True)
class ProcessingResult:
    """What a run produced.

    Args:
        out: The output folder.
        inputs: The checked input files and their normalisation.
        selected: Selected events per sample.
        cutflow: Per sample, events, sum of weights and of squared weights after each cut.
        chunks: Number of chunks.
        reused: How many of them an earlier run had written.
        seconds: Wall time.
        regions: Per sample the same sums in each region, if the config has regions.
        variations: Per sample and variation, `cutflow` and `regions` under it, if the config has systematics.
    """

    out: Path
    inputs: tuple[SampleInputs, ...]
    selected: dict[str, int]
    cutflow: dict[str, Cutflow]
    chunks: int
    reused: int
    seconds: float
    regions: dict[str, Cutflow] = field(default_factory=dict)
    variations: dict[str, dict[str, dict[str, Cutflow]]] = field(default_factory=dict)

    @property
    def yields(self) -> dict[str, float]:
        """Expected events per sample at the luminosity, after all cuts, under the sample's own hypothesis."""
        return {sample: list(cuts.values())[-1]["sumw"] for sample, cuts in self.cutflow.items()}

    def varied_yields(self, sample: str) -> dict[str, float]:
        """Expected events of a sample after all cuts under each of its variations."""
        return {name: list(v["cutflow"].values())[-1]["sumw"] for name, v in self.variations.get(sample, {}).items()}


def run(
    config: Config,
    out: str | Path,
    *,
    executor: ExecutorName | ExecutorBase = "iterative",
    workers: int = 1,
    chunksize: int = CHUNKSIZE,
    progress: Progress = silent_progress,
) -> ProcessingResult:
    """Process all samples of an analysis.

    Args:
        config: The analysis.
        out: Output folder; ``events/``, ``histograms/`` and ``cutflow.json`` are written in it.
        executor: ``iterative`` (this process), ``futures`` (worker processes), or any coffea executor.
        workers: Worker processes of ``futures``.
        chunksize: Target number of ntuple entries per chunk; the results do not depend on it.
        progress: Called with the label ``process``, entries done and entries in all.

    Returns:
        Counts and yields.

    Raises:
        ToolkitError: An input or the output folder is wrong; see `inspect_inputs` and `FourLeptonProcessor.process`.

    Notes:
        Chunks that an earlier run wrote with the same key (config, code, file) are reused. ``events/index.json`` is
        removed first and written last: tables without it are incomplete, and `read_events` refuses them.
    """
    began = time.perf_counter()
    inputs = inspect_inputs(config)
    out = make_folder(out)
    events_folder = make_folder(out / "events")
    (events_folder / "index.json").unlink(missing_ok=True)
    chunks = plan_chunks(config, inputs, chunksize=chunksize)
    done = [chunk for chunk in chunks if chunk.is_done(events_folder)]
    finished = {chunk.relative_path for chunk in done}
    todo = [chunk for chunk in chunks if chunk.relative_path not in finished]
    instance = FourLeptonProcessor(config, inputs=inputs, events_folder=events_folder)
    tracker = _Tracker(progress, chunks, done)
    merged = accumulate([instance.reload(events_folder, chunk.relative_paths) for chunk in done])
    if todo:
        in_root = [chunk for chunk in todo if chunk.file.format == "root"]
        in_text = [chunk for chunk in todo if chunk.file.format != "root"]
        chosen = _executor(executor, workers, tracker)
        outputs = [process(instance, part, chosen) for process, part in ((_process, in_root), (_process_text, in_text)) if part]
        merged = accumulate(outputs, merged)
    tracker.finish()
    _check_unchanged(inputs)
    _check_complete(merged, inputs)
    infos, rows = _verify(events_folder, chunks)
    for sample in inputs:
        _check_selected(sample, merged[sample.config.name])
        _check_unique(events_folder, sample.config.name, infos)
    variations = {s.config.name: add_combinations(config, s.config, merged[s.config.name]) for s in inputs}
    _write_histograms(out / "histograms", merged, variations)
    document = cutflow_document(config, merged, variations)
    write_json(out / "cutflow.json", document)
    _remove_stale(events_folder, chunks)
    write_index(events_folder, infos, rows=rows)
    if config.outputs.root != "none":
        write_ntuples(out / "ntuples", events_folder, infos, form=config.outputs.root)
    return ProcessingResult(
        out=out,
        inputs=inputs,
        selected={sample.config.name: merged[sample.config.name]["selected"] for sample in inputs},
        cutflow=document["samples"],
        chunks=len(chunks),
        reused=len(done),
        seconds=time.perf_counter() - began,
        regions=document.get("regions", {}),
        variations=document.get("variations", {}),
    )


def _write_histograms(folder: Path, merged: Mapping[str, Any], variations: Mapping[str, Mapping[str, Any]]) -> None:
    make_folder(folder)
    written = set()
    for sample, content in merged.items():
        for name, histograms in histogram_files(sample, content, variations[sample]).items():
            written.add(write_histograms(folder, name, histograms))
    for path in folder.glob("*@*.json"):
        if path not in written:
            path.unlink()


class _Tracker:
    """Counts the finished entries for the progress callback."""

    def __init__(self, progress: Progress, chunks: Sequence[Chunk], done: Sequence[Chunk]) -> None:
        self.progress = progress
        self.total = float(sum(c.stop - c.start for c in chunks))
        self.done = float(sum(c.stop - c.start for c in done))
        progress("process", self.done, self.total)

    def on_chunk(self, item: Any) -> None:
        self.done += len(item)
        self.progress("process", min(self.done, self.total), self.total)

    def finish(self) -> None:
        self.progress("process", self.total, self.total)


def _executor(executor: ExecutorName | ExecutorBase, workers: int, tracker: _Tracker) -> ExecutorBase:
    if isinstance(executor, LocalExecutor):
        return replace(executor, on_chunk=tracker.on_chunk)
    if isinstance(executor, ExecutorBase):
        return executor
    if executor not in {"iterative", "futures"}:
        raise SchemaError(
            "executor", got=repr(executor), expected="'iterative', 'futures' or a coffea executor", remedy="pass --executor iterative"
        )
    if executor == "futures" and workers < 1:
        raise SchemaError("workers", got=workers, expected="at least 1", remedy="pass --workers 2")
    return LocalExecutor(workers=workers if executor == "futures" else 0, on_chunk=tracker.on_chunk, retries=0)


def _process(instance: FourLeptonProcessor, chunks: Sequence[Chunk], executor: ExecutorBase) -> Any:
    items = _work_items(chunks)
    runner = processor.Runner(
        executor=executor,
        pre_executor=executor,
        schema=BaseSchema,
        skipbadfiles=False,
        savemetrics=False,
    )
    output = runner.run(items, instance, uproot_options={"handler": MultithreadedFileSource})  # plain reads, a quarter faster than fsspec's
    _check_none_lost(items, output["processed"])
    return output["out"]


def _process_text(instance: FourLeptonProcessor, chunks: Sequence[Chunk], executor: ExecutorBase) -> Any:
    """Process chunks of files that coffea's runner does not open, on the same executor."""
    items = _work_items(chunks)
    output, _ = executor(items, partial(process_text, instance), None)
    _check_none_lost(items, output["processed"])
    return output["out"]


def _work_items(chunks: Sequence[Chunk]) -> list[WorkItem]:
    return [WorkItem(c.sample, c.file.path, c.file.tree, c.start, c.stop, c.file.uuid) for c in chunks]


def _check_none_lost(items: Sequence[WorkItem], processed: Collection[WorkItem]) -> None:
    lost = set(items) - set(processed)
    if lost:
        raise ArtifactMismatchError(
            "processing",
            got=f"{len(lost)} of {len(items)} chunks missing, first {min(lost, key=str)}",
            expected="a result for every chunk",
            remedy="run again; finished chunks are reused",
        )


def _check_unchanged(inputs: Sequence[SampleInputs]) -> None:
    """Check that no input file was replaced or written to while it was being read."""
    for file in (file for sample in inputs for file in sample.files):
        try:
            stat = Path(file.path).stat()
            now = f"{stat.st_size} bytes, changed at {stat.st_mtime_ns} ns"
        except OSError as error:
            now = f"{type(error).__name__}: {error.strerror}"
        began = f"{file.size} bytes, changed at {file.modified_ns} ns"
        if now != began:
            raise ArtifactMismatchError(
                f"input file {file.path}",
                got=now,
                expected=f"{began}, as when the run began",
                remedy="run again when the file is complete; a file must not change while it is read",
            )


def _check_complete(merged: Mapping[str, Any], inputs: Sequence[SampleInputs]) -> None:
    for sample in inputs:
        got = merged.get(sample.config.name, {}).get("entries", 0)
        if got != sample.entries:
            raise ArtifactMismatchError(
                f"entries processed of sample {sample.config.name}",
                got=got,
                expected=f"{sample.entries}, the entries of its files",
                remedy="run again; finished chunks are reused",
            )


def _check_selected(sample: SampleInputs, content: Mapping[str, Any]) -> None:
    if content["selected"]:
        return
    explain_empty(sample.config, tuple(file.path for file in sample.files))
    counts = {cut: int(values["events"]) for cut, values in content["cutflow"].items()}
    names = list(counts)
    killer = next((b for a, b in itertools.pairwise(names) if counts[a] and not counts[b]), names[0])
    raise PhysicsDomainError(
        f"selected events of sample {sample.config.name}",
        got=f"zero; cut flow {counts}",
        expected="at least one event",
        remedy=f"loosen the selection (cut {killer!r} leaves nothing), or check momentum units and the file list",
    )


def _verify(events_folder: Path, chunks: Sequence[Chunk]) -> tuple[list[ChunkInfo], dict[str, int]]:
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


def _check_unique(events_folder: Path, sample: str, infos: Sequence[ChunkInfo]) -> None:
    columns = ["run", "luminosityBlock", "event", "file_index", "entry"]
    mine = [info for info in infos if info.sample == sample and info.variation == NOMINAL]
    table = pa.concat_tables([pq.read_table(events_folder / info.relative_path, columns=columns) for info in mine])
    column = {name: table.column(name).to_numpy() for name in columns}
    order = np.lexsort((column["event"], column["luminosityBlock"], column["run"]))
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for name in columns[:3]:
        same &= np.diff(column[name][order].astype(np.int64)) == 0
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


def _remove_stale(events_folder: Path, chunks: Sequence[Chunk]) -> None:
    """Remove event tables of an earlier chunking or file list, and what a killed run left, so that the folder holds what the index says."""
    planned = {events_folder / path for chunk in chunks for path in chunk.relative_paths}
    for sample in {chunk.sample for chunk in chunks}:
        for folder in (events_folder / sample, *events_folder.glob(f"{sample}@*")):
            for path in (*folder.glob("[0-9]*_[0-9]*.parquet"), *folder.glob(".*.parquet.*.tmp")):
                if path not in planned:
                    path.unlink(missing_ok=True)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
