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
from collections.abc import Iterator, Mapping, Sequence
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
    def of(cls, method: Method, weights: FloatArray, of_training: bool) -> Sample:
        """Return the events of a method's region with the densities that they are fitted with.

        Raises:
            SchemaError: Neither a binned nor an unbinned method.
        """
        if isinstance(method, UnbinnedMethod):
            likelihood = method.training if of_training else method.base
            names = likelihood.parameter_names
            return cls(likelihood.densities, weights, Coefficients.parse(likelihood.coefficients.coefficients.texts, names))
        if isinstance(method, BinnedMethod):
            model = method.model
            if method.folds is None:
                rows = method.templates.values.T[method.training_index if of_training else method.index]
            else:
                rows = (method.folds.of_others if of_training else method.folds.expected).T[method.place]
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
    training: Sequence[Sample],
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
        training: Training events of every region.
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
    names = _moving(test, foreign, fit, held)
    low = min([fit.twice_nll, *(m.twice_nll for m in fit.minima)])
    points = [(m.parameters, m.twice_nll - low) for m in fit.minima if m.twice_nll - low < DEEPEST] or [(fit.parameters, 0.0)]
    basins = [_Basin.at({**held, **point}, height, names, test, roots=roots, foreign=foreign) for point, height in points]
    rng = np.random.default_rng(seed)
    best = np.array([{**held, **fit.parameters}[name] for name in names])
    if crossed:
        covariances = [_covariance(basins, test, names), _covariance(basins, test, names, less=training)]
    else:
        sides = [_covariance(basins, samples, names) for samples in (test, training)]
        covariances = [*sides, sides[0] + sides[1]]
    errors = []
    for covariance in covariances:
        errors.append(covering_error(_replicas(basins, covariance, names, bounds, rng), best))
        errors[-1][basins[0].open] = math.inf
    if crossed:
        errors = [np.full_like(errors[0], math.nan), errors[0], errors[0], errors[1]]
    return {name: SimulationError(*(float(e[k]) for e in errors)) for k, name in enumerate(names)}


def truth_probability(
    test: Sequence[Sample],
    training: Sequence[Sample],
    *,
    fit: FitResult,
    truth: Mapping[str, float],
    twice_delta_nll: float,
    roots: frozenset[str],
    foreign: Sequence[Likelihood] = (),
    held: Mapping[str, float] | None = None,
    crossed: bool = False,
    seed: int = 7,
) -> float:
    """Compute how often -2 Delta lnL of the truth against the best fit is as large as found, if nothing but the simulation moves the fit.

    That is the closure test of all parameters together. Along a flat valley, or between two minima, the best fit jumps far while the
    likelihood hardly changes; this number does not depend on where it lands.

    Args:
        test: Test events of every region, weighted for the truth.
        training: Training events of every region.
        fit: The fit, with all its minima.
        truth: All parameters.
        twice_delta_nll: -2 Delta lnL between the truth and the best fit.
        roots: Parameters that stand under a root.
        foreign: Likelihoods of workspaces of others, with the expectation at the truth as their data.
        held: Values of parameters that the fit does not move.
        crossed: Whether test and training events are the same, as in a cross-fit: the fluctuation is then that of a fit to other events.
        seed: Of the replicas.

    Returns:
        The probability, at least that of one replica. Where the truth is at the end of a range it is an upper bound.

    Notes:
        A right model expects -2 lnL at a point to lie above that at the truth by 2 sum_i w_i (r_i - 1 - ln r_i), r_i the density of the
        event there over that at the truth: a sum of terms that are not negative. Replicas move these heights and the slopes by their
        Gaussian covariance; each takes the lowest of the truth and of all minima, with the step that its slope asks for.

    Examples:
        A counting experiment of ten events of weight 1 where 11 are true: z = 1 / sqrt(10) / sqrt(2), the model as uncertain as the data.

        >>> counts = Sample(np.tile([10.0, 5.0], (10, 1)), np.full(10, 1.1), Coefficients.parse(("mu", "1"), ("mu",)))
        >>> fit = FitResult({"mu": 0.6}, {}, 0.0, "converged", "", (), 0.0, 1)
        >>> one = truth_probability([counts], [counts], fit=fit, truth={"mu": 0.6}, twice_delta_nll=2.2, roots=frozenset())
        >>> bool(abs(one - 0.317) < 0.02)  # -2 Delta lnL is 2 * 1.1 times chi-square of one degree of freedom
        True
    """
    held = held or {}
    names = _moving(test, foreign, fit, held)
    points = [truth, *(m.parameters for m in fit.minima)] if fit.minima else [truth, fit.parameters]
    places = [{**held, **point} for point in points]
    basins = [_Basin.at(place, 0.0, names, test, roots=roots, foreign=foreign) for place in places]
    expected = [_expected(basin, basins[0], names, test, foreign=foreign) for basin in basins]
    covariance = _covariance(basins, test, names)
    if not crossed:
        covariance = covariance + _covariance(basins, training, names)
    lowest = np.full(N_REPLICAS, np.inf)
    for basin, (height, slope), (g, change) in zip(
        basins, expected, _drawn(basins, covariance, names, np.random.default_rng(seed)), strict=True
    ):
        left = g - slope
        lowest = np.minimum(lowest, height - 2.0 * change - np.sum(left @ basin.inverse * left, axis=1))
    return float((np.sum(-lowest >= twice_delta_nll) + 1) / (N_REPLICAS + 1))


@dataclass(frozen=True)
class SimulationError:
    """Errors of a best fit from the finite simulation.

    Attributes:
        test: From the test events; NaN where the training events are the same.
        training: From the training events; NaN where the test events are the same.
        total: From all events; in a cross-fit that of a fit to other events, which is from the training events alone.
        crossed: Of the closure of a cross-fit, where every event is data and model; NaN if it is none.
    """

    test: float
    training: float
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


def _moving(test: Sequence[Sample], foreign: Sequence[Likelihood], fit: FitResult, held: Mapping[str, float]) -> list[str]:
    """Return the parameters that the fit moves."""
    names = list(dict.fromkeys(name for sample in test for name in sample.coefficients.parameters if name not in held))
    return names + [n for term in foreign for n in term.parameter_names if n not in {*names, *held} and n in fit.parameters]


def _expected(
    basin: _Basin, truth: _Basin, names: Sequence[str], test: Sequence[Sample], *, foreign: Sequence[Likelihood]
) -> tuple[float, FloatArray]:
    """Return what a right model expects at a minimum: the height of -2 lnL over the truth, and the slope of -lnL, (n_names,)."""
    height, slope = 0.0, np.zeros(len(names))
    for sample in test:
        log_ratio = sample.log_density(basin.point) - sample.log_density(truth.point)
        excess = np.expm1(log_ratio)
        height += 2.0 * float(sample.weights @ (excess - log_ratio))
        slope += (sample.weights * excess) @ sample.scores(basin.point, names, basin.scale)
    for term in foreign:
        there, at_truth = ({n: p[n] for n in term.parameter_names} for p in (basin.point, truth.point))
        height += term.twice_nll(there) - term.twice_nll(at_truth)
        gradient = dict(zip(term.parameter_names, term.gradient(there), strict=True))
        slope += 0.5 * np.array([gradient.get(n, 0.0) for n in names]) * basin.scale
    return height, slope


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
    heights, found = [], []
    for basin, (g, change) in zip(basins, _drawn(basins, covariance, names, rng), strict=True):
        shifts = g @ basin.inverse
        heights.append(basin.height - 2.0 * change - np.sum(g * shifts, axis=1))
        found.append(basin.moved(shifts, names))
    chosen = np.stack(found)[np.argmin(heights, axis=0), np.arange(N_REPLICAS)]
    low, high = (np.array([bounds.get(n, (-np.inf, np.inf))[end] for n in names]) for end in (0, 1))
    return np.asarray(np.clip(chosen, low, high))


def _drawn(
    basins: Sequence[_Basin], covariance: FloatArray, names: Sequence[str], rng: np.random.Generator
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Draw g (N_REPLICAS, n_names) and the change of ln L (N_REPLICAS,) of all minima together, and yield them one by one."""
    width = len(names) + 1
    drawn = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=N_REPLICAS, method="eigh", check_valid="ignore")
    for k in range(len(basins)):
        yield drawn[:, k * width : (k + 1) * width - 1], drawn[:, (k + 1) * width - 1]


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
