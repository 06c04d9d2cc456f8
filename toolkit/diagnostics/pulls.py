"""Pulls: (fitted - true) / error of many fits, and the Gaussian that describes them.

If estimates are unbiased and errors are right the pulls have mean 0 and width 1. A mean that is off is a bias in units of the error;
a width below (above) one means errors that are too large (small).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import minimize

from toolkit.diagnostics.inputs import check_vector
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray

WINDOW = 5.0
"""Pulls beyond are counted and left out of the Gaussian fit."""


@dataclass(frozen=True, eq=False)
class Pulls:
    """Pulls of one parameter with their Gaussian fit.

    Attributes:
        parameter: Name of the parameter.
        values: (n,) pulls of the fits that have one.
        mean: Mean of the fitted Gaussian; `mean_error` its standard error.
        width: Its standard deviation; `width_error` its standard error.
        window: Pulls with |pull| above it are left out of the fit.
        n_outside: How many these are.
        n_failed: Fits without a value or error (NaN).
        p_value: Probability of a larger Kolmogorov-Smirnov distance of the pulls to the standard Gaussian.
    """

    parameter: str
    values: FloatArray
    mean: float
    mean_error: float
    width: float
    width_error: float
    window: float
    n_outside: int
    n_failed: int
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        names = ("parameter", "mean", "mean_error", "width", "width_error", "window", "n_outside", "n_failed", "p_value", "values")
        return {name: jsonable(getattr(self, name)) for name in names}


def pulls(
    fitted: FloatArray,
    *,
    true: FloatArray | float,
    error: FloatArray,
    error_up: FloatArray | None = None,
    parameter: str = "mu",
    window: float = WINDOW,
) -> Pulls:
    """Compute pulls and fit a Gaussian to them.

    Args:
        fitted: (n,) best fits; NaN for a fit that failed.
        true: True value, one or (n,).
        error: (n,) standard errors > 0, the downward ones if `error_up` is given; NaN for a fit that failed.
        error_up: (n,) upward errors > 0 of asymmetric intervals. A fit below the truth is then divided by the upward error, the one
            that points to the truth.
        parameter: Name of the parameter.
        window: Largest |pull| in the fit.

    Returns:
        The pulls, and mean and width of the Gaussian that is most likely for those inside the window (a truncated Gaussian, so that
        the cut does not narrow it).

    Raises:
        ShapeError: The arrays differ in length.
        PhysicsDomainError: An error is not positive, or fewer than five fits are left.
        SchemaError: The window is not positive.

    Examples:
        >>> values = np.random.default_rng(1).normal(size=400)
        >>> result = pulls(1.0 + 0.2 * values, true=1.0, error=np.full(400, 0.2))
        >>> abs(result.mean) < 0.15, abs(result.width - 1) < 0.12
        (True, True)
    """
    if not window > 0:
        raise SchemaError("window of the pulls", got=window, expected="> 0", remedy="5 is usual")
    truth = np.broadcast_to(np.asarray(true, dtype=np.float64), fitted.shape)
    divisor = error if error_up is None else np.where(fitted < truth, error_up, error)
    if divisor.shape != fitted.shape:
        raise ShapeError("errors of the fits", got=divisor.shape, expected=fitted.shape, remedy="pass one error per fit")
    known = np.isfinite(fitted) & np.isfinite(divisor)
    if (divisor[known] <= 0).any():
        worst = float(divisor[known].min())
        raise PhysicsDomainError("error of a fit", got=f"{worst:g}", expected="> 0", remedy="mark failed fits with NaN")
    values = (fitted[known] - truth[known]) / divisor[known]
    inside = values[np.abs(values) <= window]
    if inside.size < 5:
        raise PhysicsDomainError("pulls", got=f"{inside.size} inside the window", expected="at least 5", remedy="run more toys")
    check_vector(values, name="pulls", size=values.size)
    (mean, width), (mean_error, width_error) = _fit(inside, window)
    return Pulls(
        parameter=parameter,
        values=values,
        mean=mean,
        mean_error=mean_error,
        width=width,
        width_error=width_error,
        window=window,
        n_outside=int(values.size - inside.size),
        n_failed=int(fitted.size - values.size),
        p_value=float(stats.kstest(values, "norm").pvalue),
    )


def _fit(values: FloatArray, window: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Maximum likelihood of a Gaussian truncated to |x| <= window: mean and width, and their errors from the curvature."""

    def nll(parameters: FloatArray) -> float:
        mean, width = parameters[0], np.exp(parameters[1])
        inside = stats.norm.cdf((window - mean) / width) - stats.norm.cdf((-window - mean) / width)
        return float(0.5 * np.mean(((values - mean) / width) ** 2) + parameters[1] + np.log(inside))

    start = np.array([values.mean(), np.log(max(values.std(), 1e-6))])
    best = np.asarray(minimize(nll, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-13, "maxiter": 2000}).x)
    step = 1e-3
    axes = np.eye(2) * step
    hessian = np.array(
        [[(nll(best + a + b) - nll(best + a - b) - nll(best - a + b) + nll(best - a - b)) / (4 * step**2) for b in axes] for a in axes]
    )
    covariance = np.linalg.inv(hessian) / values.size
    width = float(np.exp(best[1]))
    return (float(best[0]), width), (float(covariance[0, 0] ** 0.5), width * float(covariance[1, 1] ** 0.5))
