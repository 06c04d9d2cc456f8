"""Where a likelihood is defined: the points at which every expectation and every density is positive.

What to use when: `allowed_point` for a start of a fit that is forbidden as given; `range_limits` for what ends the range of a parameter
before its bounds do. A point at which a bin expects nothing although it has data, or an event has no positive density, is forbidden:
`twice_nll` is +infinity there, so that no fit, scan or bracket ends in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhysicsDomainError
from toolkit.likelihood.fit_result import Limit
from toolkit.likelihood.parameters import Parameter
from toolkit.typing import FloatArray

REACH = 5.0
"""How far from its start a parameter with an infinite range is moved in search of an allowed point."""
HALVINGS = 60


@dataclass(frozen=True)
class NotPositive:
    """What forbids a parameter point.

    Attributes:
        where: The bin or event, such as "channel 'SR', bin 3".
        error: The message with the point, the value and a remedy.
    """

    where: str
    error: PhysicsDomainError


class Defined(Protocol):
    """What has to be known of a likelihood to find the points at which it is defined."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in the order of the parameter axis."""
        ...

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points (n_points, n_parameters) to allowed ones, 0 where they are; (n_points,)."""
        ...

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say what forbids a point (n_parameters,); None if it is allowed."""
        ...


def allowed_point(likelihood: Defined, point: FloatArray, free: NDArray[np.intp]) -> FloatArray | None:
    """Find an allowed point near a forbidden one.

    Free parameters move to the ends of their ranges, the most helpful one first, until nothing is missing; of that way the second half of
    what is allowed is cut off, so that a descent does not begin at the far ends.

    Args:
        likelihood: The likelihood.
        point: Where to begin, (n_parameters,).
        free: Positions of the parameters that may move.

    Returns:
        An allowed point, (n_parameters,); None if the search finds none.
    """
    if likelihood.shortfall(point[None, :])[0] == 0.0:
        return point
    moves = [(int(k), end) for k in free for end in _ends(likelihood.parameters[k], float(point[k])) if end != point[k]]
    if not moves:
        return None
    trials = np.tile(point, (len(moves), 1))
    trials[np.arange(len(moves)), [k for k, _ in moves]] = [end for _, end in moves]
    missing = likelihood.shortfall(trials)
    at, left = point.copy(), float(likelihood.shortfall(point[None, :])[0])
    for i in np.argsort(missing, kind="stable"):
        trial = at.copy()
        trial[moves[i][0]] = moves[i][1]
        new = float(likelihood.shortfall(trial[None, :])[0])
        if new < left:
            at, left = trial, new
        if left == 0.0:
            nearer = at + 0.5 * _allowed_share(likelihood, at, point) * (point - at)
            return np.asarray(nearer) if likelihood.shortfall(nearer[None, :])[0] == 0.0 else at
    return None


def range_limits(likelihood: Defined, best: Mapping[str, float], free: tuple[str, ...]) -> tuple[Limit, ...]:
    """Find where the range of each free parameter ends before its bounds do, the others staying at the best fit.

    Args:
        likelihood: The likelihood.
        best: An allowed point, by name.
        free: The parameters to move.

    Returns:
        One entry for each parameter and side that something forbids.
    """
    names = [p.name for p in likelihood.parameters]
    start = np.array([best[n] for n in names])
    moves = [(k, end) for k, p in enumerate(likelihood.parameters) if p.name in free for end in (p.low, p.high) if math.isfinite(end)]
    found: list[Limit] = []
    if not moves:
        return ()
    trials = np.tile(start, (len(moves), 1))
    trials[np.arange(len(moves)), [k for k, _ in moves]] = [end for _, end in moves]
    for (k, end), trial, missing in zip(moves, trials, likelihood.shortfall(trials), strict=True):
        if missing == 0.0:
            continue
        share = _allowed_share(likelihood, start, trial)
        cause = likelihood.not_positive(start + _beyond(share) * (trial - start))
        where = "" if cause is None else cause.where
        found.append(Limit(names[k], "low" if end < start[k] else "high", float(start[k] + share * (end - start[k])), where))
    return tuple(found)


def infinite_where_forbidden(values: FloatArray) -> FloatArray:
    """Turn what the logarithm of an expectation that is not positive gives, NaN or an infinity, into +infinity.

    Examples:
        >>> infinite_where_forbidden(np.array([1.0, np.nan, -np.inf])).tolist()
        [1.0, inf, inf]
    """
    return np.where(np.isfinite(values), values, math.inf)


def _ends(p: Parameter, value: float) -> tuple[float, float]:
    return (max(p.low, value - REACH) if math.isinf(p.low) else p.low, min(p.high, value + REACH) if math.isinf(p.high) else p.high)


def _allowed_share(likelihood: Defined, allowed: FloatArray, forbidden: FloatArray) -> float:
    """Return the largest share of the way from an allowed to a forbidden point that is allowed, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if likelihood.shortfall((allowed + middle * (forbidden - allowed))[None, :])[0] == 0.0:
            low = middle
        else:
            high = middle
        if high - low < 1e-12:
            break
    return low


def _beyond(share: float) -> float:
    """Return a share that is forbidden if `share` is the last allowed one."""
    return min(1.0, share + 1e-9 + 1e-9 * share)
