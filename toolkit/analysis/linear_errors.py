"""Errors of a best fit of several parameters from the finite number of simulated events behind it, to first order.

Data of events i with weights w_i and scores s_i = d ln(density)/d theta move the best fit by H^-1 sum w_i (k_i - 1) s_i when event i counts
k_i times, H being the second derivatives of -ln L. For independent Poisson counts k_i the covariance of the best fit is

    H^-1 [ sum_i w_i^2 s_i s_i^T ] H^-1

what an infinite bootstrap gives while the best fit moves linearly. Data that fluctuate against a fixed model move the best fit as much as a
model that fluctuates against fixed data, so the pool is treated like the data. Parameters that stand under a root are moved along the root,
in which densities are regular.

References:
    Huber, Proc. Fifth Berkeley Symp. (1967) 221 (the sandwich covariance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.errors import FitError
from toolkit.likelihood import Likelihood
from toolkit.model import Coefficients
from toolkit.typing import FloatArray

FLOOR = 1e-2
"""Smallest square root at which a derivative along the root is taken; errors at smaller ones are those there."""


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

    def scores(self, point: Mapping[str, float], names: Sequence[str], scale: FloatArray) -> FloatArray:
        """Differentiate ln(density) along the regular coordinates of parameters `names`, (n_events, n_names)."""
        own = self.coefficients.parameters
        at = np.array([[point[name] for name in own]])
        f, slopes = self.coefficients.values(at)[0], self.coefficients.jacobian(at)[0]
        total = self.densities @ f
        found = np.zeros((len(total), len(names)))
        for k, name in enumerate(own):
            found[:, names.index(name)] = self.densities @ slopes[k] * scale[names.index(name)] / total
        return found


def linear_errors(
    test: Sequence[Sample], pool: Sequence[Sample], *, point: Mapping[str, float], roots: frozenset[str], foreign: Sequence[Likelihood] = ()
) -> dict[str, tuple[float, float]]:
    """Estimate the errors of the best fit from the finite numbers of test and of pool events.

    Args:
        test: Test events of every region.
        pool: Pool events of every region.
        point: Best fit of all parameters.
        roots: Parameters that stand under a root.
        foreign: Likelihoods of workspaces of others: they hold parameters, and do not fluctuate with the simulation.

    Returns:
        (error from the test events, error from the pool events) by parameter.

    Raises:
        FitError: The events do not determine the parameters.

    Examples:
        A counting experiment, mu = (n - 5) / 10 with ten events of weight 1: an error of sqrt(10) / 10.

        >>> counts = Sample(np.tile([10.0, 5.0], (10, 1)), np.ones(10), Coefficients.parse(("mu", "1"), ("mu",)))
        >>> error, _ = linear_errors([counts], [counts], point={"mu": 0.5}, roots=frozenset())["mu"]
        >>> round(error, 6)
        0.316228
    """
    names = list(dict.fromkeys(name for sample in test for name in sample.coefficients.parameters))
    names += [n for term in foreign for n in term.parameter_names if n not in names and n in point]
    moved = {n: max(point[n], FLOOR**2) if n in roots else point[n] for n in names}
    scale = np.array([2.0 * moved[n] ** 0.5 if n in roots else 1.0 for n in names])
    hessian = np.zeros((len(names), len(names)))
    spreads = []
    for side in (test, pool):
        spread = np.zeros_like(hessian)
        for sample in side:
            scores = sample.scores(moved, names, scale)
            spread += (scores * (sample.weights**2)[:, None]).T @ scores
            if side is test:
                hessian += (scores * sample.weights[:, None]).T @ scores
        spreads.append(spread)
    for term in foreign:
        hessian += _of_foreign(term, moved, names, scale)
    try:
        inverse = np.linalg.inv(hessian)
    except np.linalg.LinAlgError as error:
        raise FitError(
            "errors of the finite simulation", got="a singular matrix", expected="parameters that the events determine"
        ) from error
    errors = [np.sqrt(np.maximum(np.diag(inverse @ spread @ inverse), 0.0)) * scale for spread in spreads]
    return {name: (float(errors[0][k]), float(errors[1][k])) for k, name in enumerate(names)}


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
        change = (term.slopes(ends[0]) - term.slopes(ends[1])) / (4.0 * step)
        for row, other in shared:
            out[other, column] = change[row] * scale[other] * scale[column]
    return np.asarray(0.5 * (out + out.T))
