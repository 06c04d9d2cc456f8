"""Significance of a signal: how unlikely the data are without it.

What to use when: `significance` for the asymptotic number, observed (likelihood of the data) or expected (likelihood of an Asimov set with
signal: its median); `toolkit.likelihood.toy_p_value` for the probability from toys of background alone, which needs no approximation. With
interference or few events the test statistic is not distributed as a chi-square, so take the toys there.

    q_0 = -2 ln lambda(background) / lambda(best fit) if the best fit is above the background's value, else 0;   Z = sqrt(q_0)

References:
    Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727, equations 12, 52, 53.
"""

from __future__ import annotations

from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.p_values import Significance


def significance(likelihood: Likelihood, *, fit: FitResult | None = None, poi: str | None = None, background: float = 0.0) -> Significance:
    """Test background alone against the best fit.

    Args:
        likelihood: Of the data for the observed significance; of the Asimov set with signal for the expected one.
        fit: The global fit, if it is known already.
        poi: Parameter of interest; the likelihood's own if not given.
        background: Its value without signal.

    Returns:
        The test; q = 0 if the best fit is not above the background's value.

    Examples:
        Without nuisance parameters q_0 = 2 (n ln(n / b) - n + b):

        >>> import math
        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> likelihood = BinnedLikelihood(templates=[[10.0], [20.0]], data=[35.0], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (0.0, 10.0)})
        >>> round(significance(likelihood).q, 6), round(2.0 * (35.0 * math.log(35.0 / 20.0) - 15.0), 6)
        (9.173105, 9.173105)
    """
    poi = likelihood.poi if poi is None else poi
    best = likelihood.fit() if fit is None else fit
    if not best.parameters[poi] > background:
        return Significance(0.0)
    without = likelihood.fit(fixed={poi: background})
    return Significance(max(without.twice_nll - best.twice_nll, 0.0))
