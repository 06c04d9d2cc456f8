"""Choose the point theta_0 of estimators that are the best at one point, such as SALLY and boosted information trees.

The score at theta_0 tells neighbouring hypotheses apart as well as the full likelihood; far from theta_0 it loses. The best theta_0
gives the smallest expected 95 % region, measured by its volume for an Asimov set of the truth. Each
volume needs a training and a fit, so few evaluations must do: a Gaussian process that interpolates them says where to try next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from toolkit.errors import FitError, MissingExtraError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray


@dataclass(frozen=True, eq=False)
class ReferencePoint:
    """Outcome of `optimise_reference`.

    Attributes:
        theta_0: The point with the smallest volume among those that were tried.
        volume: Its volume.
        points: All points that were tried, in order.
        volumes: Their volumes, shape (n,).
    """

    theta_0: Mapping[str, float]
    volume: float
    points: Sequence[Mapping[str, float]]
    volumes: FloatArray

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        tried = [{"theta_0": dict(p), "volume": float(v)} for p, v in zip(self.points, self.volumes, strict=True)]
        return {"theta_0": dict(self.theta_0), "volume": self.volume, "evaluations": tried}


def expected_volume(t: FloatArray, axes: Sequence[FloatArray], *, level: float = 0.95, inside: bool = False) -> float:
    """Compute the volume of the region in which -2 Delta lnL is below the quantile of chi^2.

    Args:
        t: -2 Delta lnL of an Asimov set on a grid of all parameters, shape (n_1, n_2, ...).
        axes: Values of each parameter, increasing, one array per dimension of `t`.
        level: Confidence level; the quantile has as many degrees of freedom as there are parameters.
        inside: Whether a region that reaches the edge of the grid counts with its part inside; otherwise it is an error.

    Returns:
        The volume in units of the parameters: the length of the intervals of one parameter, the area of the contours of two.

    Raises:
        ShapeError: The axes do not fit the grid.
        PhysicsDomainError: Values that are not finite, or a region that reaches the edge of the grid, so that its volume is unknown.

    Notes:
        Along the last parameter edges are interpolated linearly, across the others lengths are integrated by the trapezoidal rule, so
        that the volume changes smoothly with `t`.

    Examples:
        A parabola with an error of 0.5 has a 95 % interval of 2 * 1.96 * 0.5:

        >>> theta = np.linspace(-2, 2, 2001)
        >>> round(expected_volume((theta / 0.5) ** 2, [theta]), 3)
        1.96
    """
    values = np.asarray(t, dtype=np.float64)
    shape = tuple(len(axis) for axis in axes)
    if values.shape != shape or min(shape, default=0) < 2:
        raise ShapeError(what="t", got=f"shape {values.shape}", expected=f"{shape}, at least two values of every parameter")
    over = values - chi2.ppf(level, len(shape))
    if not np.all(np.isfinite(over)):
        raise PhysicsDomainError(what="t", got="values that are not finite", expected="numbers", remedy="choose a grid inside the domain")
    for k in range(0 if inside else over.ndim):
        if np.any(np.take(over, [0, -1], axis=k) < 0.0):
            remedy = "widen the range of the parameter"
            raise PhysicsDomainError(f"region of parameter {k}", got="the edge of the grid", expected="a region inside", remedy=remedy)
    low, high = over[..., :-1], over[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where((low < 0.0) == (high < 0.0), (low < 0.0).astype(float), np.maximum(-low, -high) / np.abs(high - low))
    lengths = shares @ np.diff(axes[-1])
    for axis in reversed(axes[:-1]):
        lengths = np.trapezoid(lengths, axis, axis=-1)
    return float(lengths)


def optimise_reference(
    volume: Callable[[Mapping[str, float]], float],
    ranges: Mapping[str, tuple[float, float]],
    *,
    start: Sequence[Mapping[str, float]] = (),
    n_initial: int = 5,
    n_steps: int = 15,
    seed: int = 0,
) -> ReferencePoint:
    """Search the reference point theta_0 with the smallest expected volume by Bayesian optimisation.

    Args:
        volume: Trains and fits an estimator with this theta_0 and returns the volume, see `expected_volume`; positive.
        ranges: Lowest and highest value of each component of theta_0.
        start: Points to try first, such as the truth.
        n_initial: Random points before the Gaussian process chooses.
        n_steps: Points that the Gaussian process chooses, at most: it stops when it would repeat one.
        seed: Of the random points and of the process.

    Returns:
        The best of the points that were tried, and all of them.

    Raises:
        MissingExtraError: bayesian-optimization is not installed.
        SchemaError: No parameter, an empty range, or no point to try.
        FitError: A volume is not a positive number.

    Notes:
        The process models -ln(volume). Volumes of trained estimators fluctuate by what training and simulation do: differences below
        that say nothing, and the same seed of the training for all points keeps them small.

    References:
        Chatterjee et al., arXiv:2205.12976 (boosted information trees and theta_0).
    """
    wrong = {name: span for name, span in ranges.items() if not -math.inf < span[0] < span[1] < math.inf}
    if wrong or not ranges:
        raise SchemaError("ranges", got=wrong or "none", expected="lowest < highest value of each parameter")
    if n_initial < 1 or n_steps < 0:
        raise SchemaError("n_initial, n_steps", got=(n_initial, n_steps), expected="at least 1 initial point and 0 steps")
    try:
        from bayes_opt import BayesianOptimization  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            "optimise_reference",
            got="bayesian-optimization is not installed",
            expected="the extra `reference`",
            remedy="pip install 'h4l-toolkit[reference]'",
        ) from error

    points: list[dict[str, float]] = []
    volumes: list[float] = []

    search = BayesianOptimization(f=None, pbounds=dict(ranges), random_state=seed, verbose=0)
    rng = np.random.default_rng(seed)
    first = [*start, *({name: rng.uniform(*span) for name, span in ranges.items()} for _ in range(n_initial))]
    for step in range(len(first) + n_steps):
        at = first[step] if step < len(first) else search.suggest()
        point = {name: float(at[name]) for name in ranges}
        if point in points:  # nothing better is expected elsewhere
            break
        found = float(volume(point))
        if not (found > 0.0 and math.isfinite(found)):
            raise FitError(f"volume at theta_0 = {point}", got=found, expected="a positive number", remedy="see `expected_volume`")
        points.append(point)
        volumes.append(found)
        search.register(params=point, target=-math.log(found))
    best = int(np.argmin(volumes))
    return ReferencePoint(points[best], volumes[best], points, np.array(volumes))
