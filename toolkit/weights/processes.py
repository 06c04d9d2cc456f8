"""One matrix of weights for all processes of a model: every event of a process informs every density of it that it knows a weight of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.errors import ArtifactMismatchError, PhysicsDomainError
from toolkit.model import Model, Process, density_transform, learned_densities
from toolkit.typing import FloatArray
from toolkit.weights.combination import check_finite, combine_samples
from toolkit.weights.separate import SampleRows, combine_separate, generation_points, join_parts, rows_of_parts
from toolkit.weights.simulation import SampleTable, SimulatedEvents


def combine_processes(tables: Sequence[SampleTable], model: Model) -> SimulatedEvents:
    """Join the samples of all processes into one weight matrix of the learned densities.

    Args:
        tables: One table per sample of the model, weights normalised to one luminosity.
        model: The physics model.

    Returns:
        The events of all tables, in their order. Processes: the learned densities of all processes. Samples of one coherent process share
        its regions as in `combine_samples`; those of one benchmark are parts of one and add up, as samples of a process with
        one amplitude do. Where samples of a coherent process were
        generated separately, so that their events do not know the weights of enough benchmarks, see `toolkit.weights.separate`.

    Raises:
        ArtifactMismatchError: A table belongs to no sample of the model, or does not carry the weights of its process.
        PhysicsDomainError: A weight is not finite, or the sum of a process of one amplitude is negative.

    Notes:
        A density that follows from others as a difference inherits the rounding of stored weights: where it is small compared with them it
        is uncertain by 1e-7 of their size, and may be negative by that much.
    """
    by_name = {sample.name: sample for sample in model.samples}
    strange = [t.sample for t in tables if t.sample not in by_name]
    if strange or not tables:
        raise ArtifactMismatchError(f"event tables {strange}", got="of no sample of the model", expected=f"some of {list(by_name)}")
    names = tuple(d.name for process in model.processes for d in learned_densities(process))
    apart = {process.name for process in model.processes if model.separate_samples(process.name)}
    benchmarks = tuple(b for process in model.processes if process.name in apart for b in process.benchmark_names)
    blocks: dict[str, FloatArray] = {}
    shares: dict[str, FloatArray] = {}
    known: dict[str, FloatArray] = {}
    for process in model.processes:
        own = [t for t in tables if by_name[t.sample].process == process.name]
        columns = [names.index(d.name) for d in learned_densities(process)]
        rows = combine_separate(process, own, model) if process.name in apart else _of_process(process, own, model)
        for row in rows:
            block = np.zeros((len(row.share), len(names)))
            block[:, columns] = row.weights
            blocks[row.sample], shares[row.sample] = block, row.share
            known[row.sample] = np.zeros((len(row.share), len(benchmarks)))
            if row.benchmark_weights is not None:
                known[row.sample][:, [benchmarks.index(b) for b in process.benchmark_names]] = row.benchmark_weights
    first = tables[0]
    for table in tables:
        if set(table.observables) != set(first.observables):
            difference = sorted(set(table.observables) ^ set(first.observables))
            remedy = "process all samples with the same list of observables"
            raise ArtifactMismatchError(f"observables of sample {table.sample}", got=f"{difference} not in all samples", remedy=remedy)
    return SimulatedEvents(
        processes=names,
        event_id=np.concatenate([np.asarray(t.event_id, dtype=np.uint64) for t in tables]),
        sample_index=np.repeat(np.arange(len(tables), dtype=np.int64), [len(blocks[t.sample]) for t in tables]),
        samples=tuple(t.sample for t in tables),
        observables={k: np.concatenate([np.asarray(t.observables[k], dtype=np.float64) for t in tables]) for k in first.observables},
        weights=np.concatenate([blocks[t.sample] for t in tables]),
        share=np.concatenate([shares[t.sample] for t in tables]),
        benchmarks=benchmarks,
        benchmark_weights=np.concatenate([known[t.sample] for t in tables]) if benchmarks else None,
    )


def _of_process(process: Process, tables: Sequence[SampleTable], model: Model) -> list[SampleRows]:
    """Return the weights of every table under the densities of the process."""
    if not tables:
        return []
    if process.n_amplitudes == 1:
        for table in tables:
            check_finite(table, "weight", np.asarray(table.weight))
        _require_positive(process, tables)
        return [SampleRows(t.sample, np.asarray(t.weight, dtype=np.float64)[:, None], np.ones(len(t.weight))) for t in tables]
    carried = _carried(process, model)
    joined, places = join_parts(tables, model), rows_of_parts(tables, model)
    points = generation_points(process, joined, model, carried)
    events = combine_samples(joined, processes=carried, benchmarks=carried, generated_as=points)
    transform = density_transform(process, names=carried)
    same = transform.shape[0] == transform.shape[1] and np.array_equal(transform, np.eye(len(transform)))
    weights = events.weights if same else events.weights @ transform
    share = np.ones(len(events)) if events.share is None else events.share
    found = []
    for table in tables:
        name, place = places[table.sample]
        rows = np.flatnonzero(events.sample_index == events.samples.index(name))[place]
        found.append(SampleRows(table.sample, weights[rows], share[rows]))
    return found


def _require_positive(process: Process, tables: Sequence[SampleTable]) -> None:
    total = float(sum(np.sum(table.weight) for table in tables))
    if total < 0.0:
        raise PhysicsDomainError(
            f"process {process.name}",
            got=f"{total:.6g} expected events of the samples {[t.sample for t in tables]}",
            expected="a positive number: a process of one amplitude is a density",
            remedy="interference alone is a benchmark of the process that interferes: `benchmarks: {S: [1, 0], I: S*B, B: [0, 1]}`",
        )


def _carried(process: Process, model: Model) -> tuple[str, ...]:
    """Return the benchmarks whose weights all samples of a process carry, those of its densities first."""
    samples = model.samples_of(process.name)
    common = [b for b in process.benchmark_names if all(b in s.carried for s in samples)]
    wanted = [d.name for d in learned_densities(process)]
    if set(wanted) <= set(common):
        return tuple(wanted)
    return tuple(common)
