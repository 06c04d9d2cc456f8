"""From the tables of the samples to one matrix of weights: optimally combined generation points, or one sample per benchmark.

When to use what: `combine_samples` when every event carries its weights under all benchmarks (reweighting by the generator): all
events then inform all benchmarks. `separate_samples` when each sample was generated at one benchmark and its events know
only their own weight: the morphed sample is the union of all samples, sample b with the factor f_b(theta).
`inverse_variance_weights` is the alternative to the shares of `combine_samples` for one theta at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights.simulation import SampleTable, SimulatedEvents

OWN_BENCHMARK_TOLERANCE = 1e-3
"""Allowed relative difference between a sample's weight and its weight under its own benchmark (float32 ntuples)."""


def combine_samples(
    tables: Sequence[SampleTable],
    *,
    processes: Sequence[str],
    benchmarks: Sequence[str],
    generated_as: Mapping[str, ArrayLike | None] | None = None,
) -> SimulatedEvents:
    """Join the samples into one weight matrix in which every interfering event informs every benchmark.

    For an event z of an interfering sample k, column b receives alpha_k(z) w_b(z) with

        alpha_k(z) = c_k |d_k(z)| / sum_l c_l |d_l(z)|,      c_k = sum w / sum w^2 over sample k,

    where d_l is the event's own weight at the point where sample l was generated. The alphas sum
    to 1 at every z, so the sum over samples is unbiased for any c; these c make it the balance heuristic (c_k d_k
    is the density of generated events of sample k). Of a sample that was generated under none of the benchmarks d_k is known at its own
    events only: it receives the same alpha everywhere, its part of the effective events of all samples, and the others share the rest.
    Other samples fill only the column of their own name.

    Args:
        tables: One table per sample, weights normalised to one luminosity. Samples with benchmarks interfere.
        processes: Columns of the result: all benchmarks and all samples that do not interfere.
        benchmarks: Benchmarks of the morphing; each interfering sample must carry a weight for every one.
        generated_as: For interfering samples that were generated at a point which is no benchmark: the morphing coefficients
            of the benchmarks there, shape (n_benchmarks,), by sample; None for one that was generated under no combination of them. Others
            are named after their benchmark.

    Returns:
        The events of all tables, in their order, with the shares alpha.

    Raises:
        ArtifactMismatchError: The tables do not fit each other or the processes, or a sample's weight
            under its own benchmark is not its weight (wrong order of the benchmark names).
        PhysicsDomainError: A weight is not finite.
        SchemaError: Sample names repeat, or there is no table.

    Notes:
        A cross-section or k-factor that multiplies only some of the interfering samples would be averaged
        between them: give the same to all. A single interfering sample keeps its weights as they are, whose
        variance can be large where its own density is small.

    References:
        Veach, Guibas, "Optimally combining sampling techniques for Monte Carlo rendering" (1995), eq. 9-10.

    Examples:
        Both samples carry both weights, so that every event counts for S and for B; each region is shared between them:

        >>> from types import SimpleNamespace
        >>> common = {"observables": {}, "benchmarks": ("S", "B"), "event_id": np.arange(2)}
        >>> s = SimpleNamespace(sample="S", weight=np.array([1.0, 1.0]), benchmark_weights=np.array([[1.0, 0.0], [1.0, 1.0]]), **common)
        >>> b = SimpleNamespace(sample="B", weight=np.array([1.0, 1.0]), benchmark_weights=np.array([[1.0, 1.0], [0.0, 1.0]]), **common)
        >>> events = combine_samples([s, b], processes=["S", "B"], benchmarks=["S", "B"])
        >>> events.share, events.yields
        (array([1. , 0.5, 0.5, 1. ]), array([2., 2.]))
    """
    columns = {name: j for j, name in enumerate(processes)}
    apart = {name for name, point in (generated_as or {}).items() if point is None}
    points = _generation_points({k: p for k, p in (generated_as or {}).items() if p is not None}, tables, benchmarks)
    _check_tables(tables, columns, benchmarks, points, apart)
    scale = {t.sample: _events_per_weight(t.weight) for t in tables if t.benchmarks and t.sample not in apart}
    fixed = _fixed_shares(tables, benchmarks, apart)
    rest = 1.0 - sum(fixed.values())
    blocks, shares = [], []
    for table in tables:
        block = np.zeros((len(table.weight), len(processes)))
        if table.benchmarks:
            own = _weights_by_name(table)
            if table.sample in fixed:
                share = np.full(len(table.weight), fixed[table.sample])
            else:
                densities = {sample: _density(sample, own, benchmarks, points) for sample in scale}
                share = _share(table.sample, densities, scale) * rest
            for name in benchmarks:
                block[:, columns[name]] = share * own[name]
        else:
            share = np.ones(len(table.weight))
            block[:, columns[table.sample]] = table.weight
        blocks.append(block)
        shares.append(share)
    return _joined(tables, processes, blocks, np.concatenate(shares))


def separate_samples(tables: Sequence[SampleTable], *, processes: Sequence[str]) -> SimulatedEvents:
    """Join samples whose events know only the weight of their own sample: each fills the column of its name.

    Args:
        tables: One table per sample, weights normalised to one luminosity; benchmark weights are not used.
        processes: Columns of the result: the name of every sample.

    Returns:
        The events of all tables. With the coefficients of a morphing, `weights_at(f)` is the morphed sample: the events of
        benchmark b with weight f_b(theta) w.

    Raises:
        ArtifactMismatchError: Samples and processes differ, or observables differ between samples.
        PhysicsDomainError: A weight is not finite. SchemaError: names repeat, or there is no table.

    Notes:
        The variance of a morphed yield is sum_b f_b(theta)^2 sigma_b^2, sigma_b^2 = sum w^2 of sample b: events of different
        samples do not cancel one by one. With more samples than monomials give these variances (`sample_variances`) to
        `Morphing(variances=...)`, which then weights the samples optimally. Estimators that learn from the weights of the same
        event under several benchmarks (regression of joint ratios) cannot use such events.

    Examples:
        >>> from types import SimpleNamespace
        >>> s = SimpleNamespace(sample="S", weight=np.array([1.0, 1.0]), observables={}, event_id=np.arange(2))
        >>> b = SimpleNamespace(sample="B", weight=np.array([3.0]), observables={}, event_id=np.arange(1))
        >>> separate_samples([s, b], processes=["S", "B"]).weights
        array([[1., 0.],
               [1., 0.],
               [0., 3.]])
    """
    columns = {name: j for j, name in enumerate(processes)}
    _check_names(tables)
    if set(columns) != {t.sample for t in tables}:
        raise ArtifactMismatchError(what="processes", got=list(processes), expected=f"the samples {[t.sample for t in tables]}")
    blocks = []
    for table in tables:
        _check_observables(table, tables[0])
        check_finite(table, "weight", np.asarray(table.weight))
        block = np.zeros((len(table.weight), len(processes)))
        block[:, columns[table.sample]] = table.weight
        blocks.append(block)
    return _joined(tables, processes, blocks, None)


def sample_variances(events: SimulatedEvents, processes: Sequence[str]) -> dict[str, float]:
    """Return sum w^2 of each process: the variance of its yield.

    Examples:
        >>> weights = np.array([[2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> events = SimulatedEvents(("S", "B"), np.arange(3, dtype=np.uint64), np.array([0, 1, 1]), ("S", "B"), {}, weights)
        >>> sample_variances(events, ["S", "B"])
        {'S': 4.0, 'B': 10.0}
    """
    return {name: float(np.sum(np.square(events.weights[:, events.processes.index(name)]))) for name in processes}


def inverse_variance_weights(
    events: SimulatedEvents, coefficients: ArrayLike, *, benchmarks: Sequence[str], groups: NDArray[np.integer[Any]] | None = None
) -> NDArray[np.float64]:
    """Compute event weights at one theta with the samples weighted by the inverse of their variance there.

    Every interfering sample k alone estimates the same expectation, with variance v_k = sum w_k(theta)^2 over its events. The
    combination sum_k beta_k w_k with beta_k = (1 / v_k) / sum_l (1 / v_l) has the smallest variance of all constant weights.

    Args:
        events: From `combine_samples`.
        coefficients: f_j(theta) in the order of the processes, shape (n_processes,).
        benchmarks: The interfering processes.
        groups: Bin or region of each event, shape (n,), integers: variances are compared in each group by itself.

    Returns:
        Event weights, shape (n,); processes that do not interfere keep theirs.

    Notes:
        Prefer the shares of `combine_samples`: they compare the samples at every phase-space point, hold for all theta at once and
        are bounded. The betas here are estimated from the very events that they multiply. Where the density of a sample has
        a zero (destructive interference) its events do not show their own variance, which is infinite, and the morphed
        histogram is wrong there with too small an error; `groups` confine the damage to the bin of the zero.

    Examples:
        Two samples estimate the same S: two events of weight 1/2 are twice as precise as one of weight 1:

        >>> weights = np.array([[0.5], [0.5], [1.0]])
        >>> events = SimulatedEvents(("S",), np.arange(3, dtype=np.uint64), np.array([0, 0, 1]), ("many", "few"), {}, weights)
        >>> w = inverse_variance_weights(events, [1.0], benchmarks=["S"])
        >>> w.round(3), float(w.sum())
        (array([0.333, 0.333, 0.333]), 1.0)
    """
    f = np.asarray(coefficients, dtype=np.float64)
    weights = events.weights_at(f)
    columns = [events.processes.index(name) for name in benchmarks]
    interfering = [k for k in range(len(events.samples)) if np.any(events.weights[events.sample_index == k][:, columns])]
    bins = np.zeros(len(events), dtype=np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_bins = int(bins.max(initial=0)) + 1
    precision = np.zeros((len(events.samples), n_bins))
    for k in interfering:
        own = events.sample_index == k
        weights[own] = events.alone(events.samples[k]).weights_at(f)
        variance = np.bincount(bins[own], weights=np.square(weights[own]), minlength=n_bins)
        precision[k] = np.divide(1.0, variance, out=np.zeros(n_bins), where=variance > 0)
    total = precision.sum(axis=0)
    beta = np.divide(precision, total, out=np.zeros_like(precision), where=total > 0)
    chosen = np.isin(events.sample_index, interfering)
    weights[chosen] *= beta[events.sample_index[chosen], bins[chosen]]
    return weights


def _joined(
    tables: Sequence[SampleTable], processes: Sequence[str], blocks: Sequence[NDArray[np.float64]], share: NDArray[np.float64] | None
) -> SimulatedEvents:
    return SimulatedEvents(
        processes=tuple(processes),
        event_id=np.concatenate([np.asarray(t.event_id, dtype=np.uint64) for t in tables]),
        sample_index=np.repeat(np.arange(len(tables), dtype=np.int64), [len(b) for b in blocks]),
        samples=tuple(t.sample for t in tables),
        observables={k: np.concatenate([np.asarray(t.observables[k], dtype=np.float64) for t in tables]) for k in tables[0].observables},
        weights=np.concatenate(blocks),
        share=share,
    )


def _generation_points(
    generated_as: Mapping[str, ArrayLike], tables: Sequence[SampleTable], benchmarks: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Check the coefficients of the generation points, by sample."""
    unknown = sorted(set(generated_as) - {t.sample for t in tables if t.benchmarks})
    if unknown:
        raise SchemaError(what="generated_as", got=unknown, expected="samples with benchmark weights")
    points = {name: np.asarray(f, dtype=np.float64) for name, f in generated_as.items()}
    for name, f in points.items():
        if f.shape != (len(benchmarks),):
            raise ShapeError(
                what=f"generated_as of sample {name}", got=f"shape {f.shape}", expected=f"one per benchmark {list(benchmarks)}"
            )
    return points


def _weights_by_name(table: SampleTable) -> dict[str, NDArray[np.float64]]:
    return dict(zip(table.benchmarks, np.asarray(table.benchmark_weights, dtype=np.float64).T, strict=True))


def _density(
    sample: str, own: Mapping[str, NDArray[np.float64]], benchmarks: Sequence[str], points: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the weight of events at the point where a sample was generated, shape (n,)."""
    if sample not in points:
        return own[sample]
    density: NDArray[np.float64] = np.sum([c * own[name] for c, name in zip(points[sample], benchmarks, strict=True)], axis=0)
    return density


def _events_per_weight(weight: NDArray[np.float64]) -> float:
    """Inverse of the typical weight of a sample: n / (sum of weights) when all weights are equal."""
    total = float(np.sum(np.square(weight)))
    return abs(float(np.sum(weight))) / total if total > 0 else 0.0


def _share(sample: str, own: Mapping[str, NDArray[np.float64]], scale: Mapping[str, float]) -> NDArray[np.float64]:
    """Compute alpha_k(z) of the events of one sample, shape (n,); 0 where all densities vanish."""
    density = {name: c * np.abs(own[name]) for name, c in scale.items()}
    total = np.sum(list(density.values()), axis=0)
    share: NDArray[np.float64] = np.divide(density[sample], total, out=np.zeros_like(total), where=total > 0)
    return share


def _fixed_shares(tables: Sequence[SampleTable], benchmarks: Sequence[str], apart: Collection[str]) -> dict[str, float]:
    """Return the shares of samples that were generated under none of the benchmarks, by effective events summed over benchmarks."""
    if not apart:
        return {}
    sizes = {t.sample: sum(_effective(_weights_by_name(t)[name]) for name in benchmarks) for t in tables if t.benchmarks}
    total = sum(sizes.values())
    return {name: sizes[name] / total if total > 0.0 else 0.0 for name in sizes if name in apart}


def _effective(weights: NDArray[np.float64]) -> float:
    squares = float(np.sum(np.square(weights)))
    return float(np.sum(np.abs(weights))) ** 2 / squares if squares > 0.0 else 0.0


def _check_names(tables: Sequence[SampleTable]) -> None:
    names = [t.sample for t in tables]
    if not tables or len(set(names)) != len(names):
        raise SchemaError(what="samples to combine", got=names, expected="at least one table and no name twice")


def _check_observables(table: SampleTable, first: SampleTable) -> None:
    if set(table.observables) != set(first.observables):
        difference = sorted(set(table.observables) ^ set(first.observables))
        remedy = "process all samples with the same list of observables"
        raise ArtifactMismatchError(what=f"observables of sample {table.sample}", got=f"{difference} not in all samples", remedy=remedy)


def _check_tables(
    tables: Sequence[SampleTable],
    columns: Mapping[str, int],
    benchmarks: Sequence[str],
    points: Mapping[str, NDArray[np.float64]],
    apart: Collection[str],
) -> None:
    _check_names(tables)
    missing = [b for b in benchmarks if b not in columns]
    if missing:
        raise ArtifactMismatchError(what="processes", got=list(columns), expected=f"all benchmarks, {missing} included")
    interfering = [t.sample for t in tables if t.benchmarks]
    for table in tables:
        _check_observables(table, tables[0])
        if table.benchmarks:
            _check_interfering(table, [name for name in interfering if name not in {*points, *apart}], benchmarks, points, apart)
        elif table.sample not in columns or table.sample in benchmarks:
            remedy = "list the benchmarks of an interfering sample, or join separate samples with `separate_samples`"
            raise ArtifactMismatchError(
                what=f"sample {table.sample}", got="no benchmark weights", expected=f"one of {list(columns)}", remedy=remedy
            )
        for what, values in (("weight", table.weight), ("benchmark weight", table.benchmark_weights)):
            check_finite(table, what, np.asarray(values))


def _check_interfering(
    table: SampleTable,
    interfering: Sequence[str],
    benchmarks: Sequence[str],
    points: Mapping[str, NDArray[np.float64]],
    apart: Collection[str],
) -> None:
    what = f"benchmark weights of sample {table.sample}"
    if np.shape(table.benchmark_weights) != (len(table.weight), len(table.benchmarks)):
        expected = (len(table.weight), len(table.benchmarks))
        raise ArtifactMismatchError(what=what, got=f"shape {np.shape(table.benchmark_weights)}", expected=f"shape {expected}")
    absent = sorted({*benchmarks, *interfering} - set(table.benchmarks))
    if absent:
        remedy = "name each interfering sample after a benchmark, and give every one of them all benchmark weights"
        raise ArtifactMismatchError(what=what, got=list(table.benchmarks), expected=f"{absent} among them", remedy=remedy)
    if table.sample in apart:
        return
    own = _density(table.sample, _weights_by_name(table), benchmarks, points)
    wrong = np.abs(own - table.weight) > OWN_BENCHMARK_TOLERANCE * np.abs(table.weight)
    if np.any(wrong):
        i = int(np.argmax(wrong))
        raise ArtifactMismatchError(
            what=what,
            got=f"event {table.event_id[i]} has {own[i]:g} under its own benchmark {table.sample!r}, but weight {table.weight[i]:g}",
            expected="the same number: an event was generated under its own benchmark",
            remedy=f"check the order of the benchmark names, now {list(table.benchmarks)}; a sample that was generated under none of them "
            "carries another name than they have",
        )


def check_finite(table: SampleTable, what: str, values: NDArray[np.float64]) -> None:
    """Refuse weights of a sample that are not finite, with the event.

    Raises:
        PhysicsDomainError: Names the first event.
    """
    bad = ~np.isfinite(values) if values.ndim == 1 else ~np.all(np.isfinite(values), axis=1)
    if np.any(bad):
        i = int(np.argmax(bad))
        raise PhysicsDomainError(
            what=f"{what} of sample {table.sample}",
            got=f"{values[i]} at event {table.event_id[i]} ({int(bad.sum())} such events)",
            expected="finite weights",
            remedy="find out why the generator or the ntuple lost them; drop the events and correct the sum of weights yourself",
        )
