"""Errors of a best fit of several parameters from the finite number of simulated events behind it, without refitting.

Data of events i with weights w_i move the likelihood when event i counts k_i times, k_i independent Poisson numbers of mean 1. Near a
minimum at theta, with scores s_i = d ln(density)/d theta and second derivatives H of -ln L, the minimum moves by H^-1 g with
g = sum w_i (k_i - 1) s_i, and its value of -2 ln L by

    - 2 sum_i w_i (k_i - 1) ln(density_i(theta)) - g^T H^-1 g

Both sums are Gaussian, and their covariance between all minima follows from the events. So the replicas of a bootstrap are drawn from
that Gaussian: each takes the minimum that is lowest in it, moved by its own shift. With one minimum this is the sandwich covariance; with
two, which interference makes, replicas jump between them as refits do. Data that fluctuate against a fixed model move the best fit as
much as a model that fluctuates against fixed data, so the training sample is treated like the data. Parameters that stand under a root are
moved along the root, in which densities are regular.

References:
    Huber, Proc. Fifth Berkeley Symp. (1967) 221 (the sandwich covariance).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.errors import SchemaError
from toolkit.likelihood import FitResult, Likelihood
from toolkit.likelihood.bootstrap import covering_error
from toolkit.model import Coefficients
from toolkit.typing import BoolArray, FloatArray

FLOOR = 1e-2
"""Smallest square root at which a derivative along the root is taken; errors at smaller ones are those there."""
DEEPEST = 25.0
"""Minima higher than this over the lowest are never the best fit of a replica."""
UNDETERMINED = 1e-10
"""Relative size below which a second derivative is that of a direction that the data do not determine, along which nothing moves."""
OPEN = 1e-6
"""Share of a parameter in the directions that the data do not determine from which its error is infinite."""
N_REPLICAS = 4000


@dataclass(frozen=True, eq=False)
class Sample:
    """Simulated events of one region with the densities that they are fitted with.

    Attributes:
        densities: Expected density of each process at the event, or expected events in its bin, (n_events, n_processes).
        weights: Weights of the events, (n_events,).
        coefficients: Of the processes.
    """

    densities: FloatArray
    weights: FloatArray
    coefficients: Coefficients

    @classmethod
    def of(cls, method: Method, weights: FloatArray, of_pool: bool) -> Sample:
        """Return the events of a method's region with the densities that they are fitted with.

        Raises:
            SchemaError: Neither a binned nor an unbinned method.
        """
        if isinstance(method, UnbinnedMethod):
            likelihood = method.pool if of_pool else method.base
            names = likelihood.parameter_names
            return cls(likelihood.densities, weights, Coefficients.parse(likelihood.coefficients.coefficients.texts, names))
        if isinstance(method, BinnedMethod):
            model = method.model
            if method.folds is None:
                rows = method.templates.values.T[method.pool_index if of_pool else method.index]
            else:
                rows = (method.folds.of_others if of_pool else method.folds.expected).T[method.place]
            return cls(rows, weights, Coefficients.parse(model.coefficients, tuple(p.name for p in model.used)))
        raise SchemaError(f"method {method.name}", got=type(method).__name__, expected="BinnedMethod or UnbinnedMethod")

    def log_density(self, point: Mapping[str, float]) -> FloatArray:
        """Return ln(density), (n_events,); a density that is not positive counts as the smallest that is."""
        own = self.coefficients.parameters
        total = self.densities @ self.coefficients.values(np.array([[point[name] for name in own]]))[0]
        return np.asarray(np.log(np.maximum(total, np.min(total[total > 0.0], initial=1.0))))

    def scores(self, point: Mapping[str, float], names: Sequence[str], scale: FloatArray) -> FloatArray:
        """Differentiate ln(density) along the regular coordinates of parameters `names`, (n_events, n_names)."""
        own = self.coefficients.parameters
        at = np.array([[point[name] for name in own]])
        f, derivatives = self.coefficients.values(at)[0], self.coefficients.jacobian(at)[0]
        total = self.densities @ f
        found = np.zeros((len(total), len(names)))
        for k, name in ((k, name) for k, name in enumerate(own) if name in names):
            found[:, names.index(name)] = self.densities @ derivatives[k] * scale[names.index(name)] / total
        return found


def simulation_errors(
    test: Sequence[Sample],
    pool: Sequence[Sample],
    *,
    fit: FitResult,
    bounds: Mapping[str, tuple[float, float]],
    roots: frozenset[str],
    foreign: Sequence[Likelihood] = (),
    held: Mapping[str, float] | None = None,
    crossed: bool = False,
    seed: int = 7,
) -> dict[str, SimulationError]:
    """Estimate the errors of the best fit from the finite numbers of test and of training events.

    Where two minima are nearly as good, the fluctuations of both together decide which is lower: the total is drawn, and not added up.

    Args:
        test: Test events of every region.
        pool: Training events of every region.
        fit: The fit, with all its minima.
        bounds: Allowed range of each parameter.
        roots: Parameters that stand under a root.
        foreign: Likelihoods of workspaces of others: they hold parameters, and do not fluctuate with the simulation.
        held: Values of parameters that the fit does not move.
        crossed: Whether test and training events are the same, as in a cross-fit: what an event adds as data it takes away as model.
        seed: Of the replicas.

    Returns:
        The errors by parameter: 68.27 % of the replicas lie within one of them, 95.45 % within two, those in another minimum among
        them. Infinite for a parameter of which the best fit leaves a direction open: two that enter as one product, or a signal strength
        whose yield is at its minimum.

    Examples:
        A counting experiment, mu = (n - 5) / 10 with ten events of weight 1: an error of sqrt(10) / 10.

        >>> counts = Sample(np.tile([10.0, 5.0], (10, 1)), np.ones(10), Coefficients.parse(("mu", "1"), ("mu",)))
        >>> fit = FitResult({"mu": 0.5}, {}, 0.0, "converged", "", (), 0.0, 1)
        >>> error = simulation_errors([counts], [counts], fit=fit, bounds={"mu": (0.0, 4.0)}, roots=frozenset())["mu"]
        >>> round(error.test, 1), round(error.total, 1)
        (0.3, 0.4)
    """
    held = held or {}
    names = list(dict.fromkeys(name for sample in test for name in sample.coefficients.parameters if name not in held))
    names += [n for term in foreign for n in term.parameter_names if n not in {*names, *held} and n in fit.parameters]
    low = min([fit.twice_nll, *(m.twice_nll for m in fit.minima)])
    points = [(m.parameters, m.twice_nll - low) for m in fit.minima if m.twice_nll - low < DEEPEST] or [(fit.parameters, 0.0)]
    basins = [_Basin.at({**held, **point}, height, names, test, roots=roots, foreign=foreign) for point, height in points]
    rng = np.random.default_rng(seed)
    best = np.array([{**held, **fit.parameters}[name] for name in names])
    if crossed:
        covariances = [_covariance(basins, test, names), _covariance(basins, test, names, less=pool)]
    else:
        sides = [_covariance(basins, samples, names) for samples in (test, pool)]
        covariances = [*sides, sides[0] + sides[1]]
    errors = []
    for covariance in covariances:
        errors.append(covering_error(_replicas(basins, covariance, names, bounds, rng), best))
        errors[-1][basins[0].open] = math.inf
    if crossed:
        errors = [np.full_like(errors[0], math.nan), errors[0], errors[0], errors[1]]
    return {name: SimulationError(*(float(e[k]) for e in errors)) for k, name in enumerate(names)}


@dataclass(frozen=True)
class SimulationError:
    """Errors of a best fit from the finite simulation.

    Attributes:
        test: From the test events; NaN where the training events are the same.
        pool: From the training events; NaN where the test events are the same.
        total: From all events; in a cross-fit that of a fit to other events, which is from the training events alone.
        crossed: Of the closure of a cross-fit, where every event is data and model; NaN if it is none.
    """

    test: float
    pool: float
    total: float
    crossed: float = math.nan


@dataclass(frozen=True, eq=False)
class _Basin:
    """One minimum: its point, its height over the lowest, the derivatives of the regular coordinates, and the inverse of H.

    `open` says which coordinates a direction of curvature zero moves, (n_names,).
    """

    point: Mapping[str, float]
    height: float
    scale: FloatArray
    inverse: FloatArray
    open: BoolArray
    roots: frozenset[str]

    @classmethod
    def at(
        cls,
        point: Mapping[str, float],
        height: float,
        names: Sequence[str],
        test: Sequence[Sample],
        *,
        roots: frozenset[str],
        foreign: Sequence[Likelihood],
    ) -> _Basin:
        """Evaluate the second derivatives of -ln L at a minimum."""
        moved = {n: max(v, FLOOR**2) if n in roots else v for n, v in point.items()}
        scale = np.array([2.0 * moved[n] ** 0.5 if n in roots else 1.0 for n in names])
        hessian = np.zeros((len(names), len(names)))
        for sample in test:
            scores = sample.scores(moved, names, scale)
            hessian += (scores * sample.weights[:, None]).T @ scores
        for term in foreign:
            hessian += _of_foreign(term, moved, names, scale)
        inverse = np.asarray(np.linalg.pinv(hessian, rcond=UNDETERMINED, hermitian=True))
        return cls(moved, height, scale, inverse, np.diag(inverse @ hessian) < 1.0 - OPEN, roots)

    def moved(self, shifts: FloatArray, names: Sequence[str]) -> FloatArray:
        """Return the point moved along the regular coordinates, (n_replicas, n_names)."""
        start = np.array([self.point[n] ** 0.5 if n in self.roots else self.point[n] for n in names])
        found = start + shifts
        for k, name in enumerate(names):
            if name in self.roots:
                found[:, k] = np.maximum(found[:, k], 0.0) ** 2
        return np.asarray(found)


def _covariance(
    basins: Sequence[_Basin], samples: Sequence[Sample], names: Sequence[str], *, less: Sequence[Sample] | None = None
) -> FloatArray:
    """Return the covariance of g and of the change of ln L of all minima, (n_minima * (n_names + 1),) squared.

    `less` are the same events with the densities by which they act on those of the others: what is left is the difference.
    """
    width = len(names) + 1
    covariance = np.zeros((len(basins) * width, len(basins) * width))
    for k, sample in enumerate(samples):
        rows = _rows(basins, sample, names)
        if less is not None:
            rows = rows - _rows(basins, less[k], names)
        covariance += rows.T @ rows
    return covariance


def _rows(basins: Sequence[_Basin], sample: Sample, names: Sequence[str]) -> FloatArray:
    """Return what every event adds to g and to the change of ln L of all minima, (n_events, n_minima * (n_names + 1))."""
    columns = []
    base = sample.log_density(basins[0].point)
    for basin in basins:
        columns += [sample.scores(basin.point, names, basin.scale), (sample.log_density(basin.point) - base)[:, None]]
    return np.asarray(np.concatenate(columns, axis=1) * sample.weights[:, None])


def _replicas(
    basins: Sequence[_Basin],
    covariance: FloatArray,
    names: Sequence[str],
    bounds: Mapping[str, tuple[float, float]],
    rng: np.random.Generator,
) -> FloatArray:
    """Draw best fits of data that fluctuate, (N_REPLICAS, n_names)."""
    width = len(names) + 1
    drawn = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=N_REPLICAS, method="eigh", check_valid="ignore")
    heights, found = [], []
    for k, basin in enumerate(basins):
        g, change = drawn[:, k * width : (k + 1) * width - 1], drawn[:, (k + 1) * width - 1]
        shifts = g @ basin.inverse
        heights.append(basin.height - 2.0 * change - np.sum(g * shifts, axis=1))
        found.append(basin.moved(shifts, names))
    chosen = np.stack(found)[np.argmin(heights, axis=0), np.arange(N_REPLICAS)]
    low, high = (np.array([bounds.get(n, (-np.inf, np.inf))[end] for n in names]) for end in (0, 1))
    return np.asarray(np.clip(chosen, low, high))


def _of_foreign(term: Likelihood, point: Mapping[str, float], names: Sequence[str], scale: FloatArray) -> FloatArray:
    """Return the second derivatives of -ln L of a workspace, by differences of its gradient."""
    out = np.zeros((len(names), len(names)))
    at = term.point({n: v for n, v in point.items() if n in term.parameter_names})
    shared = [(k, names.index(n)) for k, n in enumerate(term.parameter_names) if n in names]
    for k, column in shared:
        step = 1e-4 * max(abs(at[k]), 1.0)
        ends = [at.copy(), at.copy()]
        ends[0][k] += step
        ends[1][k] -= step
        change = (term.gradient_at(ends[0]) - term.gradient_at(ends[1])) / (4.0 * step)
        for row, other in shared:
            out[other, column] = change[row] * scale[other] * scale[column]
    return np.asarray(0.5 * (out + out.T))
