"""Local minima over the other parameters, followed from one value of the parameters held to the next.

What to use when: `toolkit.likelihood.profiles.Profile` and `Likelihood.surface` for results; both stand on this where the parameters that
are profiled have several minima. The profile is the lowest of several branches, and a branch that is high at one point is the
lowest at another. So all branches are carried along: a full search at some of the points, and from every point to its
neighbours, there and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.likelihood.coordinates import FreeCoordinates, Objective
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.search import REACH, Basins, explore, known_hessian
from toolkit.typing import FloatArray

SAME = 0.05
"""Rise of twice_nll within the parabola of a known minimum up to which a start leads to it."""
Point = tuple[float, ...]
"""Values of the parameters that are held."""


def other_directions(likelihood: Objective, held: Sequence[str]) -> list[str]:
    """Return the free parameters, apart from those held, in which there may be several minima.

    Examples:
        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> likelihood = BinnedLikelihood(templates=[[10.0], [-5.0], [9.0]], data=[9.0], coefficients=("mu", "sqrt(mu)", "b"),
        ...     parameters=("mu", "b"), bounds={"mu": (0.0, 4.0), "b": (0.0, 2.0)})
        >>> other_directions(likelihood, ["b"]), other_directions(likelihood, ["mu"])
        (['mu'], [])
    """
    return [p.name for p in likelihood.parameters if not p.fixed and p.name not in held and p.name in likelihood.interfering]


class Branches:
    """Minima at points of the parameters held.

    Args:
        likelihood: The likelihood.
        held: Parameters that are held; at least one other is free.
        fit: The global fit, whose minima are starts everywhere.
        fixed: Parameters that stay at values everywhere.
    """

    def __init__(self, likelihood: Objective, held: Sequence[str], *, fit: FitResult, fixed: Mapping[str, float] | None = None) -> None:
        self._likelihood, self._held, self._fit, self._fixed = likelihood, tuple(held), fit, dict(fixed or {})
        self._names = [p.name for p in likelihood.parameters]
        self._basins: dict[Point, Basins] = {}
        self._followed: set[tuple[Point, int]] = set()

    def __contains__(self, point: Point) -> bool:
        return point in self._basins

    @property
    def points(self) -> list[Point]:
        """Points that have a minimum."""
        return list(self._basins)

    def value(self, point: Point) -> float:
        """Return the lowest twice_nll found at a point; infinite if there is none."""
        basins = self._basins[point]
        return basins.found[0].value + basins.space.offset if basins.found else float("inf")

    def parameters(self, point: Point) -> dict[str, float]:
        """Return all parameters at the lowest minimum of a point."""
        basins = self._basins[point]
        at = basins.found[0].at if basins.found else basins.space.start()
        return dict(zip(self._names, basins.space.points(at[None, :])[0].tolist(), strict=True))

    def search(self, point: Point) -> None:
        """Look for all minima at a point; those of the fit and the initial point are starts."""
        basins = self._at(point)
        if not np.isfinite(basins.space.offset):
            return  # no allowed point
        for minimum in self._fit.minima:
            self._begin(basins, self._inside(basins.space, minimum.parameters), None)
        self._begin(basins, basins.space.start(), None)
        explore(basins, thorough=True)

    def follow(self, point: Point, neighbour: Point) -> None:
        """Continue every branch of a neighbour to a point."""
        theirs, basins = self._basins[neighbour], self._at(point)
        if not np.isfinite(basins.space.offset):
            return
        for minimum in list(theirs.found):
            if minimum.value <= theirs.found[0].value + REACH and (point, id(minimum)) not in self._followed:
                self._followed.add((point, id(minimum)))
                self._begin(basins, minimum.at, known_hessian(theirs.space, minimum))

    def sweep(self, points: Sequence[Point], neighbours: Mapping[Point, Sequence[Point]]) -> None:
        """Follow all branches through points in order and back; `neighbours` of a point are those it takes branches from."""
        for order in (points, points[::-1], points):
            for point in order:
                for neighbour in neighbours[point]:
                    if neighbour in self._basins:
                        self.follow(point, neighbour)

    def _at(self, point: Point) -> Basins:
        if point not in self._basins:
            fixed = {**self._fixed, **dict(zip(self._held, point, strict=True))}
            start = np.array([{**self._fit.parameters, **fixed}[name] for name in self._names])
            self._basins[point] = Basins(FreeCoordinates.of(self._likelihood, fixed, start=start))
        return self._basins[point]

    def _begin(self, basins: Basins, start: FloatArray, hessian: FloatArray | None) -> None:
        """Descend unless a known minimum's parabola says where that leads."""
        space = basins.space
        allowed = space.allowed(np.clip(start, space.low, space.high))
        if allowed is None:
            return
        start = allowed
        for known in basins.found:
            if known.hessian is not None and 0.0 <= 0.5 * float((start - known.at) @ known.hessian @ (start - known.at)) < SAME:
                return
        basins.descend(start, hessian)

    def _inside(self, space: FreeCoordinates, parameters: Mapping[str, float]) -> FloatArray:
        point = np.array([parameters[name] for name in self._names])
        return np.clip(space.to_internal(point[space.free]), space.low, space.high)
