"""Histograms of all samples from their event tables: another binning needs no ntuple and no event selected again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hist
import numpy as np

from processors.histograms import OWN, book, fill, write_histograms
from processors.observables import written_observables
from processors.variations import combine_histograms, combined_members
from toolkit.artifacts.atomic import make_folder
from toolkit.artifacts.columns import to_numpy
from toolkit.artifacts.events import NOMINAL, chunks_of, read_ratios, read_table, tables_of
from toolkit.config import Config, SampleConfig
from toolkit.errors import SchemaError
from toolkit.typing import FloatArray, Progress, silent_progress

Histograms = dict[str, hist.Hist]


def fill_histograms(config: Config, events: str | Path, out: str | Path, *, progress: Progress = silent_progress) -> tuple[Path, ...]:
    """Fill the histograms of every observable and every entry of `histograms`, nominal and varied, and write them.

    Args:
        config: The analysis.
        events: The ``events`` folder of a complete run.
        out: Output folder; ``<sample>.json`` and ``<sample>@<variation>.json`` are written into its folder ``histograms/``.
        progress: Called with the label ``histograms``, samples done and samples in all.

    Returns:
        The files. Others of former variations in that folder are deleted.

    Raises:
        InputFileError: A table is missing or damaged, or the folder cannot be written.
        SchemaError: A table lacks an observable that the config asks for.

    Notes:
        Chunks are added up in the order of the index, so that the sums do not depend on who made which chunk when. One chunk is in
        memory at a time.
    """
    folder, written = make_folder(Path(out) / "histograms"), []
    for done, sample in enumerate(config.samples, start=1):
        nominal, varied = _filled(config, sample, Path(events))
        named = {sample.name: nominal, **{f"{sample.name}@{variation}": own for variation, own in varied.items()}}
        written += [write_histograms(folder, name, histograms) for name, histograms in named.items()]
        progress("histograms", done, len(config.samples))
    for path in set(folder.glob("*@*.json")).difference(written):
        path.unlink()
    return tuple(written)


def _filled(config: Config, sample: SampleConfig, events: Path) -> tuple[Histograms, dict[str, Histograms]]:
    """Fill the histograms of one sample: nominal, and by variation; members of a set have those of the config alone."""
    sets = combined_members(config, sample)
    members = {name for _, names in sets.values() for name in names}
    observables, hypotheses = written_observables(config), (OWN, *sample.benchmarks)
    nominal, varied = book(config, observables, hypotheses), dict[str, Histograms]()

    wanted = dict.fromkeys(histogram.axes[1].name for histogram in nominal.values())

    def add(name: str, chunk: _Chunk, ratio: FloatArray | float = 1.0) -> None:
        if name not in varied:
            varied[name] = book(config, () if name in members else observables, hypotheses)
        fill(varied[name], chunk.observables, chunk.weight * ratio, (chunk.benchmark_weights.T * ratio).T)

    for path in chunks_of(events, sample.name):
        chunk = _Chunk.read(path, tuple(wanted), sample.benchmarks)
        fill(nominal, chunk.observables, chunk.weight, chunk.benchmark_weights)
        for name, ratio in read_ratios(path).items():
            add(name, chunk, ratio)
    for variation in tables_of(events, sample.name):
        for path in chunks_of(events, sample.name, variation=variation) if variation != NOMINAL else ():
            add(variation, _Chunk.read(path, tuple(wanted), sample.benchmarks))
    for name, (section, names) in sets.items():
        up, down = combine_histograms(nominal, [varied[m] for m in names], how=section.combine)
        varied |= {f"{name}_up": up, f"{name}_down": down}
    return nominal, varied


@dataclass(frozen=True, eq=False)
class _Chunk:
    """What is filled of the events of a chunk: observables (n,), weights (n,), weights under the benchmarks (n, n_benchmarks)."""

    observables: dict[str, FloatArray]
    weight: FloatArray
    benchmark_weights: FloatArray

    @classmethod
    def read(cls, path: Path, observables: Sequence[str], benchmarks: Sequence[str]) -> _Chunk:
        """Read these columns of an event table and no others, in the order in which the events stand."""
        weights = [f"weight_{name}" for name in benchmarks]
        table = read_table(path, [*observables, "weight", *weights])
        missing = [name for name in observables if name not in table.column_names]
        if missing:
            raise SchemaError(
                f"event table {path}",
                got=f"no column {missing}",
                expected="the observables of the config",
                remedy="process again with this config",
            )
        column = {name: to_numpy(table.column(name)) for name in table.column_names}
        stacked = np.stack([column[name] for name in weights], axis=1) if weights else np.empty((table.num_rows, 0))
        return cls({name: column[name] for name in observables}, column["weight"], stacked)
