"""The examples of pyhf's documentation: its likelihood, its fits and the numbers that it prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyhf
import pytest

from tests.unit.likelihood.pyhf_documentation import DOCUMENTS
from tests.unit.likelihood.pyhf_models import random_points
from toolkit.likelihood import Likelihood, PyhfLikelihood, Workspace, cls, upper_limit
from toolkit.likelihood.histfactory import quiet_schema

TWO_MINIMA = "coupled_histosys"
"""A sample that falls both ways: pyhf's fit stops in the higher minimum, and its CLs is that of another hypothesis."""


@pytest.fixture
def precise() -> Iterator[None]:
    """Let pyhf fit with MINUIT to high precision."""
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-6, strategy=2))
    yield
    pyhf.set_backend("numpy", "scipy")


def both(name: str) -> tuple[Likelihood, pyhf.Model, list[float]]:
    with quiet_schema():
        theirs = pyhf.Workspace(DOCUMENTS[name])
        model = theirs.model()
    return Workspace(DOCUMENTS[name]).likelihood(), model, theirs.data(model)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_twice_nll_at_100_random_points(name: str) -> None:
    likelihood, model, data = both(name)
    points = random_points(likelihood, np.random.default_rng(21), 100)
    order = [likelihood.parameter_names.index(n) for n in model.config.par_names]
    theirs = [-2.0 * float(model.logpdf(p[order], data)[0]) for p in points]
    np.testing.assert_allclose(likelihood.twice_nll_points(points), theirs, rtol=1e-9)


def test_of_two_minima_the_lower_one_is_reported() -> None:
    likelihood, model, data = both(TWO_MINIMA)
    fit = likelihood.fit()
    assert fit.twice_nll < float(pyhf.infer.mle.fit(data, model, return_fitted_val=True)[1]) - 1.0
    assert np.abs(likelihood.gradient(fit.parameters)).max() < 1e-6


@pytest.mark.usefixtures("precise")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_fits_agree(name: str) -> None:
    likelihood, model, data = both(name)
    ours = likelihood.fit()
    assert ours.twice_nll <= float(pyhf.infer.mle.fit(data, model, return_fitted_val=True)[1]) + 1e-9
    start = [ours.parameters[n] for n in model.config.par_names]  # with two minima pyhf stops in the one next to its start
    pars, height = pyhf.infer.mle.fit(data, model, init_pars=start, return_fitted_val=True)
    assert ours.twice_nll == pytest.approx(float(height), abs=1e-6)
    for parameter, value in zip(model.config.par_names, pars, strict=True):
        sigma = ours.errors[parameter]
        allowed = 1e-4 * sigma if np.isfinite(sigma) else 1e-4
        assert ours.parameters[parameter] == pytest.approx(float(value), abs=allowed), parameter


@pytest.mark.usefixtures("precise")
@pytest.mark.parametrize("name", [n for n in DOCUMENTS if n != TWO_MINIMA])
def test_cls_agrees(name: str) -> None:
    likelihood, model, data = both(name)
    assert isinstance(likelihood, PyhfLikelihood)
    ours = cls(likelihood, 1.0, likelihood.asimov)
    observed, band = pyhf.infer.hypotest(1.0, data, model, test_stat="qtilde", return_expected_set=True)
    assert ours.observed == pytest.approx(float(observed), abs=1e-6, rel=1e-4)
    np.testing.assert_allclose(ours.expected, np.array(band, dtype=float), rtol=1e-4, atol=1e-6)


def test_the_numbers_that_the_documentation_prints() -> None:
    """Docstrings of pyhf.infer.mle.twice_nll, mle.fit, test_statistics.qmu_tilde, q0, hypotest and intervals."""
    likelihood: Any = both("hello_world")[0]
    assert likelihood.twice_nll({}) == pytest.approx(30.77525435, abs=5e-9)
    fit = likelihood.fit()
    assert fit.twice_nll == pytest.approx(24.98393521, abs=2e-7)
    gammas = [f"uncorr_bkguncrt[{b}]" for b in range(2)]
    assert fit.parameters["mu"] == 0.0
    assert [fit.parameters[g] for g in gammas] == pytest.approx([1.0030512, 0.96266961], abs=2e-5)
    conditional = likelihood.fit(fixed={"mu": 1.0})
    assert conditional.twice_nll - fit.twice_nll == pytest.approx(3.93824492, abs=2e-6)
    assert [conditional.parameters[g] for g in gammas] == pytest.approx([0.97224597, 0.87553894], abs=2e-5)
    result = cls(likelihood, 1.0, likelihood.asimov)
    assert result.observed == pytest.approx(0.05251497, abs=2e-6)
    assert result.expected == pytest.approx([0.00260626, 0.01382005, 0.06445321, 0.23525644, 0.57303621], abs=1e-5)
    limit = upper_limit(likelihood, likelihood.asimov)
    assert limit == pytest.approx(1.01156939, rel=0.01)  # found there to one per cent
    excess = likelihood.with_data([60.0, 65.0])
    best, background = excess.fit(), excess.fit(fixed={"mu": 0.0})
    assert background.twice_nll - best.twice_nll == pytest.approx(2.98339447, abs=2e-6)
    assert [best.parameters[n] for n in ("mu", *gammas)] == pytest.approx(
        [0.95260667, 0.99635345, 1.02140172], abs=5e-4
    )  # to SLSQP's precision
    assert [background.parameters[g] for g in gammas] == pytest.approx([1.03050845, 1.12128752], abs=2e-5)
