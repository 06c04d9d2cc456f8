"""Fit of one toy with nuisance parameters: descents that start from second derivatives known beforehand.

What to use when: `Likelihood.fit` for a result; `fit_on_grid` for toys with one free parameter; `fit_profiled` for thousands of toys
with nuisance parameters and one parameter of interest that may interfere. Toys of one parameter point have nearly the same second
derivatives, so a `Guide` holds them at a few values of the parameter of interest, and the descent of every toy
(`toolkit.likelihood.descent`) corrects them from its own gradients. Where another parameter may have several minima too, no guide knows
which one a toy falls into: `guide_of` gives none, and the toy is fitted as data are.

A toy costs some twenty evaluations of value and gradient: the conditional fit, one look at each grid value, where the guide predicts
value and slope of the profile, and one descent for each minimum that the prediction shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.likelihood.descent import Descent, descend, positive
from toolkit.likelihood.search import spread_points
from toolkit.typing import FloatArray

GRID_POINTS = 11
"""Values of the parameter of interest at which a guide knows the second derivatives and a toy looks for minima."""


@dataclass(frozen=True, eq=False)
class Guide:
    """Second derivatives of a typical toy of one parameter point.

    Attributes:
        theta: The point, all parameters, (n_parameters,).
        at: Coordinates of the parameter of interest, (n_grid,), from the lower to the upper end of its range.
        hessians: Second derivatives in the free coordinates, (n_grid, n_free, n_free), positive definite.
    """

    theta: FloatArray
    at: FloatArray
    hessians: FloatArray

    @classmethod
    def of(cls, likelihood: Likelihood, theta: Mapping[str, float], *, poi: str, points: int = GRID_POINTS) -> Guide:
        """Compute the second derivatives along the parameter of interest, the others as in theta.

        Args:
            likelihood: Likelihood of a typical toy.
            theta: Parameter point of the toys.
            poi: Parameter of interest, free, with a finite range.
            points: Grid values.

        Returns:
            The guide. Where the likelihood does not know its second derivatives they come from differences of its gradient.
        """
        space = FreeCoordinates.of(likelihood, {})
        full, k = likelihood.point(theta), space.names.index(poi)
        start = np.clip(space.to_internal(full[space.free]), space.low, space.high)
        at = spread_points(space, start, k, points)
        hessians = []
        for x in at:
            trial = start.copy()
            trial[k] = x
            with np.errstate(invalid="ignore"):  # at the edge where a derivative diverges; the coordinates replace that row
                exact = space.hessian(trial)
            rows = exact if exact is not None else np.stack([space.row(trial, i) for i in range(len(trial))])
            hessians.append(positive(0.5 * (rows + rows.T)))
        return cls(full, at, np.array(hessians))

    def near(self, x: float) -> FloatArray:
        """Return the second derivatives at the nearest grid value, (n_free, n_free)."""
        return np.asarray(self.hessians[int(np.argmin(np.abs(self.at - x)))])


@dataclass(frozen=True)
class ToyFit:
    """Outcome of a fast fit with nuisance parameters.

    Attributes:
        parameters: Best fit of all parameters, (n_parameters,).
        twice_nll: Value there.
        conditional: The same with the parameter of interest at the value tested.
        conditional_twice_nll: Value there.
        at_boundary: Whether the best fit of the parameter of interest is an end of its range.
        converged: Whether all descents ended at a minimum, and no forbidden point was met that may hide another.
        n_evaluations: Evaluations of value and gradient.
    """

    parameters: FloatArray
    twice_nll: float
    conditional: FloatArray
    conditional_twice_nll: float
    at_boundary: bool
    converged: bool
    n_evaluations: int

    @property
    def t(self) -> float:
        """-2 ln of the likelihood ratio between the value tested and the best fit, >= 0."""
        return max(self.conditional_twice_nll - self.twice_nll, 0.0)


def fit_profiled(likelihood: Likelihood, guide: Guide, *, poi: str, test: float) -> ToyFit:
    """Find the global minimum of a toy, and the one with the parameter of interest held.

    Args:
        likelihood: Likelihood of the toy.
        guide: Second derivatives of toys of that parameter point.
        poi: Parameter of interest.
        test: The value that is tested.

    Returns:
        Both fits; the best of all minima that the profile shows on the grid, between its points, and at the ends of the range.
    """
    space = FreeCoordinates.of(likelihood, {}, start=guide.theta)
    k = space.names.index(poi)
    begin = np.clip(space.to_internal(guide.theta[space.free]), space.low, space.high)
    begin[k] = np.clip(space.inward_of(k, [test])[0], space.low[k], space.high[k])
    only_poi = np.arange(len(begin)) == k
    held = descend(space, begin, hessian=guide.near(begin[k]), held=only_poi)
    found = [descend(space, start, hessian=guide.near(start[k])) for start in _starts(space, k, guide, held)]
    best = min([*found, held], key=lambda m: m.value)
    return ToyFit(
        parameters=np.asarray(space.points(best.at[None, :])[0]),
        twice_nll=best.value + space.offset,
        conditional=np.asarray(space.points(held.at[None, :])[0]),
        conditional_twice_nll=held.value + space.offset,
        at_boundary=best.at[k] in (space.low[k], space.high[k]),
        converged=held.converged and all(m.converged for m in found) and not space.n_forbidden,
        n_evaluations=space.n_evaluations,
    )


def _starts(space: FreeCoordinates, k: int, guide: Guide, held: Descent) -> list[FloatArray]:
    """Look at the grid, predict the profile by one Newton step in the other parameters, and return where it has minima."""
    # The profile at a grid point without a fit there: the Newton step in all other parameters, of which value and slope are known to
    # second order. A change of sign of the slope between two points is a minimum of the profile.
    rest = np.arange(len(held.at)) != k
    x = np.unique(np.append(guide.at, held.at[k]))
    heights, derivatives, points = np.empty(len(x)), np.empty(len(x)), np.tile(held.at, (len(x), 1))
    for i, value in enumerate(x):
        points[i, k] = value
        height, gradient = space.both(points[i])
        hessian = guide.near(value)
        step = np.zeros(len(held.at))
        step[rest] = -np.linalg.solve(hessian[np.ix_(rest, rest)], gradient[rest])
        heights[i] = height + 0.5 * float(gradient @ step)
        derivatives[i] = gradient[k] + float(hessian[k, rest] @ step[rest])
        points[i] = np.clip(points[i] + step, space.low, space.high)
    starts = [points[i] for i in (0, len(x) - 1) if (derivatives[i] >= 0.0) == (i == 0)]
    for i in np.flatnonzero((derivatives[:-1] < 0.0) & (derivatives[1:] > 0.0)).tolist():
        share = derivatives[i] / (derivatives[i] - derivatives[i + 1])
        starts.append((1.0 - share) * points[i] + share * points[i + 1])
    return starts or [points[int(np.argmin(heights))]]
