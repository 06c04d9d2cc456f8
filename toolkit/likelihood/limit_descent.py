"""Minima on the limit of the allowed points: where bins without data would expect less than nothing.

What to use when: after a descent that met forbidden points. A bin with data pushes a fit away from its limit by a logarithm, and descents
stay clear of it by themselves. A bin without data adds twice its expectation, which is linear: the best fit may lie where it
expects exactly nothing, on a curve in the space of the parameters. There the objective, continued linearly beyond the limit, is minimised
with the expectations of these bins as constraints (SLSQP with exact derivatives).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.likelihood.descent import EQUAL, Descent
from toolkit.typing import FloatArray

FORBIDDEN = 1e8
"""Height of forbidden points, above the start, for a minimiser that needs a finite number."""
CLOSE_TO_LIMIT = 0.05
"""Expectation, in events, below which a bin without data may hold a fit."""
INSIDE = 1e-9
"""How many events are left in such a bin, so that the point is allowed."""
HELD = 1e-6
"""A bin holds the fit if it expects less."""


def along_limit(space: FreeCoordinates, reached: Descent) -> Descent:
    """Continue a descent that ended beside the limit, along it.

    Args:
        space: Coordinates.
        reached: Where a descent ended.

    Returns:
        The minimum on the limit, with the normals of the bins that hold it; `reached` if it is a minimum itself.
    """
    if not len(reached.at):
        return reached
    expected, _ = space.without_data(reached.at)
    near = np.flatnonzero(expected < CLOSE_TO_LIMIT)
    if not len(near):
        return reached
    found = minimize(
        lambda z: _capped(space, z),
        reached.at,
        jac=True,
        method="SLSQP",
        bounds=[(a if np.isfinite(a) else None, b if np.isfinite(b) else None) for a, b in zip(space.low, space.high, strict=True)],
        constraints={
            "type": "ineq",
            "fun": lambda z: space.without_data(z)[0] - INSIDE,
            "jac": lambda z: space.without_data(z)[1],
        },
        options={"maxiter": 200, "ftol": 1e-12},
    )
    at = np.clip(np.asarray(found.x, dtype=np.float64), space.low, space.high)
    value = space.value(at)
    if not value < reached.value + EQUAL:
        return reached
    expected, normals = space.without_data(at)
    held = expected < HELD
    if not held.any():
        return replace(reached, at=at, value=value, hessian=None)
    return Descent(at, value, normals=normals[held])


def _capped(space: FreeCoordinates, at: FloatArray) -> tuple[float, FloatArray]:
    value, gradient = space.continued(at)
    return (value, gradient) if np.isfinite(value) else (FORBIDDEN, np.zeros(len(at)))
