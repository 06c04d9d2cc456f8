"""The density at theta as the sum of its processes, and the refusal of one that is not positive."""

from __future__ import annotations

import numpy as np

from toolkit.errors import PhysicsDomainError
from toolkit.typing import FloatArray
from toolkit.weights.hypotheses import Hypotheses
from toolkit.weights.morphing import Point


def combine_log_ratios(log_ratios: FloatArray, hypotheses: Hypotheses, theta: Point, *, floor: float | None = None) -> FloatArray:
    """Compute log [ sum_j f_j(theta) nu_j e^(log_ratios_j) / nu(theta) ], (n, n_processes) -> (n,).

    Args:
        log_ratios: log p_j / p_ref of every process.
        hypotheses: Coefficients and yields.
        theta: The point.
        floor: Smallest ratio over the reference: smaller and negative ones are set to it. None refuses what is not positive.

    Raises:
        PhysicsDomainError: The sum is not positive at an event, named by its row.
    """
    f = hypotheses.coefficients(theta) * hypotheses.yields
    largest = log_ratios.max(axis=1)
    density = np.exp(log_ratios - largest[:, None]) @ f / f.sum()
    if floor is not None:
        density = np.maximum(density, floor * np.exp(-largest))
    return np.asarray(np.log(require_positive(density, theta)) + largest)


def require_positive(density: FloatArray, theta: Point) -> FloatArray:
    """Return densities (n,) that are all positive.

    Raises:
        PhysicsDomainError: One is not; names its row and theta.

    Examples:
        >>> require_positive(np.array([0.5, 2.0]), theta=1.0)
        array([0.5, 2. ])
    """
    bad = ~(density > 0)
    if np.any(bad):
        i = int(np.argmin(density))
        remedy = "use an estimator whose density is positive by construction (quasi-parametric), more events, or a floor"
        got = f"{density[i]:.3g} ({int(bad.sum())} of {len(density)} events are not positive)"
        raise PhysicsDomainError(f"density of row {i} at theta = {theta}", got=got, expected="> 0", remedy=remedy)
    return density
