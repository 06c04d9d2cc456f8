"""Error of a best fit from the finite number of simulated events behind it, by a Poisson bootstrap.

Each replica multiplies the weight of every event by an independent Poisson(1) number and is fitted again. The likelihood is
linear in the event weights, so all replicas are one matrix product: ln(density) at Chebyshev nodes of the parameter,
(n_nodes, n_events), times the replicas' weights, in blocks of bounded memory; the sums are interpolated between the nodes.
The numbers depend on the seed and on the order of the events only: two methods with the same seed on the same events see the
same replicas, and their difference has a meaning. The model (yields, ratios, templates) stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from toolkit.errors import FitError, PhysicsDomainError, ShapeError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.mixture import Complain, for_each_block
from toolkit.likelihood.multiplicities import Draws, poisson_draws
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray, IntArray

FINE_POINTS = 1001
"""Points on which the interpolated curves are searched."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Best fits of bootstrap replicas.

    Attributes:
        replicas: Best fit of each replica, (n_replicas,).
        seed: Seed of the replicas.
        n_at_boundary: Replicas whose best fit is on the edge of the allowed range.

    Examples:
        >>> found = Bootstrap(replicas=np.array([0.8, 1.0, 1.2]), seed=1, n_at_boundary=0)
        >>> round(found.standard_error, 9), round(found.error(1.0), 3)
        (0.2, 0.2)
    """

    replicas: FloatArray
    seed: int
    n_at_boundary: int

    @property
    def standard_error(self) -> float:
        """Standard deviation of the replicas: the finite-simulation error of the best fit."""
        return float(np.std(self.replicas, ddof=1))

    def error(self, best_fit: float) -> float:
        """Return the error to quote of a best fit: `covering_error`, or `standard_error` where nearly all replicas are the best fit.

        They are where it sits on the edge of the range. At mu = 0 the standard deviation is that of the few that do not.
        """
        return float(covering_error(self.replicas, best_fit)) or self.standard_error


def covering_error(replicas: FloatArray, best_fit: ArrayLike) -> FloatArray:
    """Compute the smallest e so that 68.27 % of the replicas lie within e of a best fit, and 95.45 % within 2 e.

    For one minimum that is the standard deviation, without what a few replicas far away do to it. Where some replicas fall into another
    minimum, two errors reach that one; half the width of a central interval says nothing of it until a sixth of them do.

    Args:
        replicas: Best fits of the replicas, (n_replicas, ...).
        best_fit: Best fits, (...).

    Returns:
        Errors, (...).

    Examples:
        A tenth of the replicas in a second minimum, 2 away:

        >>> replicas = np.array([0.8, 0.9, 0.9, 1.0, 1.0, 1.0, 1.1, 1.1, 1.2, 3.0])
        >>> round(float(covering_error(replicas, 1.0)), 1)
        0.6
    """
    away = np.abs(replicas - np.asarray(best_fit))
    return np.asarray(np.maximum(np.quantile(away, 0.682689492, axis=0), 0.5 * np.quantile(away, 0.954499736, axis=0)))


def bootstrap_unbinned(
    likelihood: UnbinnedLikelihood, *, replicas: int = 200, seed: int, nodes: int = 64, draws: Draws = poisson_draws
) -> Bootstrap:
    """Bootstrap the events of an unbinned likelihood.

    Args:
        likelihood: One parameter; its weights are those of the Asimov set.
        replicas: Number of replicas; the relative error of the standard error is 1 / sqrt(2 replicas).
        seed: Seed.
        nodes: Chebyshev nodes over the allowed range at which the likelihood is evaluated.
        draws: Gives the Poisson numbers; a `KeptDraws` for several bootstraps of the same events draws them once.

    Returns:
        The replicas.

    Raises:
        FitError: More than one free parameter, or an infinite range.

    Examples:
        A counting experiment, mu_hat = (n - 5) / 10 with n = 10 Poisson-fluctuated events: an error of sqrt(10) / 10:

        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((10, 2)), weights=np.ones(10), yields=[10.0, 5.0],
        ...     coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (-0.4, 4.0)})
        >>> bool(abs(bootstrap_unbinned(likelihood, replicas=400, seed=1).standard_error / (0.1 * 10**0.5) - 1.0) < 0.1)
        True
    """
    grid = _grid(likelihood, nodes, replicas)
    f = likelihood.coefficients.values(grid.points)
    sums = np.zeros((len(f), replicas))
    complain = likelihood.complain_at(grid.points)
    for rows, draw in draws(len(likelihood.weights), replicas, seed):
        logs = _log_densities(likelihood.densities[rows], f, _shifted(complain, rows.start))
        sums += (logs * likelihood.weights[rows, None]).T @ draw
    curves = 2.0 * ((f @ likelihood.yields)[:, None] - sums)
    return _summarise(grid, curves, seed)


def bootstrap_parameterised(
    likelihood: ParameterisedLikelihood, *, replicas: int = 200, seed: int, nodes: int = 64, draws: Draws = poisson_draws
) -> Bootstrap:
    """Bootstrap the events of a likelihood whose network reads theta; arguments, and the same Poisson numbers, as of `bootstrap_unbinned`.

    Examples:
        99 events of a unit Gaussian around theta: the error of their mean is their standard deviation over the root of 99.

        >>> from toolkit.likelihood.theta_series import ThetaAxis, ThetaSeries
        >>> x = np.linspace(-1.0, 1.0, 99)
        >>> series = ThetaSeries.of(lambda theta: theta[0] * x - 0.5 * theta[0] ** 2, [ThetaAxis("shift", -2.0, 2.0)])
        >>> likelihood = ParameterisedLikelihood(log_ratios=series, weights=np.ones(99), yields=[99.0], coefficients=("1",),
        ...     parameters=("shift",), bounds={"shift": (-2.0, 2.0)})
        >>> bool(abs(bootstrap_parameterised(likelihood, replicas=400, seed=1).standard_error / (x.std() / 99**0.5) - 1.0) < 0.1)
        True
    """
    grid = _grid(likelihood, nodes, replicas)
    nu = likelihood.expected(grid.points)
    if not np.all(nu > 0.0):
        what = "total yield at a node of the bootstrap"
        raise PhysicsDomainError(what, got=float(nu.min()), expected="> 0", remedy="restrict the range of the parameter")
    sums = np.zeros((len(nu), replicas))
    for rows, draw in draws(len(likelihood.weights), replicas, seed):
        logs = likelihood.log_density(grid.points, rows=rows) + np.log(nu)
        sums += (logs * likelihood.weights[rows, None]).T @ draw
    return _summarise(grid, 2.0 * (nu[:, None] - sums), seed)


def bootstrap_binned(
    likelihood: BinnedLikelihood,
    *,
    bin_index: ArrayLike,
    weights: ArrayLike,
    replicas: int = 200,
    seed: int,
    nodes: int = 64,
    draws: Draws = poisson_draws,
) -> Bootstrap:
    """Bootstrap the events that fill the data of a binned likelihood.

    Args:
        likelihood: One parameter.
        bin_index: Bin of each event, (n_events,), -1 for events outside all bins; see `toolkit.likelihood.bin_index`.
        weights: Weights of the Asimov set, (n_events,).
        replicas: Number of replicas.
        seed: Seed; the same events in the same order get the same Poisson numbers as in `bootstrap_unbinned`.
        nodes: Chebyshev nodes over the allowed range at which the likelihood is evaluated.
        draws: Gives the Poisson numbers; a `KeptDraws` for several bootstraps of the same events draws them once.

    Returns:
        The replicas.

    Raises:
        FitError: More than one free parameter, or an infinite range.
        ShapeError: Arrays do not belong together, or a bin number is too large.

    Examples:
        >>> likelihood = BinnedLikelihood(templates=[[10.0], [5.0]], data=[10.0], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (-0.4, 4.0)})
        >>> found = bootstrap_binned(likelihood, bin_index=np.zeros(10, dtype=int), weights=np.ones(10), replicas=400, seed=1)
        >>> bool(abs(found.standard_error / (0.1 * 10**0.5) - 1.0) < 0.1)
        True
    """
    grid = _grid(likelihood, nodes, replicas)
    index, w = np.asarray(bin_index, dtype=np.int64), np.asarray(weights, dtype=np.float64)
    n_bins = len(likelihood.data)
    if index.ndim != 1 or w.shape != index.shape or (len(index) and not -1 <= index.min() <= index.max() < n_bins):
        what = "bin numbers and weights"
        raise ShapeError(what, got=f"{index.shape} and {w.shape}", expected=f"(n_events,) twice, bin numbers from -1 to {n_bins - 1}")
    counts = np.zeros((n_bins + 1, replicas))
    for rows, draw in draws(len(w), replicas, seed):
        _scatter(counts, index[rows], draw * w[rows, None])
    expected = likelihood.expected_points(grid.points)
    filled = np.any(likelihood.templates != 0.0, axis=0)
    curves = 2.0 * (expected.sum(axis=1)[:, None] - np.log(expected[:, filled]) @ counts[:-1][filled])
    return _summarise(grid, curves, seed)


def bootstrap_crossed(
    likelihood: Likelihood,
    densities: tuple[FloatArray, FloatArray],
    *,
    weights: FloatArray,
    coefficients: Coefficients,
    index: IntArray | None = None,
    replicas: int = 200,
    seed: int,
    nodes: int = 64,
    draws: Draws = poisson_draws,
) -> Bootstrap:
    """Bootstrap events that are data and model at once, as in a cross-fit.

    An event that happens n times in place of once adds -2 (n - 1) w [ ln d(x) - ln m(x) ] to the likelihood: d is the density that it is
    fitted with, m the one by which it acts on the densities of the others (see `toolkit.analysis.cross_fit`).

    Args:
        likelihood: One parameter; the likelihood of all events.
        densities: (d, m) of every process at every event, (n_events, n_processes) each, or in every bin, (n_bins, n_processes).
        weights: Weights of the Asimov set, (n_events,).
        coefficients: Of the processes.
        index: Bin of each event, (n_events,), where the densities are those of bins.
        replicas: Number of replicas.
        seed: Seed; the same events in the same order get the same Poisson numbers as in `bootstrap_unbinned`.
        nodes: Chebyshev nodes over the allowed range at which the likelihood is evaluated.
        draws: Gives the Poisson numbers; a `KeptDraws` for several bootstraps of the same events draws them once.

    Returns:
        The replicas.

    Raises:
        FitError: More than one free parameter, or an infinite range.

    Examples:
        Where an event is as likely among the others as it is as data, its fluctuation cancels:

        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((10, 2)), weights=np.ones(10), yields=[10.0, 5.0],
        ...     coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (-0.4, 4.0)})
        >>> d, coefficients = likelihood.densities, likelihood.coefficients.coefficients
        >>> bootstrap_crossed(likelihood, (d, d), weights=np.ones(10), coefficients=coefficients, seed=1).standard_error < 1e-6
        True
    """
    grid = _grid(likelihood, nodes, replicas)
    f = coefficients.values(grid.points)
    change = np.zeros((len(f), replicas))
    counts = np.zeros((len(densities[0]) + 1, replicas)) if index is not None else None
    for rows, draw in draws(len(weights), replicas, seed):
        weighted = (draw - 1.0) * weights[rows, None]
        if counts is not None and index is not None:
            _scatter(counts, index[rows], weighted)
        else:
            change += _log_quotient(densities, f, rows).T @ weighted
    if counts is not None:
        change = _log_quotient(densities, f, slice(None)).T @ counts[:-1]
    base = likelihood.twice_nll_points(grid.points)
    return _summarise(grid, base[:, None] - 2.0 * change, seed)


def _log_quotient(densities: tuple[FloatArray, FloatArray], f: FloatArray, rows: slice) -> FloatArray:
    """Return ln d - ln m at every point, (n_rows, n_points); 0 where either is not positive."""
    own, others = (d[rows] @ f.T for d in densities)
    good = (own > 0.0) & (others > 0.0)
    return np.asarray(np.log(np.divide(own, others, out=np.ones_like(own), where=good)))


@dataclass(frozen=True)
class _Grid:
    """Chebyshev nodes in the coordinate in which the likelihood is smooth (0 to 1 over the range)."""

    parameter: Parameter
    root: bool
    fractions: FloatArray

    @property
    def points(self) -> FloatArray:
        return self.to_external(self.fractions)[:, None]

    def to_external(self, fractions: FloatArray) -> FloatArray:
        span = self.parameter.high - self.parameter.low
        return np.asarray(self.parameter.low + span * (fractions**2 if self.root else fractions))


def _grid(likelihood: Likelihood, nodes: int, replicas: int) -> _Grid:
    parameters = likelihood.parameters
    if len(parameters) != 1 or parameters[0].fixed or not np.isfinite(parameters[0].high - parameters[0].low):
        what = "bootstrap"
        raise FitError(what, got=f"parameters {list(likelihood.parameter_names)}", expected="one free parameter with a finite range")
    if replicas < 2 or nodes < 3:
        what = "bootstrap"
        raise FitError(what, got=f"{replicas} replicas, {nodes} nodes", expected="at least 2 replicas and 3 nodes")
    return _Grid(parameter=parameters[0], root=parameters[0].name in likelihood.diverging, fractions=0.5 + 0.5 * chebyshev.chebpts1(nodes))


def _log_densities(densities: FloatArray, f: FloatArray, complain: Complain) -> FloatArray:
    out = np.empty((len(densities), len(f)))

    def keep(rows: slice, points: slice, log_density: FloatArray) -> None:
        out[rows, points] = log_density

    for_each_block(densities, f, complain, keep)
    return out


def _shifted(complain: Complain, start: int) -> Complain:
    return lambda row, point, density: complain(start + row, point, density)


def _scatter(counts: FloatArray, index: IntArray, weighted: FloatArray) -> None:
    """Add the rows of `weighted` to their bins; index -1 is the row behind the last bin."""
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=index[order[:1]] - 1))
    counts[index[order][starts]] += np.add.reduceat(weighted[order], starts, axis=0)


def _summarise(grid: _Grid, curves: FloatArray, seed: int) -> Bootstrap:
    """Interpolate curves (n_nodes, n_replicas) and find their minima."""
    nodes = 2.0 * grid.fractions - 1.0
    fine = np.linspace(0.0, 1.0, FINE_POINTS)
    series = np.linalg.solve(chebyshev.chebvander(nodes, len(nodes) - 1), curves - curves.mean(axis=0))
    best = lowest_points(fine, np.asarray(chebyshev.chebvander(2.0 * fine - 1.0, len(nodes) - 1) @ series, dtype=np.float64))
    return Bootstrap(replicas=grid.to_external(best), seed=seed, n_at_boundary=int(np.sum((best <= 0.0) | (best >= 1.0))))


def lowest_points(x: FloatArray, curves: FloatArray) -> FloatArray:
    """Find the minimum of each curve by a parabola through its lowest point and the two neighbours.

    Args:
        x: Equidistant abscissae, (n_grid,).
        curves: Heights, (n_grid, n_curves).

    Returns:
        Abscissae of the minima, (n_curves,); an edge if the parabola falls towards it.

    Examples:
        >>> x = np.linspace(0.0, 1.0, 11)
        >>> lowest_points(x, ((x - 0.43) ** 2)[:, None]).round(9).tolist()
        [0.43]
    """
    k = np.argmin(curves, axis=0)
    inner = np.clip(k, 1, len(x) - 2)
    columns = np.arange(curves.shape[1])
    left, mid, right = (curves[inner + d, columns] for d in (-1, 0, 1))
    bend = left - 2.0 * mid + right
    shift = np.where(bend > 0.0, 0.5 * (left - right) / np.where(bend > 0.0, bend, 1.0), 0.0)
    step = x[1] - x[0]
    vertex = x[inner] + np.clip(shift, -1.0, 1.0) * step
    return np.asarray(np.where(bend > 0.0, vertex, x[k]))
