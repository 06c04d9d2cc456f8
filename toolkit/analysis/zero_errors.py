"""Error of t(0) from the finite number of simulated events, without refitting."""

from __future__ import annotations

import math

import numpy as np

from toolkit.analysis.finite_simulation import Sample
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.region_method import RegionMethod
from toolkit.likelihood import FitResult, Likelihood
from toolkit.typing import FloatArray


def zero_error(method: Method, likelihood: Likelihood, *, poi: str, fit: FitResult, test: FloatArray, pool: FloatArray) -> float:
    """Estimate the standard error of t(0) = -2 ln of the likelihood ratio between 0 and the best fit of an Asimov set.

    An event that counts k times in place of once moves t(0) by 2 w (k - 1) ln[p(best fit) / p(0)]: parameters stay where they are in first
    order, because t is stationary in all that are fitted. Pool events, which the model is made of, are treated like the data, as for
    best fits (`toolkit.analysis.finite_simulation`).

    Args:
        method: The method.
        likelihood: Its likelihood without systematic uncertainties.
        poi: Parameter of interest.
        fit: The global fit.
        test: Weights of the test events, (n_test,).
        pool: Weights of the pool events, (n_pool,).

    Returns:
        The error from test and pool events in quadrature; NaN where 0 is outside the range, and for a method whose densities are no sum
        of fixed ones.
    """
    parameter = likelihood.parameters[likelihood.parameter_names.index(poi)]
    methods = [p.method for p in method.parts] if isinstance(method, RegionMethod) else [method]
    if not parameter.low <= 0.0 <= parameter.high or not all(isinstance(m, BinnedMethod | UnbinnedMethod) for m in methods):
        return math.nan
    without = likelihood.fit(fixed={poi: 0.0})
    points = [dict(zip(likelihood.parameter_names, likelihood.point(f.parameters).tolist(), strict=True)) for f in (fit, without)]
    total = 0.0
    for weights, of_pool in ((test, False), (pool, True)):
        parts: list[tuple[Method, FloatArray]] = [(method, weights)]
        if isinstance(method, RegionMethod):
            parts = [(p.method, weights[p.pool if of_pool else p.test]) for p in method.parts]
        for one, own in parts:
            sample = Sample.of(one, own, of_pool)
            change = sample.log_density(points[0]) - sample.log_density(points[1])
            total += float(np.sum((2.0 * sample.weights * change) ** 2))
    return math.sqrt(total)
