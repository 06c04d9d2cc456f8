"""One matrix of weights that says what every simulated event contributes to every process.

Events of interfering samples carry their weights under all benchmarks, so each of them informs S, SBI and B
at once. `combination` makes the matrix from the tables of the samples.

When to use what: the sum of `weights[:, j]` over a region is the expectation of process j there; with the
coefficients f_j of a morphing, `weights_at(f)` are the event weights of the mixture sum_j f_j * process_j.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import SchemaError, ShapeError


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
        share: Part of the weight that an event keeps because other samples cover its region too, shape (n,), 0 to 1:
            weights / share are those of its sample alone. None if no samples overlap.
        benchmarks: Names of the columns of `benchmark_weights`; empty if all events of interfering samples know all their weights.
        benchmark_weights: Where samples were generated separately: expected events of each benchmark of their processes, 0 under those
            whose weight an event does not know, shape (n, n_benchmarks). The sum over events is the expectation of the benchmark, but
            the row of one event is not its density. None where `weights` say it all.

    Examples:
        >>> weights = np.array([[2.0, 0.0], [1.0, 3.0]])
        >>> x = {"m4l": np.array([250.0, 600.0])}
        >>> events = SimulatedEvents(("S", "B"), np.array([1, 2], dtype=np.uint64), np.array([0, 1]), ("S", "B"), x, weights)
        >>> events.yields, events.weights_at([2.0, 1.0]), events.scaled(0.5).yields
        (array([3., 3.]), array([4., 5.]), array([1.5, 1.5]))
        >>> events.select(events.observables["m4l"] > 500.0).yields
        array([1., 3.])
    """

    processes: tuple[str, ...]
    event_id: NDArray[np.uint64]
    sample_index: NDArray[np.int64]
    samples: tuple[str, ...]
    observables: Mapping[str, NDArray[np.float64]]
    weights: NDArray[np.float64]
    share: NDArray[np.float64] | None = None
    benchmarks: tuple[str, ...] = ()
    benchmark_weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.event_id)
        if self.weights.shape != (n, len(self.processes)):
            raise ShapeError(
                what="SimulatedEvents.weights", got=self.weights.shape, expected=f"(n, n_processes) = {(n, len(self.processes))}"
            )
        if self.sample_index.shape != (n,):
            raise ShapeError(what="SimulatedEvents.sample_index", got=self.sample_index.shape, expected=(n,))
        if self.share is not None and self.share.shape != (n,):
            raise ShapeError(what="SimulatedEvents.share", got=self.share.shape, expected=(n,))
        if self.benchmark_weights is not None and self.benchmark_weights.shape != (n, len(self.benchmarks)):
            expected = f"(n, n_benchmarks) = {(n, len(self.benchmarks))}"
            raise ShapeError(what="SimulatedEvents.benchmark_weights", got=self.benchmark_weights.shape, expected=expected)
        for name, values in self.observables.items():
            if values.shape != (n,):
                raise ShapeError(what=f"SimulatedEvents.observables[{name!r}]", got=values.shape, expected=(n,))

    def __len__(self) -> int:
        return len(self.event_id)

    @property
    def separate(self) -> bool:
        """Whether some events of interfering samples do not know their weights under all benchmarks."""
        return self.benchmark_weights is not None

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
        share = None if self.share is None else self.share[mask]
        return replace(
            self,
            event_id=self.event_id[mask],
            sample_index=self.sample_index[mask],
            observables=observables,
            weights=self.weights[mask],
            share=share,
            benchmark_weights=None if self.benchmark_weights is None else self.benchmark_weights[mask],
        )

    def scaled(self, factor: float) -> SimulatedEvents:
        """Return the same events with all weights multiplied by `factor` (1 / f after taking a fraction f)."""
        known = None if self.benchmark_weights is None else self.benchmark_weights * factor
        return replace(self, weights=self.weights * factor, benchmark_weights=known)

    def alone(self, sample: str) -> SimulatedEvents:
        """Return the events of one sample with the weights that they have without the other samples.

        The sum over them estimates what the sum over all events estimates, without bias but with another variance: by
        it, samples of different generation points are compared.

        Raises:
            SchemaError: There is no such sample.
        """
        if sample not in self.samples:
            raise SchemaError(what="sample", got=sample, expected=f"one of {list(self.samples)}")
        own = self.select(self.sample_index == self.samples.index(sample))
        if own.share is None:
            return own
        safe = np.where(own.share > 0, own.share, 1.0)
        return replace(own, weights=own.weights / safe[:, None], share=None)

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
