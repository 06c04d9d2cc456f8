"""A likelihood in other parameters: derivatives of both orders, and a parameter at the end where those of the likelihood diverge."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.likelihood import BinnedLikelihood, CombinedLikelihood, Parameter
from toolkit.likelihood.base import differences_of_gradients
from toolkit.likelihood.reparameterised import ReparameterisedLikelihood

BOUNDS = {"mu_a": (0.0, 6.0), "mu_b": (0.0, 6.0), "t": (0.3, 3.0)}


def two_modes() -> CombinedLikelihood:
    """Two regions with interference of either sign: at mu = 0 the derivative of one is +inf, that of the other -inf."""
    terms = []
    for name, sign in (("mu_a", -1.0), ("mu_b", 1.0), ("mu_a", 1.0)):
        templates = [[10.0, 4.0], [sign * 6.0, sign * 3.0], [40.0, 60.0]]
        terms.append(
            BinnedLikelihood(
                templates=templates,
                data=[44.0 + sign, 62.0 - sign],
                coefficients=(name, f"sqrt({name})", "t"),
                parameters=(name, "t"),
                bounds={key: BOUNDS[key] for key in (name, "t")},
            )
        )
    return CombinedLikelihood(terms)


def common() -> ReparameterisedLikelihood:
    new = [Parameter("width", 1.0, 0.0, 6.0), Parameter("on", 1.0, 0.2, 3.0)]
    return ReparameterisedLikelihood(two_modes(), {"mu_a": "width * on", "mu_b": "width * on**2"}, new)


def test_second_derivatives_are_those_of_the_gradient() -> None:
    likelihood = common()
    for point in ([0.7, 1.2, 0.9], [2.5, 0.6, 1.3]):
        found = likelihood.hessian_at(np.array(point))
        assert found is not None
        np.testing.assert_allclose(found, differences_of_gradients(likelihood, np.array(point)), rtol=1e-5, atol=1e-5)


def test_derivatives_of_the_others_are_finite_where_one_diverges() -> None:
    """Only what moves a strength feels that its derivative diverges at 0."""
    likelihood = common()
    derivatives = likelihood.gradient_at(np.array([0.0, 1.0, 1.1]))
    near = likelihood.gradient_at(np.array([1e-12, 1.0, 1.1]))
    assert np.isfinite(derivatives[2])
    assert derivatives[2] == pytest.approx(near[2], abs=1e-4)
    grid = np.linspace(0.0, 3.0, 7)
    scan = likelihood.scan("width", grid)
    assert np.isfinite(scan.twice_delta_nll).all()
    lowest = min(likelihood.twice_nll({"width": 0.0, "on": 1.0, "t": float(t)}) for t in np.linspace(0.8, 1.3, 2001))
    best = likelihood.fit().twice_nll
    assert scan.twice_delta_nll[0] == pytest.approx(lowest - best, abs=1e-4)


def test_value_and_gradient_of_one_pass_are_those_of_two() -> None:
    likelihood = common()
    for point in ([0.7, 1.2, 0.9], [2.5, 0.6, 1.3], [0.0, 1.0, 1.1]):
        value, gradient = likelihood.value_and_gradient(np.array(point))
        assert value == pytest.approx(likelihood.twice_nll(point), rel=1e-12)
        np.testing.assert_allclose(gradient, likelihood.gradient(point), rtol=1e-12)


def test_only_strengths_and_what_interferes_already_are_searched_for_minima() -> None:
    """A background that moves all bins by one factor has one minimum, and lines along it cost time."""
    assert common().interfering == {"width", "on"}
    turning = BinnedLikelihood(
        templates=[[4.0], [10.0]],
        data=[12.0],
        coefficients=("(t - 1)**2", "mu"),
        parameters=("mu", "t"),
        bounds={"mu": (0.0, 4.0), "t": (0.0, 4.0)},
    )
    assert ReparameterisedLikelihood(turning, {"mu": "2 * nu"}, [Parameter("nu", 0.5, 0.0, 2.0)]).interfering == {"nu", "t"}


def test_bins_without_data_move_by_the_chain_rule() -> None:
    inner = BinnedLikelihood(
        templates=[[3.0, 5.0], [2.0, 1.0]],
        data=[0.0, 6.0],
        coefficients=("a", "b"),
        parameters=("a", "b"),
        bounds={"a": (-2.0, 4.0), "b": (-2.0, 4.0)},
    )
    likelihood = ReparameterisedLikelihood(
        inner, {"a": "mu * nu", "b": "mu"}, [Parameter("mu", 1.0, -2.0, 2.0), Parameter("nu", 1.0, -2.0, 2.0)]
    )
    expected, slopes = likelihood.without_data(np.array([0.5, 1.5]))
    assert expected.tolist() == pytest.approx([3.0 * 0.75 + 2.0 * 0.5])
    np.testing.assert_allclose(slopes, [[3.0 * 1.5 + 2.0, 3.0 * 0.5]], rtol=1e-12)
    value, gradient = likelihood.continued(np.array([-0.5, -1.5]))
    assert value == pytest.approx(inner.continued(np.array([0.75, -0.5]))[0])
    own = inner.continued(np.array([0.75, -0.5]))[1]
    np.testing.assert_allclose(gradient, [-1.5 * own[0] + own[1], -0.5 * own[0]], rtol=1e-12)
