"""Profiles: the same as independent fits, with a fraction of their evaluations; branches; single values after a scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.likelihood.pyhf_models import model
from tests.unit.likelihood.systematics_toy import asimov, channel
from toolkit.likelihood import FitResult, Likelihood, Parameter, PyhfLikelihood, UnbinnedLikelihood, minimise
from toolkit.likelihood.profiles import Profile

VALUES = np.linspace(0.0, 4.0, 17)


@pytest.fixture(scope="module")
def likelihood() -> UnbinnedLikelihood:
    toy = channel(3000, seed=8)
    return toy.likelihood(weights=asimov(toy.x, 1.4))


@pytest.fixture(scope="module")
def fit(likelihood: UnbinnedLikelihood) -> FitResult:
    return likelihood.fit()


def test_a_scan_is_what_independent_fits_give(likelihood: UnbinnedLikelihood, fit: FitResult) -> None:
    scan = likelihood.scan("mu", VALUES, fit=fit)
    alone = [likelihood.fit(fixed={"mu": float(v)}).twice_nll - fit.twice_nll for v in VALUES]
    np.testing.assert_allclose(scan.twice_delta_nll, alone, atol=1e-9)


def test_single_values_after_a_scan(likelihood: UnbinnedLikelihood, fit: FitResult) -> None:
    profile = Profile(likelihood, "mu", fit=fit)
    heights = profile.scan(VALUES)
    assert profile(float(VALUES[3])) == heights[3]
    for value in (0.37, 2.9):
        assert profile(value) == pytest.approx(likelihood.fit(fixed={"mu": value}).twice_nll, abs=1e-9)


def test_a_fit_close_by_saves_second_derivatives(likelihood: UnbinnedLikelihood, fit: FitResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Position to 1e-4 of the errors, value to 1e-9, without one Hessian and in a few passes."""
    calls = []
    hessian = UnbinnedLikelihood.hessian_at
    monkeypatch.setattr(UnbinnedLikelihood, "hessian_at", lambda self, point: calls.append(1) or hessian(self, point))
    start = [likelihood.point({**fit.parameters, "mu": 1.5})]
    warm = minimise(likelihood, fixed={"mu": 1.5}, starts=start, errors=False, near=fit)
    assert not calls
    assert warm.n_evaluations <= 8
    cold = minimise(likelihood, fixed={"mu": 1.5}, starts=start)
    assert calls
    assert warm.twice_nll == pytest.approx(cold.twice_nll, abs=1e-9)
    for name in cold.free:
        assert warm.parameters[name] == pytest.approx(cold.parameters[name], abs=1e-4 * cold.errors[name])
        assert warm.errors[name] == pytest.approx(cold.errors[name], rel=0.1)


def test_a_wrong_covariance_costs_time_but_not_the_result(likelihood: UnbinnedLikelihood, fit: FitResult) -> None:
    wrong = FitResult(**{**vars(fit), "covariance": tuple(tuple(400.0 * x for x in row) for row in fit.covariance)})
    start = [likelihood.point({**fit.parameters, "mu": 2.5})]
    found = minimise(likelihood, fixed={"mu": 2.5}, starts=start, errors=False, near=wrong)
    assert found.twice_nll == pytest.approx(likelihood.fit(fixed={"mu": 2.5}).twice_nll, abs=1e-9)
    infinite = FitResult(**{**vars(fit), "covariance": tuple(tuple(np.nan for _ in row) for row in fit.covariance)})
    again = minimise(likelihood, fixed={"mu": 2.5}, starts=start, errors=False, near=infinite)
    assert again.twice_nll == pytest.approx(found.twice_nll, abs=1e-9)


def test_binned_models_too() -> None:
    built = model("everything")
    start = np.array(built.config.suggested_init())
    binned = PyhfLikelihood(built, [*np.round(built.expected_actualdata(start) * [1.1, 0.9, 1.2]), *built.config.auxdata])
    values = np.linspace(0.2, 3.0, 6)
    scan = binned.scan("mu", values)
    best = binned.fit().twice_nll
    np.testing.assert_allclose(scan.twice_delta_nll, [binned.fit(fixed={"mu": float(v)}).twice_nll - best for v in values], atol=1e-8)


class Folded(Likelihood):
    """Two valleys in a nuisance parameter: that at alpha = -2 is lower for x < 1, that at alpha = 2 for x > 1."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return Parameter("x", 3.0, 0.0, 4.0), Parameter("alpha", 2.0, -5.0, 5.0)

    @property
    def diverging(self) -> frozenset[str]:
        return frozenset()

    def twice_nll_points(self, points: Any) -> Any:
        x, alpha = points.T
        return (alpha**2 - 4.0) ** 2 + (1.0 - x) * alpha + (x - 3.0) ** 2

    def gradient_at(self, point: Any) -> Any:
        x, alpha = point
        return np.array([-alpha + 2.0 * (x - 3.0), 4.0 * alpha * (alpha**2 - 4.0) + 1.0 - x])

    def hessian_at(self, point: Any) -> Any:
        return np.array([[2.0, -1.0], [-1.0, 12.0 * point[1] ** 2 - 16.0]])


def test_a_scan_is_never_above_the_valley_of_the_best_fit() -> None:
    folded = Folded()
    fit = folded.fit()
    assert fit.parameters["alpha"] == pytest.approx(2.0, abs=0.2)
    profile = Profile(folded, "x", fit=fit)
    out = profile.scan(VALUES)
    for value, height in zip(VALUES, out, strict=True):
        valley = minimise(folded, fixed={"x": float(value)}, starts=[np.array([value, 2.0])]).twice_nll
        assert height <= valley + 1e-9
    assert folded.surface(("x", "alpha"), ([1.0, 3.0], [-2.0, 2.0]))[1, 1] == pytest.approx(folded.twice_nll([3, 2]) - fit.twice_nll)
