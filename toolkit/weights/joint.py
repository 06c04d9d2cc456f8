"""Joint likelihood ratio and joint score of simulated events at many parameter points: the training targets of physics.

    r(z | theta_0, theta_1) = w(theta_0) / w(theta_1) * sigma(theta_1) / sigma(theta_0)
    t_p(z | theta) = d/d theta_p log p(z | theta) = grad_p w / w - grad_p sigma / sigma

Their means at fixed observables are the ratio and the score of the observables (Brehmer et al., arXiv:1805.00020, eq. 9, 14), which
is why networks may regress on them. When to use what: all events at every point (`paired=False`) for curves and tables, one point
per event (`paired=True`) for training a network that is a function of theta.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.weights.morphing import Morphing

Nonpositive = Literal["raise", "nan"]


def joint_ratio(
    morphing: Morphing,
    w: ArrayLike,
    *,
    numerators: ArrayLike,
    denominators: ArrayLike,
    yields: ArrayLike | None = None,
    paired: bool = False,
    nonpositive: Nonpositive = "raise",
) -> NDArray[np.float64]:
    """Compute r(z | theta_0, theta_1) of every event, theta_0 (numerator) over theta_1 (denominator).

    Args:
        morphing: The parameterisation.
        w: Weights of the events under the benchmarks, shape (n_events, n_benchmarks).
        numerators: theta_0, shape (m, n_parameters), or (m,) for one parameter.
        denominators: theta_1, shape (m, n_parameters), or (1, n_parameters) for one point for all.
        yields: Total yield of each benchmark, shape (n_benchmarks,); by default the sum of w.
        paired: Whether point i belongs to event i only.
        nonpositive: What to do where w(theta_1) <= 0: refuse, naming the event, or return NaN.

    Returns:
        The ratio, shape (n_events, m), or (n_events,) with `paired`. Negative where w(theta_0) < 0.

    Raises:
        PhysicsDomainError: A denominator is not positive (unless `nan`), or a total yield is not.
        ShapeError: Shapes do not fit.

    Notes:
        Its mean over events weighted by w(theta_1) is 1 (exactly, with the default yields).

    Examples:
        Between mu = 0 and mu = 1 of w = w_B + mu w_S; its mean over events weighted by w(theta_1) is 1:

        >>> line = Morphing(monomials=["1", "mu"], benchmarks={"B": 0.0, "S+B": 1.0})
        >>> w = np.array([[1.0, 1.0], [1.0, 3.0]])
        >>> r = joint_ratio(line, w, numerators=[1.0], denominators=[0.0])
        >>> r[:, 0], float(np.average(r[:, 0], weights=w[:, 0]))
        (array([0.5, 1.5]), 1.0)
    """
    events = morphing.event_weights(w)
    total = _totals(morphing, events, yields)
    top, below = morphing.coefficients_at(numerators), morphing.coefficients_at(denominators)
    if len(below) not in {1, len(top)}:
        raise ShapeError(what="denominators", got=f"{len(below)} points", expected=f"1 or {len(top)}, as many as numerators")
    below = np.broadcast_to(below, top.shape)
    density = _positive(_contract(events, below, paired=paired), denominators, nonpositive)
    sigma = _positive_totals(below @ total, denominators) / _positive_totals(top @ total, numerators)
    ratio: NDArray[np.float64] = _contract(events, top, paired=paired) / density * sigma
    return ratio


def joint_score(
    morphing: Morphing,
    w: ArrayLike,
    thetas: ArrayLike,
    *,
    yields: ArrayLike | None = None,
    paired: bool = False,
    nonpositive: Nonpositive = "raise",
) -> NDArray[np.float64]:
    """Compute the joint score of every event at many points; see `Morphing.score` for one point.

    Args:
        morphing: The parameterisation.
        w: Weights of the events under the benchmarks, shape (n_events, n_benchmarks).
        thetas: Points, shape (m, n_parameters), or (m,) for one parameter.
        yields: Total yield of each benchmark, shape (n_benchmarks,); by default the sum of w.
        paired: Whether point i belongs to event i only.
        nonpositive: What to do where w(theta) <= 0: refuse, naming the event, or return NaN.

    Returns:
        The score, shape (n_events, m, n_parameters), or (n_events, n_parameters) with `paired`.

    Raises:
        PhysicsDomainError: A density is not positive (unless `nan`), or theta is where a derivative is infinite.
        ShapeError: Shapes do not fit.

    Examples:
        With w = 1 + c w_1 and sigma = 2 + 2 c at these two events, the score at c = 0 is w_1 - 1:

        >>> line = Morphing(monomials=["1", "c"], benchmarks={"0": 0.0, "1": 1.0})
        >>> joint_score(line, [[1.0, 1.0], [1.0, 3.0]], [0.0])[:, 0, 0]
        array([-1.,  1.])
    """
    events = morphing.event_weights(w)
    total = _totals(morphing, events, yields)
    f, gradient = morphing.coefficients_at(thetas), morphing.gradient_at(thetas)
    density = _positive(_contract(events, f, paired=paired), thetas, nonpositive)
    slope = np.einsum("ib,ipb->ip" if paired else "ib,mpb->imp", events, gradient)
    drift = gradient @ total / _positive_totals(f @ total, thetas)[:, None]
    score: NDArray[np.float64] = slope / density[..., None] - drift
    return score


def _contract(events: NDArray[np.float64], f: NDArray[np.float64], *, paired: bool) -> NDArray[np.float64]:
    if paired and len(f) != len(events):
        raise ShapeError(what="thetas", got=f"{len(f)} points", expected=f"{len(events)}, one per event")
    contracted: NDArray[np.float64] = np.einsum("ib,ib->i", events, f) if paired else events @ f.T
    return contracted


def _totals(morphing: Morphing, events: NDArray[np.float64], yields: ArrayLike | None) -> NDArray[np.float64]:
    total = events.sum(axis=0) if yields is None else np.asarray(yields, dtype=np.float64)
    if total.shape != (len(morphing.benchmark_names),):
        raise ShapeError(what="yields", got=f"shape {total.shape}", expected=f"one per benchmark {morphing.benchmark_names}")
    return total


def _positive(density: NDArray[np.float64], thetas: ArrayLike, nonpositive: Nonpositive) -> NDArray[np.float64]:
    """Return the density with NaN where it is not positive, or refuse."""
    bad = ~(density > 0)
    if np.any(bad) and nonpositive == "raise":
        where = np.argwhere(bad)[0]
        points = np.atleast_1d(np.asarray(thetas, dtype=np.float64))
        theta = points[where[-1] % len(points)]
        raise PhysicsDomainError(
            what=f"density of event {where[0]} at theta = {theta}",
            got=f"{density[tuple(where)]:g} ({int(bad.sum())} of {bad.size} densities are not positive)",
            expected="a positive weight",
            remedy="drop these events, or pass nonpositive='nan' to mark them",
        )
    return np.where(bad, np.nan, density)


def _positive_totals(totals: NDArray[np.float64], thetas: ArrayLike) -> NDArray[np.float64]:
    bad = ~(totals > 0)
    if np.any(bad):
        i = int(np.argmax(bad))
        points = np.atleast_1d(np.asarray(thetas, dtype=np.float64))
        raise PhysicsDomainError(what="total yield", got=f"{totals[i]:g} at theta = {points[i % len(points)]}", expected="a positive yield")
    return totals
