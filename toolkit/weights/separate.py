"""Samples of a coherent process that were generated separately: the events of each know the weight of their own benchmark, not all.

Every benchmark is then estimated by the samples that know its weight: those of its own add up (slices of one phase space), and together
they are one estimate. Samples whose events carry enough weights for the whole process share their regions as in `combine_samples` and are
another one. Estimates of the same benchmark are averaged by their effective numbers of events. The densities of the process follow from
the benchmarks by the solution of the model, of least variance where there are more benchmarks than needed, so that the sum over
events of any quantity is right, while the row of one event is not its density.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import ArtifactMismatchError
from toolkit.model import Model, Process, Sample, density_transform
from toolkit.typing import FloatArray
from toolkit.weights.combination import check_finite, combine_samples
from toolkit.weights.simulation import SampleTable


@dataclass(frozen=True, eq=False)
class SampleRows:
    """The events of one sample as its process counts them.

    Attributes:
        sample: Name of the sample.
        weights: Expected events under the learned densities of the process, (n, n_densities).
        share: See `SimulatedEvents.share`, (n,).
        benchmark_weights: Expected events under the benchmarks of the process, 0 where unknown, (n, n_benchmarks); None where the
            densities say it all.
    """

    sample: str
    weights: FloatArray
    share: FloatArray
    benchmark_weights: FloatArray | None = None


def generation_points(
    process: Process, tables: Sequence[SampleTable], model: Model, carried: Sequence[str]
) -> dict[str, FloatArray | None]:
    """Return, for samples that are not called after their benchmark, which of the carried ones it is, as `combine_samples` wants it.

    None stands for a sample that was generated under none of them.
    """
    generated = {s.name: s.benchmark for s in model.samples_of(process.name)}
    listed = {t.sample: t.benchmarks for t in tables}
    return {
        name: np.array([float(b == under) for b in carried]) if under else None
        for name, under in generated.items()
        if name in listed and name != under and (under or name not in listed[name])
    }


@dataclass(frozen=True, eq=False)
class _Parts:
    """Samples that are parts of one, as one table; see `toolkit.weights.simulation.SampleTable`."""

    sample: str
    event_id: Any
    observables: Mapping[str, Any]
    weight: Any
    benchmarks: tuple[str, ...]
    benchmark_weights: Any


def join_parts(tables: Sequence[SampleTable], model: Model) -> list[SampleTable]:
    """Join tables of samples that were generated under one benchmark into one: slices of phase space, which add up.

    Args:
        tables: Tables of samples that know all weights of their process.
        model: The physics model.

    Returns:
        One table per benchmark, under the name of its first sample, in the order of these; samples of no benchmark stay alone.
    """
    under = {s.name: s.benchmark for s in model.samples}
    groups: dict[str, list[SampleTable]] = {}
    for table in tables:
        groups.setdefault(under[table.sample] or table.sample, []).append(table)
    return [group[0] if len(group) == 1 else _joined(group) for group in groups.values()]


def _joined(group: Sequence[SampleTable]) -> SampleTable:
    first = group[0]
    wanted = [[t.benchmarks.index(b) for b in first.benchmarks] for t in group]
    return _Parts(
        sample=first.sample,
        event_id=np.concatenate([t.event_id for t in group]),
        observables={k: np.concatenate([t.observables[k] for t in group]) for k in first.observables},
        weight=np.concatenate([t.weight for t in group]),
        benchmarks=first.benchmarks,
        benchmark_weights=np.concatenate([t.benchmark_weights[:, columns] for t, columns in zip(group, wanted, strict=True)]),
    )


def rows_of_parts(tables: Sequence[SampleTable], model: Model) -> dict[str, tuple[str, slice]]:
    """Return, by sample, the table of `join_parts` that holds its events, and where."""
    under = {s.name: s.benchmark for s in model.samples}
    first: dict[str, str] = {}
    ends: dict[str, int] = {}
    found = {}
    for table in tables:
        name = first.setdefault(under[table.sample] or table.sample, table.sample)
        start = ends.get(name, 0)
        ends[name] = start + len(table.weight)
        found[table.sample] = (name, slice(start, ends[name]))
    return found


def combine_separate(process: Process, tables: Sequence[SampleTable], model: Model) -> list[SampleRows]:
    """Join the samples of one coherent process, of which some were generated separately.

    Args:
        process: The process.
        tables: The tables of its samples.
        model: The physics model.

    Returns:
        One entry per table.

    Raises:
        ArtifactMismatchError: A table lacks a weight that its sample is said to carry.
        PhysicsDomainError: A weight is not finite.
        SchemaError: The benchmarks that the tables know do not determine the densities of the process.
    """
    alone = {s.name: s for s in model.separate_samples(process.name)}
    columns = {name: k for k, name in enumerate(process.benchmark_names)}
    known = {t.sample: np.zeros((len(t.weight), len(columns))) for t in tables}
    shares = {t.sample: np.ones(len(t.weight)) for t in tables}
    for table in tables:
        if table.sample in alone:
            for name, weights in _own_weights(table, alone[table.sample]).items():
                known[table.sample][:, columns[name]] = weights
    together = [t for t in tables if t.sample not in alone]
    if together:
        carried = tuple(
            b for b in process.benchmark_names if all(b in s.carried for s in model.samples_of(process.name) if s.name not in alone)
        )
        joined, parts = join_parts(together, model), rows_of_parts(together, model)
        points = generation_points(process, joined, model, carried)
        events = combine_samples(joined, processes=carried, benchmarks=carried, generated_as=points)
        for table in together:
            name, place = parts[table.sample]
            rows = np.flatnonzero(events.sample_index == events.samples.index(name))[place]
            known[table.sample][:, [columns[b] for b in carried]] = events.weights[rows]
            if events.share is not None:
                shares[table.sample] = events.share[rows]
    _average(known, groups=[[t.sample for t in together], [t.sample for t in tables if t.sample in alone]])
    stacked = np.concatenate([known[t.sample] for t in tables])
    squares = np.sum(np.square(stacked), axis=0)
    used = [name for name, k in columns.items() if squares[k] > 0.0]
    transform = density_transform(process, names=used, variances=squares[[columns[b] for b in used]])
    places = [columns[b] for b in used]
    return [SampleRows(t.sample, known[t.sample][:, places] @ transform, shares[t.sample], known[t.sample]) for t in tables]


def _own_weights(table: SampleTable, sample: Sample) -> Mapping[str, FloatArray]:
    """Return what the events of a separate sample know, by benchmark."""
    own = np.asarray(table.weight, dtype=np.float64)
    check_finite(table, "weight", own)
    found = {sample.benchmark: own} if sample.benchmark else {}
    for name in sample.carried:
        if name == sample.benchmark:
            continue
        if name not in table.benchmarks:
            raise ArtifactMismatchError(
                f"sample {table.sample}",
                got=f"no weights under {name}",
                expected=f"those of {list(sample.carried)}",
                remedy="process the sample again with this config",
            )
        found[name] = np.asarray(table.benchmark_weights[:, list(table.benchmarks).index(name)], dtype=np.float64)
        check_finite(table, f"weight under {name}", found[name])
    return found


def _average(known: dict[str, FloatArray], *, groups: Sequence[Sequence[str]]) -> None:
    """Scale estimates of the same benchmark by different groups of samples so that their sum is their average."""
    sizes = []
    for group in groups:
        stacked = np.concatenate([known[name] for name in group]) if group else np.zeros((0, next(iter(known.values())).shape[1]))
        total, squares = np.abs(stacked).sum(axis=0), np.square(stacked).sum(axis=0)
        sizes.append(np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0.0))
    whole = np.sum(sizes, axis=0)
    for group, size in zip(groups, sizes, strict=True):
        share = np.divide(size, whole, out=np.zeros_like(size), where=whole > 0.0)
        for name in group:
            known[name] *= share
