"""Sums of likelihoods where the terms diverge: under a root at zero one goes up and the other down."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.likelihood import BinnedLikelihood, CombinedLikelihood


@pytest.mark.parametrize(("up", "sign"), [(3.0, -1.0), (1.0, 1.0)])
def test_the_derivative_of_a_sum_at_a_root_of_zero_is_the_limit_from_above(up: float, sign: float) -> None:
    """Expected 10 + c sqrt(mu) against data of 14, with c = `up` and c = -2: near zero the slope by sqrt(mu) is -0.8 (up - 2)."""
    common = {"data": [14.0], "coefficients": ("sqrt(mu)", "1"), "parameters": ("mu",), "bounds": {"mu": (0.0, 4.0)}}
    terms = [BinnedLikelihood(templates=[[c], [10.0]], channel=name, **common) for name, c in (("one", up), ("two", -2.0))]  # type: ignore[arg-type]
    both = CombinedLikelihood(terms, poi="mu")
    value, gradient = both.value_and_gradient({"mu": 0.0})
    assert value == pytest.approx(sum(t.twice_nll({"mu": 0.0}) for t in terms), abs=1e-12)
    assert gradient.tolist() == both.gradient({"mu": 0.0}).tolist() == [sign * np.inf]
    near = 1e-8
    slope = (both.twice_nll({"mu": near}) - value) / np.sqrt(near)
    assert slope == pytest.approx(-0.8 * (up - 2.0), rel=1e-2)
