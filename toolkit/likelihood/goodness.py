"""Goodness of fit with toys: the saturated model for bins; for events, bins of chosen quantities and the mean log density.

What to use when: `PyhfLikelihood.goodness_of_fit` for the asymptotic p-value of a binned fit; `compare_with_toys` for p-values from
toys, and for unbinned fits. The value of an unbinned likelihood at its maximum alone is a weak test: it does not see densities that are
wrong where the data do not change their mean logarithm. So the fitted density is also compared with the data in bins of a score and of
observables.

References:
    Baker, Cousins, Nucl. Instrum. Meth. 221 (1984) 437; Heinrich, Pitfalls of goodness-of-fit from likelihood, physics/0310167.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy
from scipy.stats import chi2

from toolkit.artifacts.hashing import stage_key
from toolkit.artifacts.toys import Row, ToyFile, point_key
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood.constraints import replace_observed
from toolkit.likelihood.parameterised_toys import ParameterisedToys
from toolkit.likelihood.shapes import Shapes
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, UnbinnedToys
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.likelihood.toys import BLOCK, ToyTask, best_point, guide_of, toy_generator
from toolkit.typing import FloatArray, IntArray, Progress, silent_progress

SATURATED, LOG_DENSITY = "saturated model", "mean log density"


class Measured(Protocol):
    """An experiment whose data are compared with a fit."""

    @property
    def toys(self) -> BinnedToys | UnbinnedToys | ParameterisedToys | CombinedToys:
        """The experiment."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the test statistics."""
        ...

    def statistics(self, data: Any, point: FloatArray) -> Row:
        """Compare drawn data with the model at a parameter point (n_parameters,): larger is worse."""
        ...


@dataclass(frozen=True, eq=False)
class GoodnessTest:
    """One test of a fit.

    Attributes:
        name: What is compared: "saturated model", "mean log density", or the quantity whose bins are compared.
        statistic: Value in the data; larger is worse.
        degrees: Degrees of freedom of the asymptotic distribution, bins less unconstrained parameters; None where there is none.
        toys: Values in toys drawn at the best fit, (n_toys,), may be empty.
    """

    name: str
    statistic: float
    degrees: int | None
    toys: FloatArray

    @property
    def p_asymptotic(self) -> float:
        """Chi-square probability of a worse fit; NaN without degrees of freedom."""
        return float(chi2.sf(self.statistic, self.degrees)) if self.degrees else math.nan

    @property
    def p_toys(self) -> float:
        """Fraction of toys that fit worse, the data counted among them, so that it is never zero; NaN without toys."""
        worse = int(np.sum(self.toys >= self.statistic))
        return (worse + 1.0) / (len(self.toys) + 1.0) if len(self.toys) else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; NaN becomes null."""
        ps = {name: value if math.isfinite(value := getattr(self, name)) else None for name in ("p_asymptotic", "p_toys")}
        return {"name": self.name, "statistic": self.statistic, "degrees": self.degrees, **ps, "toys": self.toys.tolist()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> GoodnessTest:
        """Read what `to_json` wrote."""
        return cls(document["name"], document["statistic"], document["degrees"], np.asarray(document["toys"], dtype=np.float64))


@dataclass(frozen=True, eq=False)
class BinnedFit:
    """A binned fit against the model that expects in every bin what was observed; constraints count with their pulls.

    Args:
        toys: The experiment.
    """

    toys: BinnedToys

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the test statistics."""
        return (SATURATED,)

    def statistics(self, data: tuple[FloatArray, dict[str, float]], point: FloatArray) -> Row:
        """Compare counts and auxiliary measurements with the model at a point."""
        base = self.toys.likelihood
        theta = dict(zip(base.parameter_names, point.tolist(), strict=True))
        drawn = replace_observed(base.constraints, data[1])
        penalty = sum(c.twice_nll(theta[c.parameter]) - c.lowest for c in drawn)
        return (poisson_distance(data[0], self.toys.expected(theta)) + penalty,)


@dataclass(frozen=True, eq=False)
class UnbinnedFit:
    """An unbinned fit against the data in bins of several quantities, and in the mean of its log density.

    Args:
        toys: The experiment, drawn from the fitted densities.
        reference: Weights under which its events follow the reference density, (n_events,), >= 0.
        bins: Bin of each simulated event in each quantity, (n_events,) by name; each starts at 0.
    """

    toys: UnbinnedToys | ParameterisedToys
    reference: FloatArray
    bins: Mapping[str, IntArray]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the test statistics."""
        return (LOG_DENSITY, *self.bins)

    def statistics(self, data: tuple[IntArray, dict[str, float]], point: FloatArray) -> Row:
        """Compare drawn events with the model at a point."""
        return self.compare(np.bincount(data[0], minlength=len(self.reference)).astype(np.float64), point)

    def compare(self, weights: FloatArray, point: FloatArray) -> Row:
        """Compare events of these weights, (n_events,), with the model at a point (n_parameters,).

        Notes:
            Where interference cancels nearly everything, a density is smaller than the error of the normalisation of its terms and may come
            out as 0. No toy has such an event; in the simulated data it counts with the smallest density that is not 0.
        """
        expected, present = self.toys.weights(self._theta(point)), self.reference > 0.0
        density = (expected[present] / expected.sum()) / (self.reference[present] / self.reference.sum())
        density = np.maximum(density, density[density > 0.0].min())
        mean = -2.0 * float(weights[present] @ np.log(density)) / float(weights[present].sum())
        return (mean, *self._distances(expected, {name: (index, weights) for name, index in self.bins.items()}))

    def compare_data(self, expected: FloatArray, bins: Mapping[str, IntArray], point: FloatArray, *, shapes: Shapes | None = None) -> Row:
        """Compare events that are not among the simulated ones, each of which counts 1, with the model at a point (n_parameters,).

        Args:
            expected: nu_j p_j / p_ref of these events, normalised like those of the simulation, (n, n_processes).
            bins: Bin of each event in each quantity, (n,) by name.
            point: All parameters, (n_parameters,).
            shapes: Per-event variations of these events.
        """
        if not isinstance(self.toys, UnbinnedToys):
            what = "densities of processes"
            raise SchemaError(what, got=type(self.toys).__name__, expected="toys of a mixture", remedy="use compare_density")
        return self.compare_density(self.toys.density(expected, shapes, self._theta(point)), bins, point)

    def compare_density(self, density: FloatArray, bins: Mapping[str, IntArray], point: FloatArray) -> Row:
        """Compare such events, whose densities over the reference are p(x | point) / p_ref(x), (n,), with the model at a point."""
        counted = {name: (bins[name], np.ones(len(density))) for name in self.bins}
        return (-2.0 * float(np.mean(np.log(density))), *self._distances(self.toys.weights(self._theta(point)), counted))

    def _theta(self, point: FloatArray) -> dict[str, float]:
        return dict(zip(self.toys.likelihood.parameter_names, point.tolist(), strict=True))

    def _distances(self, expected: FloatArray, data: Mapping[str, tuple[IntArray, FloatArray]]) -> Iterator[float]:
        """Compare the bins of data, of each quantity bin and weight of each event, with the expected simulated events."""
        for name, (own, weights) in data.items():
            index = self.bins[name]
            n_bins = int(max(index.max(), own.max(initial=0))) + 1
            counts, prediction = (np.bincount(i, weights=w, minlength=n_bins) for i, w in ((own, weights), (index, expected)))
            yield poisson_distance(counts, prediction)


@dataclass(frozen=True, eq=False)
class CombinedFit:
    """Several channels: all bins together against the saturated model, and each unbinned channel in its own tests.

    Args:
        toys: The experiment.
        fits: How each term is compared, in the order of the terms; None for constraint terms.
        labels: A name of each term.
    """

    toys: CombinedToys
    fits: tuple[BinnedFit | UnbinnedFit | None, ...]
    labels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the test statistics: those of unbinned channels with the label of the channel."""
        unbinned = [f"{label}: {n}" for label, f in zip(self.labels, self.fits, strict=True) if isinstance(f, UnbinnedFit) for n in f.names]
        return (*((SATURATED,) if any(isinstance(f, BinnedFit) for f in self.fits) else ()), *unbinned)

    def statistics(self, data: tuple[tuple[Any, ...], dict[str, float]], point: FloatArray) -> Row:
        """Compare the drawn data of all channels, and auxiliary measurements, with the model at a point."""
        parts, auxiliary = data
        own: list[Any] = [None if part is None else part[0] for part in parts]
        drawn = {name: value for part in parts if part is not None for name, value in part[1].items()}
        rows = [
            f.compare(np.bincount(x, minlength=len(f.reference)).astype(np.float64), self.point_of(k, point))
            if isinstance(f, UnbinnedFit)
            else x
            for k, (f, x) in enumerate(zip(self.fits, own, strict=True))
        ]
        return self.row(rows, point, auxiliary=drawn | auxiliary)

    def point_of(self, term: int, point: FloatArray) -> FloatArray:
        """Return the parameters of one term, in its order."""
        names, whole = self.toys.likelihood.terms[term].parameter_names, self.toys.likelihood.parameter_names
        return np.array([point[whole.index(name)] for name in names])

    def row(self, parts: Sequence[Any], point: FloatArray, *, auxiliary: Mapping[str, float]) -> Row:
        """Put the statistics together.

        Args:
            parts: By term, the counts of bins, (n_bins,), or the statistics of an unbinned channel; None for constraint terms.
            point: All parameters, (n_parameters,).
            auxiliary: What auxiliary measurements gave, where that is not what the likelihood holds.
        """
        likelihood = self.toys.likelihood
        theta = dict(zip(likelihood.parameter_names, point.tolist(), strict=True))
        distance = sum(c.twice_nll(theta[c.parameter]) - c.lowest for c in replace_observed(likelihood.constraints, auxiliary))
        found: list[float] = []
        for k, (f, part) in enumerate(zip(self.fits, parts, strict=True)):
            if isinstance(f, BinnedFit):
                own = dict(zip(f.toys.likelihood.parameter_names, self.point_of(k, point).tolist(), strict=True))
                distance += poisson_distance(part, f.toys.expected(own))
            elif f is not None:
                found += part
        return (distance, *found) if any(isinstance(f, BinnedFit) for f in self.fits) else tuple(found)


def poisson_distance(counts: ArrayLike, expected: ArrayLike) -> float:
    """Compute twice the log ratio of the Poisson probabilities between expecting what was observed and what is expected.

    Args:
        counts: Observed, (n_bins,), >= 0.
        expected: Expected, (n_bins,), > 0 where something was observed.

    Returns:
        The sum over the bins, >= 0; about chi-square distributed for large counts.

    Raises:
        PhysicsDomainError: Events in a bin where none are expected.

    Examples:
        >>> poisson_distance([12.0, 0.0], [12.0, 0.5]), round(poisson_distance([120.0], [100.0]), 3)
        (1.0, 3.757)
    """
    n, e = np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    bad = (n > 0.0) & ~(e > 0.0)
    if bad.any():
        what = f"expected events in bin {int(np.argmax(bad))}"
        raise PhysicsDomainError(what, got=float(e[bad][0]), expected=f"> 0 for {n[bad][0]:g} observed", remedy="merge bins")
    ratio = np.divide(n, e, out=np.ones_like(n), where=n > 0.0)
    return max(2.0 * float(np.sum(e - n + xlogy(n, ratio))), 0.0)


def compare_with_toys(
    measured: Measured,
    observed: Row,
    theta: Mapping[str, float],
    *,
    poi: str,
    degrees: Sequence[int | None],
    toys: int,
    seed: int,
    workers: Workers = run_here,
    file: str | Path | None = None,
    progress: Progress = silent_progress,
) -> tuple[GoodnessTest, ...]:
    """Compare test statistics of the data with toys drawn at their best fit, each of which is fitted like the data.

    Args:
        measured: The experiment and its test statistics.
        observed: Their values in the data.
        theta: Best fit of the data, all parameters.
        poi: Parameter of interest, in which several minima are looked for.
        degrees: Degrees of freedom of each, if it has an asymptotic distribution.
        toys: Number of toys; 0 for the asymptotic values alone.
        seed: Seed of the toys.
        workers: Where they run.
        file: Keeps finished toys.
        progress: Told how many toys are done.

    Returns:
        One result per test statistic.
    """
    campaign = stage_key({"goodness": 1, "source": measured.toys.fingerprint(), "names": measured.names, "seed": seed, "poi": poi})
    store = ToyFile(None if file is None or not toys else Path(file), campaign)
    missing = [i for i in range(toys) if i not in store.finished(theta)]
    blocks = [tuple(missing[k : k + BLOCK]) for k in range(0, len(missing), BLOCK)]
    tasks = [ToyTask(theta=point_key(theta), indices=block, seed=seed, poi=poi) for block in blocks]
    done = 0
    for _, rows in workers(measured, tasks, run_task):
        store.add(theta, rows)
        done += len(rows)
        progress("toys of the goodness of fit", done, len(missing))
    finished = store.finished(theta)
    values = np.array([finished[i] for i in range(toys)]).reshape(toys, len(observed))
    return tuple(GoodnessTest(*row) for row in zip(measured.names, observed, degrees, values.T, strict=True))


def run_task(measured: Measured, task: ToyTask) -> dict[int, Row]:
    """Run a block of toys: index -> test statistics at the toy's own best fit."""
    theta = dict(task.theta)
    source: Any = measured.toys
    guide = guide_of(source, theta, poi=task.poi, seed=task.seed)
    rows = {}
    for index in task.indices:
        data = source.sample(theta, toy_generator(task.seed, theta, index))
        likelihood = source.likelihood_of(data)
        point = best_point(likelihood, poi=task.poi, truth=theta[task.poi], guide=guide)
        ordered = source.likelihood.point(dict(zip(likelihood.parameter_names, point.tolist(), strict=True)))
        rows[index] = measured.statistics(data, ordered)
    return rows
