"""How much an estimated ratio or a histogram can tell two hypotheses apart: -2 Delta lnL that no bias of the estimate can inflate.

The exact expectation of -2 Delta lnL between the rates a(x) (true) and b(x) is t = 2 int [b - a + a ln(a/b)]. For ANY positive function
r(x) in place of a/b

    t >= 2 int [ a ln r - b (r - 1) ],        equal only for r = a/b,

so the right-hand side, evaluated on events that the estimate has not seen, is what the estimate is good for: a wrong ratio, however
confident, only lowers it.
"""

from __future__ import annotations

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.inputs import check_vector
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


def histogram_information(score: FloatArray, *, numerator_weights: FloatArray, denominator_weights: FloatArray, edges: FloatArray) -> Merit:
    """Compute the Asimov -2 Delta lnL of a histogram, 2 sum_k [b_k - a_k + a_k ln(a_k / b_k)].

    Args:
        score: (n,) the observable; values beyond the edges count in the end bins.
        numerator_weights: (n,) expected events under the true hypothesis.
        denominator_weights: (n,) expected events of the same simulated events under the other one.
        edges: (k + 1,) increasing edges.

    Returns:
        The information with its error.

    Raises:
        SchemaError: The edges do not increase.
        PhysicsDomainError: A bin is not positive under one of the hypotheses.

    Notes:
        Noise in the bins adds: the expectation exceeds the exact value by the sum over bins of the variance of (a_k - b_k) over
        a_k, roughly. With weights of the same events that difference is precise.

    Examples:
        >>> x, edges = np.array([0.5, 1.5]), np.array([0.0, 1.0, 2.0])
        >>> histogram_information(
        ...     x, numerator_weights=np.array([2.0, 1.0]), denominator_weights=np.array([1.0, 2.0]), edges=edges
        ... ).value.__round__(4)
        1.3863
    """
    grid = np.asarray(edges, dtype=np.float64)
    for name, weights in (("numerator", numerator_weights), ("denominator", denominator_weights)):
        check_vector(weights, name=f"{name} weights", size=score.size)
    check_vector(score, name="score", size=score.size)
    index = clipped_index(score, grid)
    a, b = bin_sums(index, grid.size - 1, np.stack([numerator_weights, denominator_weights], axis=1)).T
    if not (np.minimum(a, b) > 0).all():
        worst = int(np.argmin(np.minimum(a, b)))
        raise PhysicsDomainError(
            f"bin {worst} of the score",
            got=f"{a[worst]:g} and {b[worst]:g} expected events",
            expected="positive under both hypotheses",
            remedy="use fewer or wider bins",
        )
    log, ratio = np.log(a / b), a / b
    value = float(2 * np.sum(b - a + a * log))
    return Merit(value, 2 * (numerator_weights * log[index] + denominator_weights * (1 - ratio)[index]))
