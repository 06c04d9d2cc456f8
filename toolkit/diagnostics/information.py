"""How much an estimated ratio can tell two hypotheses apart: -2 Delta lnL that no bias of the estimate can inflate.

The exact expectation of -2 Delta lnL between the rates a(x) (true) and b(x) is t = 2 int [b - a + a ln(a/b)]. For ANY positive function
r(x) in place of a/b

    t >= 2 int [ a ln r - b (r - 1) ],        equal only for r = a/b,

so the right-hand side, evaluated on events that the estimate has not seen, is what the estimate is good for: a wrong ratio, however
confident, only lowers it. A histogram is the special case of a ratio that is constant in every bin, that of its templates there.
"""

from __future__ import annotations

import numpy as np

from toolkit.diagnostics.merit import Merit, check_same_size
from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.typing import FloatArray


def information_bound(log_rate_ratio: FloatArray, *, numerator_weights: FloatArray, denominator_weights: FloatArray) -> Merit:
    """Compute the -2 Delta lnL that an estimated ratio certifies, 2 sum_i [a_i ln r_i - b_i (r_i - 1)].

    Args:
        log_rate_ratio: (n,) estimate of ln a(x)/b(x): the rates of the true hypothesis (on top) and of the other one, yields included.
        numerator_weights: (n,) expected events under the true hypothesis, either sign.
        denominator_weights: (n,) expected events of the same simulated events under the other hypothesis.

    Returns:
        The bound with its error; on independent events its expectation is at most the exact -2 Delta lnL.

    Raises:
        ShapeError: The arrays differ in length.
        PhysicsDomainError: A number is not finite.

    Notes:
        It compares two fixed hypotheses. The t(0) of a fit compares with the best fit and is as large if that is at the truth.
        Training events would make it too large: they are what the estimate was fitted to.

    References:
        Nguyen, Wainwright, Jordan, arXiv:0809.0853, eq. 12, here for Poisson processes.

    Examples:
        >>> a, b = np.array([2.0, 1.0]), np.array([1.0, 2.0])
        >>> exact = information_bound(np.log(a / b), numerator_weights=a, denominator_weights=b).value
        >>> round(exact, 4), round(2 * float(np.sum(b - a + a * np.log(a / b))), 4)
        (1.3863, 1.3863)
        >>> information_bound(3 * np.log(a / b), numerator_weights=a, denominator_weights=b).value < exact
        True
    """
    check_same_size(log_rate_ratio, numerator_weights, denominator_weights)
    part = 2 * (numerator_weights * log_rate_ratio - denominator_weights * np.expm1(log_rate_ratio))
    return Merit(float(part.sum()), part)


def log_rate_ratio(log_ratios: FloatArray, *, numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Combine the ratios of the processes into ln a(x)/b(x) of two hypotheses.

    Args:
        log_ratios: (n, n_processes) ln p_j / p_ref.
        numerator: (n_processes,) expected events of each process under the hypothesis on top, f_j nu_j; entries may be negative.
        denominator: (n_processes,) the same below.

    Returns:
        (n,) natural logarithms.

    Raises:
        ShapeError: The numbers of processes differ.
        PhysicsDomainError: A density is not positive at an event, which is named.

    Examples:
        >>> log_rate_ratio(np.log([[2.0, 1.0]]), numerator=np.array([1.0, 2.0]), denominator=np.array([0.0, 2.0])).round(4).tolist()
        [0.6931]
    """
    logs = []
    peak = log_ratios.max(axis=1)
    for name, shares in (("numerator", numerator), ("denominator", denominator)):
        if shares.shape != (log_ratios.shape[1],):
            raise ShapeError(f"{name} yields", got=shares.shape, expected=f"({log_ratios.shape[1]},)", remedy="pass one per process")
        density = np.exp(log_ratios - peak[:, None]) @ shares
        if not (density > 0).all():
            worst = int(np.argmin(density))
            raise PhysicsDomainError(
                f"density of the {name} at event row {worst}",
                got=f"{density[worst]:g}",
                expected="> 0",
                remedy="look at the ratio estimates of that event",
            )
        logs.append(np.log(density))
    return np.asarray(logs[0] - logs[1])
