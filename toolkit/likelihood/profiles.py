"""Profile of a likelihood along one parameter: all others minimised at every value.

What to use when: `Likelihood.scan` for a result; a `Profile` where single values are asked for after a scan (the ends of an
interval), because it starts from the solutions that it has. Where the other parameters have one minimum, a scan goes outwards from
the best fit and then back from both ends, where the initial point is tried as well. On the way out the start is extrapolated from
the values before and the covariance of the neighbour replaces second derivatives; on the way back only points are solved again whose
neighbour says something new. Where they may have several (interference in a parameter that is profiled), all branches are
followed (`toolkit.likelihood.branches`), and the profile is the lowest of them at every point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.likelihood.branches import Branches, Point, other_directions
from toolkit.likelihood.coordinates import Objective
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.minimise import minimise
from toolkit.likelihood.search import REACH
from toolkit.typing import FloatArray

ANCHORS = 7
"""Scan points at which all minima are searched, where there may be several."""
PLANE_ANCHORS = 6
"""Steps between such points along each side of a plane."""
SAME = 0.05
"""Squared distance, in units of the covariance, up to which a start leads to the solution that is known."""


class Profile:
    """Values of `twice_nll` along one parameter, the others minimised; solutions are kept.

    Args:
        likelihood: The likelihood.
        poi: The parameter.
        fit: The global fit.
        fixed: Parameters that stay at values.
    """

    def __init__(self, likelihood: Objective, poi: str, *, fit: FitResult, fixed: Mapping[str, float] | None = None) -> None:
        self._likelihood, self._poi, self._fit, self._fixed = likelihood, poi, fit, dict(fixed or {})
        held = {poi, *self._fixed}
        self._alone = all(p.fixed or p.name in held for p in likelihood.parameters)
        several = not self._alone and bool(other_directions(likelihood, sorted(held)))
        self._branches = Branches(likelihood, (poi,), fit=fit, fixed=self._fixed) if several else None
        self._names = [p.name for p in likelihood.parameters]
        self._solved: dict[float, FitResult] = {}

    def scan(self, values: FloatArray) -> FloatArray:
        """Evaluate at values (n_points,) in any order; returns `twice_nll`, (n_points,)."""
        if self._alone:
            points = np.tile(self._point(self._fit, **self._fixed), (len(values), 1))
            points[:, self._names.index(self._poi)] = values
            return self._likelihood.twice_nll_points(points)
        ordered = sorted(float(v) for v in values)
        if self._branches is not None:
            self._follow_all(self._branches, ordered)
            return np.array([self._branches.value((float(v),)) for v in values])
        best = self._fit.parameters[self._poi]
        above, below = [v for v in ordered if v >= best], [v for v in ordered if v < best][::-1]
        for outwards in (above, below):
            self._follow(outwards, begin=self._fit)
        for end in (ordered[0], ordered[-1]):
            self._search(end)
        for back in (ordered, ordered[::-1]):
            self._solve(back[0], self._nominal(back[0]), near=self._solved[back[0]])
            self._follow(back[1:], begin=self._solved[back[0]])
        return np.array([self._solved[float(v)].twice_nll for v in values])

    def __call__(self, value: float) -> float:
        """Evaluate `twice_nll` at one value, starting from the nearest solutions on both sides."""
        if self._alone:
            return float(self.scan(np.array([value]))[0])
        if self._branches is not None:
            return self._on_branches(self._branches, value)
        if value not in self._solved:
            known = [self._fit, *self._solved.values()]
            below = [f for f in known if f.parameters[self._poi] <= value]
            above = [f for f in known if f.parameters[self._poi] > value]
            nearest = [min(side, key=lambda f: abs(f.parameters[self._poi] - value)) for side in (below, above) if side]
            for neighbour in sorted(nearest, key=lambda f: abs(f.parameters[self._poi] - value)):
                self._solve(value, self._moved(neighbour, value), near=neighbour)
        return self._solved[value].twice_nll

    def parameters(self, value: float) -> dict[str, float]:
        """Return all parameters at the minimum for one value."""
        if self._branches is not None:
            self(value)
            return self._branches.parameters((value,))
        if self._alone:
            return {**self._fit.parameters, **self._fixed, self._poi: value}
        self(value)
        return dict(self._solved[value].parameters)

    def _follow_all(self, branches: Branches, ordered: Sequence[float]) -> None:
        """Search at some values, evenly spaced among the points, and carry what is found to all of them."""
        every = max(1, math.ceil((len(ordered) - 1) / (ANCHORS - 1)))
        for value in dict.fromkeys([*ordered[::every], ordered[-1]]):
            if (value,) not in branches:
                branches.search((value,))
        points: list[Point] = [(v,) for v in sorted({*ordered, *(p[0] for p in branches.points)})]
        beside = {p: [q for q in (points[i - 1] if i else None, *points[i + 1 : i + 2]) if q] for i, p in enumerate(points)}
        branches.sweep(points, beside)

    def _on_branches(self, branches: Branches, value: float) -> float:
        if (value,) not in branches:
            known = branches.points
            below, above = [p for p in known if p[0] < value], [p for p in known if p[0] > value]
            nearest = [*([max(below)] if below else []), *([min(above)] if above else [])]
            if len(nearest) < 2:
                branches.search((value,))
            for neighbour in nearest:
                branches.follow((value,), neighbour)
        return branches.value((value,))

    def _follow(self, values: Sequence[float], *, begin: FitResult) -> None:
        path = [begin]
        for value in values:
            self._solve(value, self._extrapolated(path, value), near=path[-1], fallback=self._moved(path[-1], value))
            path.append(self._solved[value])

    def _solve(self, value: float, start: FloatArray, *, near: FitResult, fallback: FloatArray | None = None) -> None:
        """Minimise at one value from a start (n_parameters,), unless that leads to what is known; the lower solution is kept."""
        known = self._solved.get(value)
        if known is not None and self._leads_to(start, known):
            return
        found = minimise(self._likelihood, fixed={**self._fixed, self._poi: value}, starts=[start], errors=False, near=near)
        if found.n_forbidden and fallback is not None:
            again = minimise(self._likelihood, fixed={**self._fixed, self._poi: value}, starts=[fallback], errors=False)
            found = min(found, again, key=lambda f: f.twice_nll)
        if known is None or found.twice_nll < known.twice_nll:
            self._solved[value] = found

    def _search(self, value: float) -> None:
        """Look for other minima where a value is far from the best fit: constrained parameters are pulled to where variations bend."""
        known = self._solved[value]
        if known.twice_nll <= self._fit.twice_nll + REACH:
            return
        branches = Branches(self._likelihood, (self._poi,), fit=self._fit, fixed=self._fixed)
        branches.search((value,))
        found = branches.parameters((value,))
        self._solve(value, np.array([found[name] for name in self._names]), near=known)

    def _leads_to(self, start: FloatArray, known: FitResult) -> bool:
        away = start - self._point(known)
        free = [self._names.index(n) for n in known.free]
        rest = np.delete(away, free)
        if np.any(np.abs(rest) > 1e-6):
            return False
        covariance = np.array(known.covariance, dtype=np.float64).reshape(len(free), len(free))
        if not np.all(np.isfinite(covariance)):
            return bool(np.all(np.abs(away) < 1e-6))
        distance = float(away[free] @ np.linalg.lstsq(covariance, away[free])[0])
        return 0.0 <= distance < SAME

    def _point(self, fit: FitResult, **changed: float) -> FloatArray:
        return np.array([{**fit.parameters, **changed}[name] for name in self._names])

    def _moved(self, fit: FitResult, value: float) -> FloatArray:
        point = self._point(fit, **self._fixed)
        point[self._names.index(self._poi)] = value
        return point

    def _nominal(self, value: float) -> FloatArray:
        """Return the initial point: at the ends of a scan, another start than the branch that was followed there."""
        held = {**self._fixed, self._poi: value}
        return np.array([held.get(p.name, self._fit.parameters[p.name] if p.fixed else p.init) for p in self._likelihood.parameters])

    def _extrapolated(self, path: Sequence[FitResult], value: float) -> FloatArray:
        """Continue the line through the last two solutions; from the global fit, the direction of its covariance."""
        last, poi = path[-1], self._poi
        start = self._moved(last, value)
        names, step = self._names, value - last.parameters[poi]
        if len(path) > 1:
            before = self._point(path[-2])
            here = self._point(last)
            length = last.parameters[poi] - path[-2].parameters[poi]
            slope = (here - before) / length if length else np.zeros(len(names))
        else:
            slope = np.zeros(len(names))
            if poi in last.free:
                row = np.array(last.covariance)[last.free.index(poi)]
                if np.all(np.isfinite(row)) and row[last.free.index(poi)] > 0.0:
                    slope[[names.index(n) for n in last.free]] = row / row[last.free.index(poi)]
        start += np.where(np.array(names) == poi, 0.0, slope * step)
        low, high = (np.array([getattr(p, end) for p in self._likelihood.parameters]) for end in ("low", "high"))
        return np.asarray(np.clip(start, low, high))


def profiled_plane(likelihood: Objective, names: tuple[str, str], values: tuple[FloatArray, FloatArray], *, fit: FitResult) -> FloatArray:
    """Minimise over all other parameters at points of a plane.

    Args:
        likelihood: The likelihood.
        names: The two parameters that are held.
        values: Values of each, (n_first,) and (n_second,), increasing.
        fit: The global fit.

    Returns:
        `twice_nll`, (n_first, n_second).
    """
    one, two = values
    lattice: list[list[Point]] = [[(float(x), float(y)) for y in two] for x in one]
    flat = [point for row in lattice for point in row]
    if all(p.fixed or p.name in names for p in likelihood.parameters):
        points = np.tile([fit.parameters[p.name] for p in likelihood.parameters], (len(flat), 1))
        columns = [[p.name for p in likelihood.parameters].index(name) for name in names]
        points[:, columns] = flat
        return likelihood.twice_nll_points(points).reshape(len(one), len(two))
    branches = Branches(likelihood, names, fit=fit)
    several = bool(other_directions(likelihood, names))
    every = [max(1, math.ceil((len(v) - 1) / PLANE_ANCHORS)) for v in values]
    anchors = [p for row in lattice[:: every[0]] for p in row[:: every[1]]] if several else flat[:1]
    for point in dict.fromkeys([*anchors, *((lattice[-1][-1],) if several else ())]):
        branches.search(point)
    beside = {}
    for i, row in enumerate(lattice):
        for j, point in enumerate(row):
            around = ((i, j - 1), (i - 1, j), (i, j + 1), (i + 1, j))
            beside[point] = [lattice[a][b] for a, b in around if 0 <= a < len(one) and 0 <= b < len(two)]
    branches.sweep(flat, beside)
    return np.array([branches.value(p) for p in flat]).reshape(len(one), len(two))
