"""Normalisation of the estimated ratios: E_ref[r] must be 1 for every process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.inputs import check_log_ratios
from toolkit.diagnostics.reweighting import reference_fractions
from toolkit.diagnostics.serialise import jsonable
from toolkit.typing import FloatArray
from toolkit.weights.simulation import SimulatedEvents


@dataclass(frozen=True, eq=False)
class Normalisation:
    """E_ref[r_j] of each process with its covariance; 1 where r_j is normalised."""

    processes: tuple[str, ...]
    mean_ratio: FloatArray
    covariance: FloatArray
    test: ChiSquare

    @property
    def error(self) -> FloatArray:
        """Standard error of each mean, (n_processes,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def pull(self) -> FloatArray:
        """(E_ref[r] - 1) / error, (n_processes,); zero where both vanish by construction."""
        difference, error = self.mean_ratio - 1, self.error
        return np.divide(
            difference, error, out=np.where(np.abs(difference) < 1e-9, 0.0, np.copysign(np.inf, difference)), where=error > 1e-12
        )

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        arrays = {name: jsonable(getattr(self, name)) for name in ("processes", "mean_ratio", "error", "pull", "covariance")}
        return {**arrays, **self.test.to_json()}


def normalisation(events: SimulatedEvents, log_ratios: FloatArray, *, reference: Mapping[str, float]) -> Normalisation:
    """Average each estimated ratio over the reference.

    Args:
        events: Test events with weights (n, n_processes).
        log_ratios: (n, n_processes) log p_process / p_ref in the order of `events.processes`.
        reference: Share of each process in p_ref.

    Returns:
        E_ref[r_j] = sum_i w_ref,i r_j(x_i), w_ref,i = sum_l pi_l w_il / sum_i w_il, for every process, and the chi-square of
        all of them against 1.

    Raises:
        SchemaError: The reference names an unknown process.
        ShapeError: `log_ratios` does not fit the events.
        PhysicsDomainError: A log ratio is NaN.

    Notes:
        If p_ref is built from the processes, sum_j pi_j r_j = 1 at every event whatever the network does: that
        combination has no error and is left out of the chi-square (ndf is one less). So a mixture of two
        processes can only be wrong in opposite directions.

    Examples:
        Exact ratios to a reference of equal parts average to 1 over it, ratios that are 2 % too high to 1.02:

        >>> weights = np.array([[1.0, 3.0], [3.0, 1.0]])
        >>> ids, zeros = np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B"), ids, zeros, ("S",), {}, weights)
        >>> log_ratios = np.log(weights / 2.0)
        >>> normalisation(events, log_ratios, reference={"S": 1.0, "B": 1.0}).mean_ratio
        array([1., 1.])
        >>> normalisation(events, log_ratios + np.log(1.02), reference={"S": 1.0, "B": 1.0}).mean_ratio
        array([1.02, 1.02])
    """
    check_log_ratios(log_ratios, events)
    pi = reference_fractions(events, reference)
    totals = events.weights.sum(axis=0)
    share = np.divide(pi, totals, out=np.zeros_like(pi), where=totals != 0)
    w_ref = events.weights @ share
    ratios = np.exp(log_ratios)
    mean = w_ref @ ratios
    per_component = (events.weights.T @ ratios) * share[:, None]  # (l, j): part of E_ref[r_j] that component l gives
    influence = w_ref[:, None] * ratios - events.weights @ np.divide(
        per_component, totals[:, None], out=np.zeros_like(per_component), where=totals[:, None] != 0
    )
    covariance = influence.T @ influence
    return Normalisation(processes=tuple(events.processes), mean_ratio=mean, covariance=covariance, test=chi_square(mean - 1, covariance))
