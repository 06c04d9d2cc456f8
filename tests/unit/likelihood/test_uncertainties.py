"""MINOS, pulls, impacts and the table of uncertainties: closed forms of linear Gaussian models, scans, edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.likelihood.pyhf_models import model
from tests.unit.likelihood.systematics_toy import asimov, channel
from toolkit.errors import SchemaError
from toolkit.likelihood import Constraint, FitResult, PyhfLikelihood, UnbinnedLikelihood, breakdown, impacts, minos, pulls
from toolkit.likelihood.intervals import find_intervals


@pytest.fixture(scope="module")
def likelihood() -> UnbinnedLikelihood:
    toy = channel(4000, seed=5)
    return toy.likelihood(weights=asimov(toy.x, 1.7))


@pytest.fixture(scope="module")
def fit(likelihood: UnbinnedLikelihood) -> FitResult:
    return likelihood.fit(fixed={"t0": 1.0})


def counting(observed: float, *, pull: float = 0.0) -> PyhfLikelihood:
    """One bin, 100 mu + 400 (1 + 5 % alpha): nearly linear and Gaussian."""
    built = model("correlated")
    return PyhfLikelihood(built, [observed, observed, pull])


def test_minos_ends_where_the_profile_crosses(likelihood: UnbinnedLikelihood, fit: FitResult) -> None:
    fixed = {"t0": 1.0}
    for threshold in (1.0, 3.841458820694124):
        error = minos(likelihood, fit, "mu", threshold=threshold, fixed=fixed)
        for end in (fit.parameters["mu"] + error.up, fit.parameters["mu"] - error.down):
            if 0.0 < end < 5.0:
                local = likelihood.fit(fixed={**fixed, "mu": end})
                assert local.twice_nll - fit.twice_nll == pytest.approx(threshold, abs=1e-3)


def test_minos_agrees_with_a_scan() -> None:
    """Crossings of a profiled scan, found by find_intervals, for a model with one minimum."""
    built = model("everything")
    start = np.array(built.config.suggested_init())
    likelihood = PyhfLikelihood(built, [*built.expected_actualdata(start), *built.config.auxdata])
    fit = likelihood.fit()
    error = minos(likelihood, fit, "mu")
    scan = likelihood.scan("mu", np.array([0.0, 0.5, 1.5, 3.0]), fit=fit)

    def curve(x: float) -> float:
        return float(likelihood.profile_points("mu", np.array([x]), fit=fit)[0]) - fit.twice_nll

    piece = find_intervals(scan, threshold=1.0, bounds=(0.0, 10.0), curve=curve)[0]
    assert fit.parameters["mu"] + error.up == pytest.approx(piece.high, abs=1e-3 * fit.errors["mu"])
    if error.at_low:
        assert piece.low == 0.0
    else:
        assert fit.parameters["mu"] - error.down == pytest.approx(piece.low, abs=1e-3 * fit.errors["mu"])


def test_an_end_beyond_the_range_is_the_edge() -> None:
    likelihood = counting(52.0)
    fit = likelihood.fit()
    error = minos(likelihood, fit, "mu", threshold=25.0)
    assert error.at_low
    assert error.down == pytest.approx(fit.parameters["mu"])
    assert not error.at_high


def test_pulls_are_zero_and_one_when_the_data_say_nothing(likelihood: UnbinnedLikelihood) -> None:
    """A parameter without effect keeps its constraint: pull 0 (or what was observed), constraint 1."""
    toy = channel(300)
    idle = toy.likelihood(shapes=None, reference=None, systematics=(), weights=asimov(toy.x), constraints=[Constraint("slope", 0.4)])
    fit = idle.fit(fixed={"t0": 1.0, "lumi": 1.0, "scale": 0.0})
    (only,) = pulls(idle, fit)
    assert (only.pull, only.constraint) == (pytest.approx(0.0, abs=1e-6), pytest.approx(1.0, rel=1e-6))
    assert fit.parameters["slope"] == pytest.approx(0.4)
    moved = counting(50.0, pull=1.0)
    assert abs(pulls(moved, moved.fit())[0].pull) < 1.0


def test_impacts_are_those_of_the_covariance(likelihood: UnbinnedLikelihood, fit: FitResult) -> None:
    """To first order the impact of alpha is cov(mu, alpha) / sigma(alpha)."""
    assert fit.status == "converged"
    found = impacts(likelihood, likelihood.fit(), parameters=["lumi", "scale"])
    assert found[0].size >= found[1].size
    full = likelihood.fit()
    k = full.free.index("mu")
    for impact in found:
        m = full.free.index(impact.parameter)
        expected = full.covariance[k][m] / math.sqrt(full.covariance[m][m])
        assert 0.5 * (impact.up - impact.down) == pytest.approx(expected, rel=0.15)


def test_the_table_of_uncertainties_adds_up(likelihood: UnbinnedLikelihood) -> None:
    full = likelihood.fit()
    table = {c.group: c for c in breakdown(likelihood, full, {"luminosity": ["lumi"], "shapes": ["scale", "slope"]})}
    total, statistical, systematic = (table[n].up for n in ("total", "statistical", "systematic"))
    assert total == pytest.approx(math.hypot(statistical, systematic), rel=1e-6)
    assert statistical < total
    assert table["luminosity"].up <= systematic + 1e-9
    assert table["shapes"].up <= systematic + 1e-9
    fixed = {n: full.parameters[n] for n in ("lumi", "scale", "slope")}
    assert statistical == pytest.approx(minos(likelihood, full, "mu", fixed=fixed).up, rel=1e-9)


def test_correlations_are_normalised(likelihood: UnbinnedLikelihood) -> None:
    fit = likelihood.fit()
    np.testing.assert_allclose(np.diag(fit.correlation), 1.0)
    assert np.abs(fit.correlation).max() <= 1.0 + 1e-12
    assert fit.errors["scale"] == pytest.approx(math.sqrt(fit.covariance[fit.free.index("scale")][fit.free.index("scale")]))
    assert FitResult.from_json(fit.to_json()) == fit


def test_unknown_parameters_are_refused(likelihood: UnbinnedLikelihood, fit: FitResult) -> None:
    for call in (lambda: impacts(likelihood, fit, parameters=["nobody"]), lambda: minos(likelihood, fit, "nobody")):
        with pytest.raises(SchemaError, match="nobody"):
            call()
    with pytest.raises(SchemaError, match="nobody"):
        breakdown(likelihood, fit, {"group": ["nobody"]})
