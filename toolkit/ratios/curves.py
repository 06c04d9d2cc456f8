"""Calibration curves: a monotone function of the estimated log ratio, fitted on events of their own, right for signed weights.

What to use when: the targeted calibration (`toolkit.ratios.calibration`) is the default; with a few parameters it removes the bias that
moves the measurement. The curves here correct one ratio at every value of itself, whatever the estimator: `spline` is smooth and
monotone, `isotonic` monotone in steps, `binned` a plain histogram. They need many more events, make calibration curves straight, and do
nothing about a dependence on other observables.

The events of the fit must have trained no network and test nothing. For several processes against one mixture, `fit_mixture_curves` keeps
sum_j pi_j r_j = 1 at every event and E_ref[r_j] = 1 for every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from scipy.special import logsumexp

from toolkit.errors import FitError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray

Method = Literal["spline", "isotonic", "binned"]
ITERATIONS = 500
TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class RatioCurve:
    """Calibrated against estimated log ratio.

    Attributes:
        method: How it was fitted.
        base: Value at the first knot, or below all steps.
        knots: (m,) estimated log ratios between which the curve is cubic; empty for steps. Beyond the ends the slope is 1.
        coefficients: (m - 1, 3) of d, d^2, d^3, d the distance to the knot below.
        thresholds: (q,) estimated log ratios at which steps begin; empty for a spline.
        jumps: (q,) heights of the steps.
        mean_before: E_ref[r] of the events of the fit before the calibration.
        mean_after: E_ref[r] after it, 1 by construction.
    """

    method: Method
    base: float
    knots: FloatArray
    coefficients: FloatArray
    thresholds: FloatArray
    jumps: FloatArray
    mean_before: float
    mean_after: float

    def __call__(self, log_ratio: ArrayLike) -> FloatArray:
        """Calibrate log ratios, any shape."""
        x = np.asarray(log_ratio, dtype=np.float64)
        y = np.full_like(x, self.base)
        if self.knots.size:
            y += np.minimum(x - self.knots[0], 0.0) + np.maximum(x - self.knots[-1], 0.0)
        for low, width, (c1, c2, c3) in zip(self.knots[:-1], np.diff(self.knots), self.coefficients, strict=True):
            d = np.clip(x - low, 0.0, width)
            y += d * (c1 + d * (c2 + d * c3))
        for threshold, jump in zip(self.thresholds, self.jumps, strict=True):
            y += jump * (x >= threshold)
        return y

    def to_json(self) -> dict[str, Any]:
        """Return the curve as a JSON object; `from_json` reads it."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> RatioCurve:
        """Read what `to_json` wrote."""
        arrays = {name: np.array(document[name], dtype=np.float64) for name in ("knots", "thresholds", "jumps")}
        coefficients = np.array(document["coefficients"], dtype=np.float64).reshape(-1, 3)
        return cls(**{**document, **arrays, "coefficients": coefficients})

    def shifted(self, shift: float, *, mean_after: float) -> RatioCurve:
        """Return the curve with `shift` added to every log ratio."""
        return RatioCurve(**{**self.__dict__, "base": self.base + shift, "mean_after": mean_after})


@dataclass(frozen=True, eq=False)
class MixtureCurves:
    """One curve per process, and what keeps the ratios those of normalised densities against their own mixture.

    Attributes:
        processes: Names of the processes, (n_processes,).
        curves: One per process.
        reference: (n_processes,) share of each process in the reference density.
        shift: (n_processes,) added to the curves.
    """

    processes: tuple[str, ...]
    curves: tuple[RatioCurve, ...]
    reference: FloatArray
    shift: FloatArray

    def __call__(self, log_ratios: FloatArray) -> FloatArray:
        """Calibrate log p_j / p_ref, (n, n_processes)."""
        moved = np.stack([curve(column) for curve, column in zip(self.curves, log_ratios.T, strict=True)], axis=1) + self.shift
        return np.asarray(moved - logsumexp(moved, b=self.reference, axis=1, keepdims=True))


def fit_curve(
    log_ratio: FloatArray,
    *,
    numerator_weights: FloatArray,
    reference_weights: FloatArray,
    method: Method = "spline",
    bins: int = 20,
    min_effective: float = 50.0,
) -> RatioCurve:
    """Fit the calibration of one ratio.

    Args:
        log_ratio: (n,) estimates of ln p_numerator / p_ref on events that trained no network.
        numerator_weights: (n,) weights under the numerator, either sign, any positive factor.
        reference_weights: (n,) weights of the same events under the reference.
        method: `spline` (monotone cubic through the bins), `isotonic` (monotone steps) or `binned` (steps).
        bins: Number of bins of equal content (absolute weights of both, each normalised) to begin with.
        min_effective: Neighbouring bins are joined until each holds so many effective events of both, and positive sums.

    Returns:
        The curve, shifted so that E_ref[r] = 1 on these events.

    Raises:
        ShapeError: The arrays differ in length.
        SchemaError: The method is unknown.
        PhysicsDomainError: A number is not finite, or a sum of weights is not positive.
        FitError: Too few events for a single bin.

    Notes:
        In a bin the mean over the reference of the true ratio is A/B, the quotient of the sums of normalised weights, whatever the signs
        of single weights; the mean of the estimated ratio is its abscissa. Where A/B does not rise, neighbouring bins are joined
        (training adjacent violators on the sums). Beyond the outermost bins the correction stays what it is there.

    References:
        Ayer et al., Ann. Math. Stat. 26 (1955) 641; Fritsch, Carlson, SIAM J. Numer. Anal. 17 (1980) 238.

    Examples:
        >>> x = np.linspace(-1, 1, 4001)
        >>> curve = fit_curve(x, numerator_weights=np.exp(0.5 * x), reference_weights=np.ones(4001))
        >>> (curve([0.5]) - curve([-0.5])).round(2).tolist()
        [0.5]
    """
    if method not in {"spline", "isotonic", "binned"}:
        raise SchemaError("method of the calibration curve", got=method, expected="spline, isotonic or binned", remedy="check the spelling")
    a, b = (_normalised(w, log_ratio, name) for w, name in ((numerator_weights, "numerator"), (reference_weights, "reference")))
    low, sums = _fill(log_ratio, a, b, bins=bins, min_effective=min_effective)
    if method != "binned":
        low, sums = _training(low, sums)
    y = np.log(sums[:, 0] / sums[:, 1])
    empty = np.zeros(0)
    before = float(b @ np.exp(log_ratio))
    if method == "spline":
        ends = np.append(low[1:], log_ratio.max())
        x = np.log(np.clip(sums[:, 2] / sums[:, 1], np.exp(low), np.exp(ends)))
        curve = RatioCurve(method, float(y[0]), x, _cubic(x, y), empty, empty, before, np.nan)
    else:
        curve = RatioCurve(method, float(y[0]), empty, np.zeros((0, 3)), low[1:], np.diff(y), before, np.nan)
    mean = float(b @ np.exp(curve(log_ratio)))
    if mean <= 0:
        raise FitError("calibration curve", got=f"E_ref[r] = {mean:g}", expected="> 0", remedy="use fewer bins or more events")
    shifted = curve.shifted(-float(np.log(mean)), mean_after=1.0)
    return curve.shifted(-float(np.log(mean)), mean_after=float(b @ np.exp(shifted(log_ratio))))


def fit_mixture_curves(
    log_ratios: FloatArray,
    *,
    weights: FloatArray,
    processes: Sequence[str],
    reference: FloatArray,
    method: Method = "spline",
    bins: int = 20,
    min_effective: float = 50.0,
) -> MixtureCurves:
    """Fit the calibration of all ratios of a mixture.

    Args:
        log_ratios: (n, n_processes) estimates of ln p_j / p_ref on events that trained no network.
        weights: (n, n_processes) weights of these events under every process.
        processes: Names of the processes.
        reference: (n_processes,) share of each process in p_ref; they are normalised to sum 1.
        method: See `fit_curve`.
        bins: See `fit_curve`.
        min_effective: See `fit_curve`.

    Returns:
        The curves. On these events E_ref[r_j] = 1 for every process, and sum_j pi_j r_j = 1 at every event.

    Raises:
        ShapeError: The arrays do not fit each other.
        FitError: The normalisations cannot be met together.
        SchemaError, PhysicsDomainError: As for `fit_curve`.

    Notes:
        Curves of single processes do not know that S, SBI and B interfere: the density at other values of mu is a difference of them
        and may become negative, which the likelihood refuses. The targeted calibration cannot do that.

    Examples:
        Ratios of one process that were estimated too high by a constant, and those that come out:

        >>> rng = np.random.default_rng(1)
        >>> weights = rng.uniform(0.5, 1.5, size=(4000, 2))
        >>> exact = np.log(weights / weights.mean(axis=1, keepdims=True))
        >>> curves = fit_mixture_curves(
        ...     exact + [0.3, 0.0], weights=weights, processes=("S", "B"), reference=np.array([0.5, 0.5]), method="binned"
        ... )
        >>> bool(np.abs(curves(exact + [0.3, 0.0]) - exact).mean() < 0.1)
        True
    """
    shape = (len(log_ratios), len(processes))
    pi = np.asarray(reference, dtype=np.float64)
    if log_ratios.shape != shape or weights.shape != shape or pi.shape != shape[1:]:
        got = f"{log_ratios.shape}, {weights.shape}, {pi.shape}"
        raise ShapeError(
            "log_ratios, weights, reference", got=got, expected=f"{shape}, {shape}, {shape[1:]}", remedy="one column per process"
        )
    pi = pi / pi.sum()
    unit = np.stack([_normalised(w, log_ratios[:, 0], name) for w, name in zip(weights.T, processes, strict=True)], axis=1)
    w_ref = unit @ pi
    curves = tuple(
        fit_curve(x, numerator_weights=w, reference_weights=w_ref, method=method, bins=bins, min_effective=min_effective)
        for x, w in zip(log_ratios.T, unit.T, strict=True)
    )
    moved = np.stack([curve(column) for curve, column in zip(curves, log_ratios.T, strict=True)], axis=1)
    shift = np.zeros(shape[1])
    for _ in range(ITERATIONS):
        total = logsumexp(moved + shift, b=pi, axis=1, keepdims=True)
        means = w_ref @ np.exp(moved + shift - total)
        if not (means > 0).all():
            break
        if np.abs(means - 1).max() < TOLERANCE:
            return MixtureCurves(tuple(processes), curves, pi, shift)
        shift = shift - np.log(means)
    raise FitError("calibration curves", got="normalisations that do not converge", expected="1 for each", remedy="use more events")


def _normalised(weights: FloatArray, log_ratio: FloatArray, name: str) -> FloatArray:
    if weights.shape != log_ratio.shape:
        raise ShapeError(f"{name} weights", got=weights.shape, expected=log_ratio.shape, remedy="pass one weight per event")
    if not (np.isfinite(weights).all() and np.isfinite(log_ratio).all()):
        raise PhysicsDomainError(f"log ratios or {name} weights", got="NaN or infinity", expected="finite numbers", remedy="find out why")
    total = float(weights.sum())
    if total <= 0:
        raise PhysicsDomainError(
            f"{name} weights", got=f"sum {total:g}", expected="a positive sum", remedy="check the sample and selection"
        )
    return np.asarray(weights / total)


def _fill(x: FloatArray, a: FloatArray, b: FloatArray, *, bins: int, min_effective: float) -> tuple[FloatArray, FloatArray]:
    """Bins of equal content, joined until filled: lower edges (k,), and sums of a, b and b times the estimated ratio, (k, 3)."""
    # Half of the content is that of numerator, half that of denominator: no bin is empty of either, where the ratio would be unknown.
    order = np.argsort(x, kind="stable")
    size = np.cumsum(np.abs(a[order]) / np.abs(a).sum() + np.abs(b[order]) / np.abs(b).sum())
    cuts = np.unique(x[order][np.minimum(np.searchsorted(size, size[-1] * np.arange(1, bins) / bins), x.size - 1)])
    index = np.searchsorted(cuts, x, side="right")
    columns = (a, b, b * np.exp(x), np.abs(a), a**2, np.abs(b), b**2)
    filled = np.stack([np.bincount(index, column, minlength=cuts.size + 1) for column in columns], axis=1)
    lows, sums = [float(x.min())], [np.zeros(7)]
    edges = np.append(cuts, np.inf)
    for k, row in enumerate(filled):
        sums[-1] = sums[-1] + row
        if _enough(sums[-1], min_effective) and k < cuts.size:
            lows.append(float(edges[k]))
            sums.append(np.zeros(7))
    if not _enough(sums[-1], min_effective) and len(sums) > 1:
        last = sums.pop()
        lows.pop()
        sums[-1] = sums[-1] + last
    if not _enough(sums[-1], min_effective):
        got = "too few effective events, or no positive sum, in all bins together"
        raise FitError("calibration curve", got=got, expected=f"{min_effective:g} of both densities", remedy="use more events")
    return np.array(lows), np.array(sums)[:, :3]


def _enough(sums: FloatArray, min_effective: float) -> bool:
    a, b, _, size_a, squares_a, size_b, squares_b = sums
    return bool(a > 0 and b > 0 and size_a**2 >= min_effective * squares_a and size_b**2 >= min_effective * squares_b)


def _training(low: FloatArray, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Join neighbours until the true ratio rises from bin to bin."""
    lows: list[float] = []
    blocks: list[FloatArray] = []
    for edge, row in zip(low, sums, strict=True):
        lows.append(float(edge))
        blocks.append(row)
        while len(blocks) > 1 and blocks[-1][0] * blocks[-2][1] <= blocks[-2][0] * blocks[-1][1]:
            last = blocks.pop()
            lows.pop()
            blocks[-1] = blocks[-1] + last
    return np.array(lows), np.array(blocks)


def _cubic(x: FloatArray, y: FloatArray) -> FloatArray:
    """Monotone cubic between the points: coefficients of d, d^2, d^3, (k - 1, 3)."""
    if x.size < 2:
        return np.zeros((0, 3))
    return np.asarray(PchipInterpolator(x, y).c[2::-1].T)
