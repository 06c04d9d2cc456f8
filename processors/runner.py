"""Run the processor over all samples: event tables, histograms and cut flow, complete or not at all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from coffea.processor.executor import ExecutorBase, WorkItem

from processors.checks import check_complete, check_none_lost, check_selected, check_unchanged, check_unique, remove_stale, verify_tables
from processors.duplicates import check_no_shared_events
from processors.executors import LocalExecutor, merge_pair
from processors.four_lepton import FourLeptonProcessor
from processors.histogram_files import fill_histograms
from processors.inputs import SampleInputs, inspect_inputs, with_varied
from processors.items import process_item
from processors.ntuples import write_ntuples
from processors.plan import Chunk, plan_chunks
from processors.reduction import reduced
from processors.selection import Cutflow
from processors.summary import add_combinations, cutflow_document, independent_note
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.events import write_index
from toolkit.config import Config
from toolkit.errors import SchemaError
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
    former: Sequence[Path] = (),
) -> ProcessingResult:
    """Process all samples of an analysis: `write_tables`, then `fill_histograms` from the tables.

    Args:
        config: The analysis.
        out: Output folder; ``events/``, ``cutflow.json`` and ``histograms/`` are written in it.
        executor: See `write_tables`.
        workers: See `write_tables`.
        chunksize: See `write_tables`.
        progress: Called with the labels ``process`` and ``histograms``, what is done and what is to be done in all.
        former: See `write_tables`.

    Returns:
        Counts and yields.

    Raises:
        ToolkitError: An input or the output folder is wrong.
    """
    result = write_tables(config, out, executor=executor, workers=workers, chunksize=chunksize, progress=progress, former=former)
    fill_histograms(config, result.out / "events", result.out, progress=progress)
    return result


def write_tables(
    config: Config,
    out: str | Path,
    *,
    executor: ExecutorName | ExecutorBase = "iterative",
    workers: int = 1,
    chunksize: int = CHUNKSIZE,
    progress: Progress = silent_progress,
    former: Sequence[Path] = (),
) -> ProcessingResult:
    """Select the events of all samples of an analysis and write their tables and cut flow.

    Args:
        config: The analysis.
        out: Output folder; ``events/`` and ``cutflow.json`` are written in it.
        executor: ``iterative`` (this process), ``futures`` (worker processes), or any coffea executor.
        workers: Worker processes of ``futures``.
        chunksize: Target number of ntuple entries per chunk; the results do not depend on it.
        progress: Called with the label ``process``, entries done and entries in all.
        former: Output folders of earlier runs, from which chunks that are still right are taken over.

    Returns:
        Counts and yields.

    Raises:
        ToolkitError: An input or the output folder is wrong; see `inspect_inputs` and `FourLeptonProcessor.process`.

    Notes:
        Chunks that an earlier run wrote with the same key (config of the sample, code, file) are reused. ``events/index.json`` is
        removed first and written last: tables without it are incomplete, and `read_events` refuses them.
    """
    began = time.perf_counter()
    inputs = inspect_inputs(config)
    everything = with_varied(inputs)
    out = make_folder(out)
    events_folder = make_folder(out / "events")
    (events_folder / "index.json").unlink(missing_ok=True)
    chunks = plan_chunks(config, everything, chunksize=chunksize)
    elsewhere = [folder / "events" for folder in former]
    done = [chunk for chunk in chunks if chunk.is_done(events_folder) or chunk.take_over(elsewhere, events_folder)]
    finished = {chunk.relative_path for chunk in done}
    todo = [chunk for chunk in chunks if chunk.relative_path not in finished]
    instance = FourLeptonProcessor(config, inputs=inputs, events_folder=events_folder, histograms=False)
    tracker = _Tracker(progress, chunks, done)
    merged: Any = reduced((instance.reload(events_folder, chunk.relative_paths) for chunk in done), merge_pair)
    if todo:
        new = _process(instance, todo, _executor(executor, workers, tracker))
        merged = new if merged is None else merge_pair(merged, new)
    tracker.finish()
    check_unchanged(everything)
    check_complete(merged, everything)
    infos, rows = verify_tables(events_folder, chunks)
    for sample in everything:
        check_selected(sample, merged[sample.name])
        if not config.allow_duplicates:
            check_unique(events_folder, sample.config.name, infos, variation=sample.variation)
    if not config.allow_duplicates:
        check_no_shared_events(events_folder, infos)
    variations = {
        s.name: {**add_combinations(config, s.config, merged[s.name]), **{v.variation: merged[v.name] for v in s.varied}} for s in inputs
    }
    merged = {s.name: merged[s.name] for s in inputs}
    notes = [note for s in inputs for note in s.notes]
    notes += [note for s in inputs for v in s.varied if (note := independent_note(s.name, v.variation, merged, variations))]
    document = cutflow_document(config, merged, variations, notes=notes)
    write_json(out / "cutflow.json", document)
    remove_stale(events_folder, chunks)
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
        return replace(executor, on_chunk=tracker.on_chunk, on_wait=tracker.progress)
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
    output, _ = executor(items, partial(process_item, instance), None)
    check_none_lost(items, output["processed"])
    return output["out"]


def _work_items(chunks: Sequence[Chunk]) -> list[WorkItem]:
    return [WorkItem(c.dataset, c.file.path, c.file.tree, c.start, c.stop, c.file.uuid) for c in chunks]
