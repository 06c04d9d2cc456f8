"""Asimov sets: simulated events with weights that make them the expectation at a parameter point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray


def coefficient_values(coefficients: Sequence[str], parameters: Mapping[str, float]) -> FloatArray:
    """Evaluate coefficient expressions at a parameter point.

    Args:
        coefficients: One expression per process.
        parameters: Value of every parameter that occurs.

    Returns:
        f_j, (n_processes,).

    Examples:
        >>> coefficient_values(("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1"), {"mu": 4.0}).tolist()
        [2.0, 2.0, -1.0, 1.0]
    """
    parsed = Coefficients.parse(coefficients, tuple(parameters))
    return np.asarray(parsed.values(np.array([list(parameters.values())], dtype=np.float64))[0])


def asimov_weights(
    weights: ArrayLike,
    *,
    coefficients: Sequence[str],
    parameters: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> FloatArray:
    """Compute the weights of an Asimov set.

    Args:
        weights: Expected events of each simulated event under each process, (n_events, n_processes): `SimulatedEvents.weights` of
            events that no network, calibration or yield has seen (an Asimov set of the events that the model was normalised on
            always closes and proves nothing).
        coefficients: f_j as expressions, one per process.
        parameters: The truth.
        bounds: Allowed ranges of the fit that follows, to be checked.

    Returns:
        sum_j f_j w_ij, (n_events,); their sum is the expected number of events at the truth. Single weights may be negative.

    Raises:
        ShapeError: Not one coefficient per process.
        PhysicsDomainError: The truth is outside the allowed range, or the expected total is not positive.

    Examples:
        >>> weights = [[1.0, 2.0, 4.0], [2.0, 3.0, 1.0]]  # S, SBI and B at two events
        >>> asimov_weights(weights, coefficients=("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"), parameters={"mu": 4.0}).tolist()
        [2.0, 9.0]
    """
    w = np.asarray(weights, dtype=np.float64)
    for name, (low, high) in (bounds or {}).items():
        if name in parameters and not low <= parameters[name] <= high:
            what = f"range of {name!r}"
            raise PhysicsDomainError(
                what,
                got=f"[{low:g}, {high:g}]",
                expected=f"a range that contains the truth {parameters[name]:g}",
                remedy="widen the range or move the truth",
            )
    f = coefficient_values(coefficients, parameters)
    if w.ndim != 2 or w.shape[1] != len(f):
        what = "weights of the Asimov set"
        raise ShapeError(what, got=w.shape, expected=f"(n_events, {len(f)}), one column per coefficient")
    total = w @ f
    if not total.sum() > 0.0:
        what = f"Asimov set at {dict(parameters)}"
        raise PhysicsDomainError(
            what, got=f"a sum of weights of {total.sum():g} over {len(w)} events", expected="> 0", remedy="use more events"
        )
    return np.asarray(total)
