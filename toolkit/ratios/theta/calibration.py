"""Calibrate a network that reads the parameter: take away the bias along the directions in which a bias moves the fit.

The expected slope of the likelihood at a true value vanishes if the estimated density q(x|theta) has the true expectation of its own score
d ln q / d theta (`toolkit.ratios.calibration`). Scores at all values are nearly combinations of a few differences phi_j of log ratios at
neighbouring anchors, so that it is enough to have the expectations of these right at every theta. The density

    q'(x|theta) = q(x|theta) exp(sum_j b_j(theta) phi_j(x)) / norm(theta)

has them for one b(theta), the minimum of a convex function (q' is an exponential family in b). It is found at every node on events that the
networks did not train on, and a polynomial goes through the nodes.

References:
    Csiszar, Ann. Probab. 3 (1975) 146: the density nearest to q with given expectations is such a tilt of q.
"""

from __future__ import annotations

import numpy as np

from toolkit.errors import FitError
from toolkit.typing import FloatArray

STEPS = 50
HALVINGS = 20
RIDGE = 1e-9
EQUAL = 1e-10


def fit_tilts(log_ratios: FloatArray, phi: FloatArray, *, reference: FloatArray, numerators: FloatArray) -> FloatArray:
    """Find the tilt of every node.

    Args:
        log_ratios: Estimated ln p(x|theta_k) / p_ref(x) at the nodes, any normalisation, (n, n_nodes).
        phi: Directions, (n, n_phi).
        reference: Weights of the events under the reference, (n,).
        numerators: Weights of the events at the nodes, (n, n_nodes).

    Returns:
        b_j of every node, (n_nodes, n_phi).

    Raises:
        FitError: A node has no expected events.

    Examples:
        Events on a line, an estimate that is flat, the truth exp(x / 2):

        >>> x = np.linspace(-1.0, 1.0, 101)
        >>> truth = np.exp(0.5 * x)[:, None]
        >>> fit_tilts(np.zeros((101, 1)), x[:, None], reference=np.ones(101), numerators=truth).round(6).tolist()
        [[0.5]]
    """
    return np.stack([_fit(log_ratios[:, k], phi, reference, numerators[:, k]) for k in range(log_ratios.shape[1])])


def _fit(log_ratio: FloatArray, phi: FloatArray, reference: FloatArray, numerator: FloatArray) -> FloatArray:
    if not numerator.sum() > 0.0:
        raise FitError("calibration of the networks", got=f"{numerator.sum():g} expected events at a value", expected="> 0")
    wanted = numerator @ phi / numerator.sum()
    b = np.zeros(phi.shape[1])
    value, density = _loss(b, log_ratio, phi, reference, wanted)
    for _ in range(STEPS):
        mean = density @ phi
        centred = phi - mean
        hessian = (centred * density[:, None]).T @ centred
        step = np.linalg.solve(hessian + RIDGE * np.trace(hessian) * np.eye(len(b)), wanted - mean)
        found, moved = _loss(b + step, log_ratio, phi, reference, wanted)
        for _ in range(HALVINGS):
            if found <= value + EQUAL * abs(value):
                break
            step = 0.5 * step
            found, moved = _loss(b + step, log_ratio, phi, reference, wanted)
        b, value, density = b + step, found, moved
        if np.max(np.abs(step)) < EQUAL:
            break
    return b


def _loss(b: FloatArray, log_ratio: FloatArray, phi: FloatArray, reference: FloatArray, wanted: FloatArray) -> tuple[float, FloatArray]:
    """Return ln E_ref[r exp(b phi)] - b . wanted, and the density of the events under the tilted estimate, which sums to 1."""
    exponent = log_ratio + phi @ b
    peak = float(exponent.max())
    density = reference * np.exp(exponent - peak)
    total = float(density.sum())
    return float(np.log(total) + peak - b @ wanted), density / total
