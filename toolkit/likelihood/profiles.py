"""Profile of a likelihood along one parameter: all others minimised at every value.

What to use when: `Likelihood.scan` for a result; a `Profile` where single values are asked for after a scan (the ends of an
interval), because it starts from the solutions that it has. A profile has branches where the minimum jumps, so a scan
goes outwards from the best fit and then back from both ends. On the way out the start is extrapolated from the values before and the
covariance of the neighbour replaces second derivatives; on the way back only points are solved again whose neighbour
says something new.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.likelihood.coordinates import Objective
from toolkit.likelihood.minimise import minimise
from toolkit.likelihood.results import FitResult
from toolkit.typing import FloatArray

SAME = 0.05
"""Squared distance, in units of the covariance, up to which a start leads to the solution that is known."""


class Profile:
    """Values of `twice_nll` along one parameter, the others minimised; solutions are kept.

    Args:
        likelihood: The likelihood.
        poi: The parameter.
        fit: The global fit.
    """

    def __init__(self, likelihood: Objective, poi: str, *, fit: FitResult) -> None:
        self._likelihood, self._poi, self._fit = likelihood, poi, fit
        self._alone = all(p.fixed or p.name == poi for p in likelihood.parameters)
        self._names = [p.name for p in likelihood.parameters]
        self._solved: dict[float, FitResult] = {}

    def scan(self, values: FloatArray) -> FloatArray:
        """Evaluate at values (n_points,) in any order; returns `twice_nll`, (n_points,)."""
        if self._alone:
            points = np.tile(self._point(self._fit), (len(values), 1))
            points[:, self._names.index(self._poi)] = values
            return self._likelihood.twice_nll_points(points)
        ordered = sorted(float(v) for v in values)
        best = self._fit.parameters[self._poi]
        above, below = [v for v in ordered if v >= best], [v for v in ordered if v < best][::-1]
        for outwards in (above, below):
            self._follow(outwards, begin=self._fit)
        for back in (ordered, ordered[::-1]):
            self._follow(back[1:], begin=self._solved[back[0]])
        return np.array([self._solved[float(v)].twice_nll for v in values])

    def __call__(self, value: float) -> float:
        """Evaluate `twice_nll` at one value, starting from the nearest solutions on both sides."""
        if self._alone:
            return float(self.scan(np.array([value]))[0])
        if value not in self._solved:
            known = [self._fit, *self._solved.values()]
            below = [f for f in known if f.parameters[self._poi] <= value]
            above = [f for f in known if f.parameters[self._poi] > value]
            nearest = [min(side, key=lambda f: abs(f.parameters[self._poi] - value)) for side in (below, above) if side]
            for neighbour in sorted(nearest, key=lambda f: abs(f.parameters[self._poi] - value)):
                self._solve(value, self._moved(neighbour, value), near=neighbour)
        return self._solved[value].twice_nll

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
        found = minimise(self._likelihood, fixed={self._poi: value}, starts=[start], errors=False, near=near)
        if found.n_forbidden and fallback is not None:
            again = minimise(self._likelihood, fixed={self._poi: value}, starts=[fallback], errors=False)
            found = min(found, again, key=lambda f: f.twice_nll)
        if known is None or found.twice_nll < known.twice_nll:
            self._solved[value] = found

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

    def _point(self, fit: FitResult) -> FloatArray:
        return np.array([fit.parameters[name] for name in self._names])

    def _moved(self, fit: FitResult, value: float) -> FloatArray:
        point = self._point(fit)
        point[self._names.index(self._poi)] = value
        return point

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
