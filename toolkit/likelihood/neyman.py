"""Neyman construction with the profile likelihood ratio: confidence intervals from toys.

What to use when: `find_intervals` with the chi-square thresholds where Wilks' theorem holds; this where it does not: near mu = 0,
where interference makes t_mu anything but chi-square distributed, and for few events. At each mu the acceptance region is
t_mu <= c(mu), with c(mu) the quantile of t_mu in toys generated at mu; the interval holds the mu that accept the data.
With the best fit restricted to the allowed range this is the unified approach of Feldman and Cousins.

References:
    Feldman, Cousins, Phys. Rev. D 57 (1998) 3873, arXiv:physics/9711021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.critical import CriticalCurve, critical_curve
from toolkit.likelihood.descent import EQUAL
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.intervals import find_intervals, scan_with_minima
from toolkit.likelihood.p_values import ToyPValue, one_sided, toy_p_value
from toolkit.likelihood.parameter_results import LEVELS
from toolkit.likelihood.profiles import Profile
from toolkit.likelihood.scans import Interval, Scan
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.likelihood.toys import ToyRequest, ToySource, run_toys
from toolkit.typing import Progress, silent_progress


@dataclass(frozen=True, eq=False)
class NeymanBands:
    """Acceptance regions t <= c(mu) over the allowed range.

    Attributes:
        parameter: Parameter of interest.
        curves: Critical values by name of the level.
        toys: Toys per grid point.
        seed: Their seed.
        not_converged: Toys whose fit did not end at a minimum (they are used as they are).
        without_signal: q_0 of the toys without signal, in increasing order; empty if 0 is no grid point.
        asymptotic: Fractions of the toys of each grid point whose t is below the chi-square quantile, by name of the level: how often
            asymptotic intervals hold the truth there.
    """

    parameter: str
    curves: dict[str, CriticalCurve]
    toys: int
    seed: int
    not_converged: int = 0
    without_signal: tuple[float, ...] = ()
    asymptotic: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def asymptotic_coverage(self, name: str, at: float) -> tuple[float, float]:
        """Return how often asymptotic intervals hold a truth, and the error from the number of toys.

        Args:
            name: Name of the level.
            at: The truth, inside the range; between two grid points both count by their distances.
        """
        curve, share = self.curves[name], np.asarray(self.asymptotic[name])
        x = np.sqrt(curve.points - curve.low) if curve.root else curve.points
        place = float(np.interp(np.sqrt(at - curve.low) if curve.root else at, x, np.arange(len(x))))
        k = min(int(place), len(x) - 2)
        weights = np.array([k + 1 - place, place - k])
        p = float(weights @ share[k : k + 2])
        return p, float(np.sqrt(max(p * (1.0 - p), 1.0 / self.toys) / self.toys * (weights @ weights)))

    @property
    def range(self) -> tuple[float, float]:
        """First and last grid point."""
        points = next(iter(self.curves.values())).points
        return float(points[0]), float(points[-1])

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "parameter": self.parameter,
            "toys_per_point": self.toys,
            "seed": self.seed,
            "not_converged": self.not_converged,
            "critical": {name: curve.to_json() for name, curve in self.curves.items()},
            "without_signal": list(self.without_signal),
            "asymptotic_coverage": {name: list(share) for name, share in self.asymptotic.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NeymanBands:
        """Read what `to_json` wrote."""
        parameter = document["parameter"]
        curves = {name: CriticalCurve.from_json(part, parameter=parameter) for name, part in document["critical"].items()}
        without = tuple(document.get("without_signal", ()))
        asymptotic = {name: tuple(share) for name, share in document.get("asymptotic_coverage", {}).items()}
        return cls(parameter, curves, document["toys_per_point"], document["seed"], document["not_converged"], without, asymptotic)


@dataclass(frozen=True)
class NeymanInterval(Interval):
    """One connected piece of a confidence interval, with the errors of its ends from the finite number of toys.

    Attributes:
        low_error: Standard error of the lower end; 0 at the edge of the range.
        high_error: Standard error of the upper end.
    """

    low_error: float = 0.0
    high_error: float = 0.0


@dataclass(frozen=True, eq=False)
class NeymanResult:
    """Intervals of one data set from a Neyman construction, beside the asymptotic ones.

    Attributes:
        best_fit: Best fit of the parameter of interest.
        intervals: Pieces by name of the level.
        asymptotic: Pieces of the interval t <= chi-square quantile, by name of the level.
        scan: t of the data.
        bands: The construction.
        p_value: Probability of the data or more signal-like ones without signal, from the toys at 0; None if there are none.
    """

    best_fit: float
    intervals: dict[str, tuple[NeymanInterval, ...]]
    asymptotic: dict[str, tuple[Interval, ...]]
    scan: Scan
    bands: NeymanBands
    p_value: ToyPValue | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: `interval_68` and so on as in results.json, with `_errors` and `asymptotic_` beside them."""
        document: dict[str, Any] = {"best_fit": self.best_fit}
        for name, pieces in self.intervals.items():
            document[f"interval_{name}"] = [[i.low, i.high] for i in pieces]
            document[f"interval_{name}_at_boundary"] = [i.at_boundary for i in pieces]
            document[f"interval_{name}_errors"] = [[i.low_error, i.high_error] for i in pieces]
            document[f"asymptotic_{name}"] = [[i.low, i.high] for i in self.asymptotic[name]]
            document[f"asymptotic_{name}_at_boundary"] = [i.at_boundary for i in self.asymptotic[name]]
        tested = {} if self.p_value is None else {"without_signal": self.p_value.to_json()}
        return {**document, **tested, "scan": self.scan.to_json(), "bands": self.bands.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NeymanResult:
        """Read what `to_json` wrote."""
        bands = NeymanBands.from_json(document["bands"])
        intervals, asymptotic = {}, {}
        for name in bands.curves:
            flags, errors = document[f"interval_{name}_at_boundary"], document[f"interval_{name}_errors"]
            rows = zip(document[f"interval_{name}"], flags, errors, strict=True)
            intervals[name] = tuple(NeymanInterval(low, high, flag, *errors) for (low, high), flag, errors in rows)
            pairs = zip(document[f"asymptotic_{name}"], document[f"asymptotic_{name}_at_boundary"], strict=True)
            asymptotic[name] = tuple(Interval(low, high, flag) for (low, high), flag in pairs)
        tested = ToyPValue.from_json(document["without_signal"]) if "without_signal" in document else None
        return cls(document["best_fit"], intervals, asymptotic, Scan.from_json(document["scan"]), bands, tested)


def grid_points(
    likelihood: Likelihood, *, points: int, poi: str | None = None, fit: FitResult | None = None
) -> tuple[dict[str, float], ...]:
    """Choose the parameter points of a construction.

    Args:
        likelihood: The likelihood of the data: every other parameter takes its conditional best fit (profile construction).
        points: Number of points, evenly spaced over the allowed range in the coordinate in which the likelihood is smooth
            (sqrt(mu) with interference, which puts more of them near the boundary).
        poi: Parameter of interest; the likelihood's own if not given.
        fit: The global fit, if it is known already.

    Returns:
        Full parameter points, in increasing order of the parameter of interest.

    Raises:
        SchemaError: Fewer than two points, or a range that is not finite.
    """
    poi = likelihood.poi if poi is None else poi
    parameter = likelihood.parameters[likelihood.parameter_names.index(poi)]
    span = parameter.high - parameter.low
    if points < 2 or not np.isfinite(span):
        what = "grid of a Neyman construction"
        raise SchemaError(what, got=f"{points} points in [{parameter.low}, {parameter.high}]", expected="at least 2 in a finite range")
    fractions = np.linspace(0.0, 1.0, points)
    values = parameter.low + span * (fractions**2 if poi in likelihood.diverging else fractions)
    if all(p.fixed or p.name == poi for p in likelihood.parameters):
        others = {p.name: p.init for p in likelihood.parameters}
        return tuple({**others, poi: float(v)} for v in values)
    profile = Profile(likelihood, poi, fit=likelihood.fit() if fit is None else fit)
    profile.scan(values)
    return tuple(profile.parameters(float(v)) for v in values)


def construct_bands(
    source: ToySource,
    points: Sequence[Mapping[str, float]],
    *,
    poi: str,
    toys: int,
    seed: int,
    low: float = 0.0,
    root: bool = False,
    levels: Mapping[str, float] = LEVELS,
    smooth: bool = True,
    workers: Workers = run_here,
    file: str | Path | None = None,
    progress: Progress = silent_progress,
) -> NeymanBands:
    """Find the acceptance regions from toys.

    Args:
        source: The experiment.
        points: Full parameter points, in increasing order of the parameter of interest; see `grid_points`.
        poi: Parameter of interest.
        toys: Toys per point.
        seed: Their seed.
        low: Lower end of the allowed range of the parameter of interest.
        root: Whether the likelihood is smooth in sqrt(poi - low).
        levels: Confidence levels by name.
        smooth: Smooth the critical values over the grid; leave out for counts so few that t jumps.
        workers: Where the toys run.
        file: Keeps finished toys, so that a stopped construction goes on.
        progress: Told how many toys are done.

    Returns:
        The acceptance regions.
    """
    requests = [ToyRequest(theta, toys) for theta in points]
    samples = run_toys(
        source, requests, poi=poi, seed=seed, workers=workers, file=file, progress=progress, label="toys of the construction"
    )
    values = [sample.truth for sample in samples]
    curves = {
        name: critical_curve(values, [s.t for s in samples], level=level, parameter=poi, low=low, root=root, smooth=smooth)
        for name, level in levels.items()
    }
    without = [q for s in samples if s.truth == 0.0 for q in np.sort(one_sided(s.t, s.best_fit)).tolist()]
    asymptotic = {name: tuple(float(np.mean(s.t <= chi2.ppf(level, 1))) for s in samples) for name, level in levels.items()}
    return NeymanBands(poi, curves, toys, seed, int(sum(np.sum(~s.converged) for s in samples)), tuple(without), asymptotic)


def neyman_intervals(bands: NeymanBands, likelihood: Likelihood, *, values: ArrayLike, fit: FitResult | None = None) -> NeymanResult:
    """Find the values of the parameter of interest that accept the data.

    Args:
        bands: The construction, over at least the range of `values`.
        likelihood: The likelihood of the data.
        values: Scan points, (n_points,), increasing; all minima of the fit are added.
        fit: The global fit, if it is known already.

    Returns:
        The intervals, beside the asymptotic ones of the same scan.

    Raises:
        PhysicsDomainError: Scan points outside the allowed range or the construction.
    """
    poi = bands.parameter
    grid = likelihood.scan_values(poi, values)
    fit = likelihood.fit() if fit is None else fit
    profile = Profile(likelihood, poi, fit=fit)
    profiled = profile.scan(grid)
    if profiled.min() < fit.twice_nll - EQUAL:
        fit = likelihood.fit_near(poi, float(grid[np.argmin(profiled)]), fit=fit)
    lowest = min(fit.twice_nll, float(profiled.min()))

    def t(value: float) -> float:
        return profile(value) - lowest

    best = fit.parameters[poi]
    scan = Scan(values=grid, twice_delta_nll=profiled - lowest, parameter=poi)
    finer = scan_with_minima(scan, [m.parameters[poi] for m in fit.minima], t)
    intervals, asymptotic = {}, {}
    for name, curve in bands.curves.items():
        intervals[name] = accepted(finer, curve, t=t, best=best)
        threshold = float(chi2.ppf(curve.level, 1))
        line = CriticalCurve(poi, curve.level, curve.points[[0, -1]], np.full(2, threshold), np.zeros(2))
        asymptotic[name] = tuple(Interval(i.low, i.high, i.at_boundary) for i in accepted(finer, line, t=t, best=best))
    tested = toy_p_value(float(one_sided([t(0.0)], [best])[0]), bands.without_signal) if bands.without_signal else None
    return NeymanResult(best, intervals, asymptotic, scan, bands, tested)


def accepted(scan: Scan, curve: CriticalCurve, *, t: Any, best: float) -> tuple[NeymanInterval, ...]:
    """Find where t <= c, with errors of the ends.

    Args:
        scan: t at the scan points.
        curve: The critical values c.
        t: t as a function of the parameter.
        best: Best fit, where t = 0.

    Returns:
        Pieces in increasing order.
    """
    bounds = (float(scan.values[0]), float(scan.values[-1]))
    values, heights = scan.values, scan.twice_delta_nll
    if bounds[0] < best < bounds[1] and best not in values:
        k = int(np.searchsorted(values, best))
        values, heights = np.insert(values, k, best), np.insert(heights, k, 0.0)

    def excess(value: float) -> float:
        return float(t(value) - curve(value))

    shifted = Scan(values=values, twice_delta_nll=heights - curve(values) + 1.0, parameter=scan.parameter)
    pieces = find_intervals(shifted, threshold=1.0, bounds=bounds, curve=lambda v: excess(v) + 1.0)
    return tuple(
        NeymanInterval(i.low, i.high, i.at_boundary, *(_end_error(end, curve, excess, bounds) for end in (i.low, i.high))) for i in pieces
    )


def _end_error(end: float, curve: CriticalCurve, excess: Any, bounds: tuple[float, float]) -> float:
    """Divide the error of the critical value by the slope of t - c at an end; 0 at the edge of the range."""
    step = 1e-4 * (bounds[1] - bounds[0])
    if end - bounds[0] < 1e-9 or bounds[1] - end < 1e-9:
        return 0.0
    below, above = max(end - step, bounds[0]), min(end + step, bounds[1])
    slope = (excess(above) - excess(below)) / (above - below)
    return float(curve.error(end)) / abs(slope) if slope else 0.0
