"""The differentiated HistFactory model: pyhf's values, exact gradients, fits and refusals, for every modifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf
import pytest

from tests.unit.likelihood.pyhf_models import NAMES, model, random_points
from toolkit.likelihood import Parameter, PyhfLikelihood
from toolkit.likelihood.histfactory_kernel import compile_model


def data_of(built: pyhf.Model, rng: np.random.Generator) -> np.ndarray:
    """Poisson counts, auxiliary data moved a little."""
    start = np.array(built.config.suggested_init())
    counts = rng.poisson(built.expected_actualdata(start)).astype(float)
    return np.concatenate([counts, np.array(built.config.auxdata) * rng.uniform(0.95, 1.05, built.config.nauxdata)])


@pytest.mark.parametrize("name", NAMES)
def test_values_are_pyhfs_at_100_random_points(name: str) -> None:
    rng = np.random.default_rng(11)
    built = model(name)
    likelihood = PyhfLikelihood(built, data_of(built, rng))
    assert compile_model(built) is not None
    points = random_points(likelihood, rng, 100)
    ours = likelihood.twice_nll_points(points)
    order = [likelihood.parameter_names.index(n) for n in built.config.par_names]
    theirs = [-2.0 * float(built.logpdf(p[order], likelihood.data)[0]) for p in points]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_hessian_by_finite_differences(name: str) -> None:
    rng = np.random.default_rng(12)
    built = model(name)
    likelihood = PyhfLikelihood(built, data_of(built, rng))
    for point in random_points(likelihood, rng, 3):
        gradient, hessian = likelihood.gradient(point), likelihood.hessian_at(point)
        for k, p in enumerate(likelihood.parameters):
            if p.fixed:
                continue
            moved = [point + m * 1e-4 * np.eye(len(point))[k] for m in (-2, -1, 1, 2)]
            v = likelihood.twice_nll_points(np.array(moved))
            assert gradient[k] == pytest.approx((v[0] - 8 * v[1] + 8 * v[2] - v[3]) / 12e-4, rel=1e-6, abs=2e-6)
            assert hessian is not None
            slope = (likelihood.gradient(moved[2]) - likelihood.gradient(moved[1])) / 2e-4
            free = [not q.fixed for q in likelihood.parameters]
            np.testing.assert_allclose(hessian[k][free], slope[free], rtol=1e-4, atol=1e-3)


def test_kernel_and_differences_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kernel the class keeps to pyhf's values and numerical derivatives: the same numbers."""
    built, rng = model("everything"), np.random.default_rng(13)
    exact = PyhfLikelihood(built, data_of(built, rng))
    monkeypatch.setattr("toolkit.likelihood.pyhf_model.compile_model", lambda _: None)
    slow = PyhfLikelihood(built, exact.data)
    for point in random_points(exact, rng, 3):
        assert slow.twice_nll(point) == pytest.approx(exact.twice_nll(point), rel=1e-12)
        np.testing.assert_allclose(slow.gradient(point), exact.gradient(point), rtol=1e-6, atol=1e-6)


def test_other_interpolation_codes() -> None:
    settings = {"normsys": {"interpcode": "code1"}, "histosys": {"interpcode": "code0"}}
    built, rng = model("everything", modifier_settings=settings), np.random.default_rng(14)
    likelihood = PyhfLikelihood(built, data_of(built, rng))
    points = random_points(likelihood, rng, 10)
    order = [likelihood.parameter_names.index(n) for n in built.config.par_names]
    theirs = [-2.0 * float(built.logpdf(p[order], likelihood.data)[0]) for p in points]
    np.testing.assert_allclose(likelihood.twice_nll_points(points), theirs, rtol=1e-12)
    assert compile_model(model("everything", modifier_settings={"histosys": {"interpcode": "code2"}})) is None
    assert compile_model(model("everything", clip_bin_data=1e-9)) is None


def test_ties_with_vanishing_and_negative_coefficients() -> None:
    """A normfactor tied to mu - sqrt(mu) is zero at 1 and negative below: products over the other factors stay exact."""
    built = model("everything")
    mu = Parameter("strength", init=0.5, low=0.0, high=4.0)
    likelihood = PyhfLikelihood(built, data_of(built, np.random.default_rng(15)), ties={"mu": "strength - sqrt(strength)"}, parameters=[mu])
    for value in (0.3, 1.0, 2.0):
        at: dict[str, Any] = {"strength": value, "acc": 0.4, "shape": -0.2}
        step = 1e-4
        v = [likelihood.twice_nll({**at, "strength": value + m * step}) for m in (-2, -1, 1, 2)]
        assert likelihood.gradient(at)[0] == pytest.approx((v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * step), rel=1e-6, abs=1e-6)
    assert likelihood.gradient({"strength": 0.0})[0] in {np.inf, -np.inf}
