"""One matrix of weights that says what every simulated event contributes to every process.

Events of interfering samples carry their weights under all benchmarks, so each of them informs S, SBI and B
at once. Several such samples overlap in phase space; `combine_samples` joins them with the balance heuristic
of multiple importance sampling, which gives each event the share of the sample that covers its region best.

When to use what: the sum of `weights[:, j]` over a region is the expectation of process j there; with the
coefficients f_j of a morphing, `weights_at(f)` are the event weights of the mixture sum_j f_j * process_j.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError, ShapeError

OWN_BENCHMARK_TOLERANCE = 1e-3
"""Allowed relative difference between a sample's weight and its weight under its own benchmark (float32 ntuples)."""


class SampleTable(Protocol):
    """What `combine_samples` reads of one sample: any object with these attributes serves."""

    @property
    def sample(self) -> str:
        """Name of the sample; for an interfering one the benchmark it was generated under."""

    @property
    def event_id(self) -> NDArray[np.uint64]:
        """Event numbers, shape (n,)."""

    @property
    def observables(self) -> Mapping[str, NDArray[np.float64]]:
        """Observables, each of shape (n,)."""

    @property
    def weight(self) -> NDArray[np.float64]:
        """Expected events under the sample's own hypothesis, shape (n,)."""

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of the columns of `benchmark_weights`; empty when the sample does not interfere."""

    @property
    def benchmark_weights(self) -> NDArray[np.float64]:
        """Expected events under each benchmark, shape (n, n_benchmarks)."""


@dataclass(frozen=True, eq=False)
class SimulatedEvents:
    """Simulated events of all samples with their weights under all processes.

    `sum_i weights[i, j] h(x_i)` estimates, without bias, the expectation of h summed over the events of
    process j at the luminosity of the input tables.

    Attributes:
        processes: Names of the columns of `weights`.
        event_id: Event numbers, shape (n,), uint64.
        sample_index: Index into `samples`, shape (n,), int64: where the event was generated.
        samples: Names of the samples.
        observables: Observables by name, each (n,) float64, NaN where missing.
        weights: Expected events, shape (n, n_processes); columns of interference may be negative.
    """

    processes: tuple[str, ...]
    event_id: NDArray[np.uint64]
    sample_index: NDArray[np.int64]
    samples: tuple[str, ...]
    observables: Mapping[str, NDArray[np.float64]]
    weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.event_id)
        if self.weights.shape != (n, len(self.processes)):
            raise ShapeError(
                what="SimulatedEvents.weights", got=self.weights.shape, expected=f"(n, n_processes) = {(n, len(self.processes))}"
            )
        if self.sample_index.shape != (n,):
            raise ShapeError(what="SimulatedEvents.sample_index", got=self.sample_index.shape, expected=(n,))
        for name, values in self.observables.items():
            if values.shape != (n,):
                raise ShapeError(what=f"SimulatedEvents.observables[{name!r}]", got=values.shape, expected=(n,))

    def __len__(self) -> int:
        return len(self.event_id)

    @property
    def yields(self) -> NDArray[np.float64]:
        """Expected number of events of each process, shape (n_processes,)."""
        yields: NDArray[np.float64] = self.weights.sum(axis=0)
        return yields

    def select(self, mask: NDArray[Any]) -> SimulatedEvents:
        """Return the events of a boolean mask (n,) or of integer positions (k,), in the given order."""
        mask = np.asarray(mask)
        if mask.dtype == np.bool_ and mask.shape != (len(self),):
            raise ShapeError(what="mask", got=mask.shape, expected=(len(self),))
        observables = {name: values[mask] for name, values in self.observables.items()}
        return SimulatedEvents(self.processes, self.event_id[mask], self.sample_index[mask], self.samples, observables, self.weights[mask])

    def scaled(self, factor: float) -> SimulatedEvents:
        """Return the same events with all weights multiplied by `factor` (1 / f after taking a fraction f)."""
        return SimulatedEvents(self.processes, self.event_id, self.sample_index, self.samples, self.observables, self.weights * factor)

    def weights_at(self, coefficients: ArrayLike) -> NDArray[np.float64]:
        """Compute the event weights of a mixture of the processes.

        Args:
            coefficients: f_j in the order of `processes`, shape (n_processes,), for example
                (mu - sqrt(mu), sqrt(mu), 1 - sqrt(mu), 1).

        Returns:
            sum_j f_j weights[:, j], shape (n,). Not clipped: single weights may be negative.

        Raises:
            ShapeError: The number of coefficients is not the number of processes.
        """
        f = np.asarray(coefficients, dtype=np.float64)
        if f.shape != (len(self.processes),):
            raise ShapeError(what="coefficients", got=f.shape, expected=f"one per process {self.processes}")
        return self.weights @ f


def combine_samples(tables: Sequence[SampleTable], *, processes: Sequence[str], benchmarks: Sequence[str]) -> SimulatedEvents:
    """Join the samples into one weight matrix in which every interfering event informs every benchmark.

    For an event z of an interfering sample k, column b receives alpha_k(z) w_b(z) with

        alpha_k(z) = c_k |d_k(z)| / sum_l c_l |d_l(z)|,      c_k = sum w / sum w^2 over sample k,

    where d_l is the event's own weight under the benchmark that sample l was generated with. The alphas sum
    to 1 at every z, so the sum over samples is unbiased for any c; these c make it the balance heuristic (c_k d_k
    is the density of generated events of sample k). Other samples fill only the column of their own name.

    Args:
        tables: One table per sample, weights normalised to one luminosity. Samples with benchmarks interfere.
        processes: Columns of the result: all benchmarks and all samples that do not interfere.
        benchmarks: Benchmarks of the morphing; each interfering sample must carry a weight for every one.

    Returns:
        The events of all tables, in their order.

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
    """
    columns = {name: j for j, name in enumerate(processes)}
    _check_tables(tables, columns, benchmarks)
    scale = {t.sample: _events_per_weight(t.weight) for t in tables if t.benchmarks}
    blocks = []
    for table in tables:
        block = np.zeros((len(table.weight), len(processes)))
        if table.benchmarks:
            own = dict(zip(table.benchmarks, np.asarray(table.benchmark_weights, dtype=np.float64).T, strict=True))
            share = _share(table.sample, own, scale)
            for name in benchmarks:
                block[:, columns[name]] = share * own[name]
        else:
            block[:, columns[table.sample]] = table.weight
        blocks.append(block)
    return SimulatedEvents(
        processes=tuple(processes),
        event_id=np.concatenate([np.asarray(t.event_id, dtype=np.uint64) for t in tables]),
        sample_index=np.repeat(np.arange(len(tables), dtype=np.int64), [len(b) for b in blocks]),
        samples=tuple(t.sample for t in tables),
        observables={k: np.concatenate([np.asarray(t.observables[k], dtype=np.float64) for t in tables]) for k in tables[0].observables},
        weights=np.concatenate(blocks),
    )


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


def _check_tables(tables: Sequence[SampleTable], columns: Mapping[str, int], benchmarks: Sequence[str]) -> None:
    names = [t.sample for t in tables]
    if not tables or len(set(names)) != len(names):
        raise SchemaError(what="samples to combine", got=names, expected="at least one table and no name twice")
    missing = [b for b in benchmarks if b not in columns]
    if missing:
        raise ArtifactMismatchError(what="processes", got=list(columns), expected=f"all benchmarks, {missing} included")
    interfering = [t.sample for t in tables if t.benchmarks]
    for table in tables:
        if set(table.observables) != set(tables[0].observables):
            difference = sorted(set(table.observables) ^ set(tables[0].observables))
            remedy = "process all samples with the same list of observables"
            raise ArtifactMismatchError(what=f"observables of sample {table.sample}", got=f"{difference} not in all samples", remedy=remedy)
        if table.benchmarks:
            _check_interfering(table, interfering, benchmarks)
        elif table.sample not in columns or table.sample in benchmarks:
            remedy = "list the benchmarks of an interfering sample; list any other sample among the processes"
            raise ArtifactMismatchError(
                what=f"sample {table.sample}", got="no benchmark weights", expected=f"one of {list(columns)}", remedy=remedy
            )
        for what, values in (("weight", table.weight), ("benchmark weight", table.benchmark_weights)):
            _check_finite(table, what, np.asarray(values))


def _check_interfering(table: SampleTable, interfering: Sequence[str], benchmarks: Sequence[str]) -> None:
    what = f"benchmark weights of sample {table.sample}"
    if np.shape(table.benchmark_weights) != (len(table.weight), len(table.benchmarks)):
        expected = (len(table.weight), len(table.benchmarks))
        raise ArtifactMismatchError(what=what, got=f"shape {np.shape(table.benchmark_weights)}", expected=f"shape {expected}")
    absent = sorted({*benchmarks, *interfering} - set(table.benchmarks))
    if absent:
        remedy = "name each interfering sample after a benchmark, and give every one of them all benchmark weights"
        raise ArtifactMismatchError(what=what, got=list(table.benchmarks), expected=f"{absent} among them", remedy=remedy)
    own = np.asarray(table.benchmark_weights)[:, table.benchmarks.index(table.sample)]
    wrong = np.abs(own - table.weight) > OWN_BENCHMARK_TOLERANCE * np.abs(table.weight)
    if np.any(wrong):
        i = int(np.argmax(wrong))
        raise ArtifactMismatchError(
            what=what,
            got=f"event {table.event_id[i]} has {own[i]:g} under its own benchmark {table.sample!r}, but weight {table.weight[i]:g}",
            expected="the same number: an event was generated under its own benchmark",
            remedy=f"check the order of the benchmark names, now {list(table.benchmarks)}",
        )


def _check_finite(table: SampleTable, what: str, values: NDArray[np.float64]) -> None:
    bad = ~np.isfinite(values) if values.ndim == 1 else ~np.all(np.isfinite(values), axis=1)
    if np.any(bad):
        i = int(np.argmax(bad))
        raise PhysicsDomainError(
            what=f"{what} of sample {table.sample}",
            got=f"{values[i]} at event {table.event_id[i]} ({int(bad.sum())} such events)",
            expected="finite weights",
            remedy="find out why the generator or the ntuple lost them; drop the events and correct the sum of weights yourself",
        )
