"""Points that are forbidden because a bin or an event expects nothing: fits and scans go around them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import poisson

from toolkit.errors import PhysicsDomainError
from toolkit.likelihood import BinnedLikelihood, CombinedLikelihood, UnbinnedLikelihood, Workspace, measure
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.grid_fit import fit_on_grid

MU = {"name": "mu", "type": "normfactor", "data": None}


def workspace(samples: list[dict[str, Any]], data: list[float], low: float, high: float) -> Any:
    config = {"poi": "mu", "parameters": [{"name": "mu", "inits": [1.0], "bounds": [[low, high]]}]}
    return Workspace(
        {
            "version": "1.0.0",
            "channels": [{"name": "c", "samples": samples}],
            "observations": [{"name": "c", "data": data}],
            "measurements": [{"name": "m", "config": config}],
        }
    ).likelihood()


def normsys(name: str, high: float, low: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"hi": high, "lo": low}}


def grid_minimum(signal: list[float], background: list[float], data: list[float], low: float, high: float) -> tuple[float, float]:
    """The minimum over (mu, alpha) of Poisson(n | mu s + b 1.05^alpha) and a unit Gaussian, alpha >= 0 with 5 %, on a dense grid."""
    mu, alpha = np.meshgrid(np.linspace(low, high, 4001), np.linspace(-3.0, 3.0, 601), indexing="ij")
    factor = np.where(alpha > 0.0, 1.05 ** np.abs(alpha), 0.95 ** np.abs(alpha))  # exponential beyond 1, a little off inside
    total = alpha**2
    for s, b, n in zip(signal, background, data, strict=True):
        expected = mu * s + b * factor
        total += np.where(expected > 0.0, -2.0 * poisson.logpmf(n, np.where(expected > 0.0, expected, 1.0)), np.inf)
    i, j = np.unravel_index(np.argmin(total), total.shape)
    return float(mu[i, j]), float(alpha[i, j])


@pytest.mark.parametrize(
    ("signal", "background", "data", "bounds", "limit"),
    [
        ([148.8], [43.8], [237.0], (-10.0, 10.0), -43.8 / 148.8),
        ([20.0], [10.0], [3.0], (-10.0, 10.0), -0.5),
        ([4.0, 1.5], [9.0, 0.0], [10.0, 1.0], (0.0, 10.0), 0.0),
    ],
)
def test_a_fit_goes_around_what_is_forbidden(
    signal: list[float], background: list[float], data: list[float], bounds: tuple[float, float], limit: float
) -> None:
    likelihood = workspace(
        [
            {"name": "s", "data": signal, "modifiers": [MU]},
            {"name": "b", "data": background, "modifiers": [normsys("u", 1.05, 0.95)]},
        ],
        data,
        *bounds,
    )
    fit = likelihood.fit()
    mu, _ = grid_minimum(signal, background, data, *bounds)
    assert fit.status == "converged"
    assert fit.parameters["mu"] == pytest.approx(mu, abs=0.01)
    (found,) = fit.limits
    assert (found.parameter, found.side) == ("mu", "low")
    assert found.value == pytest.approx(limit, abs=1e-3)
    assert found.where == f"channel 'c', bin {len(data) - 1}"
    assert FitResult.from_json(json.loads(json.dumps(fit.to_json()))).limits == fit.limits


def test_profiles_use_the_nuisance_parameters_to_stay_allowed() -> None:
    """At mu = -0.46 the bin needs more background than at alpha = 0; at mu = -0.6 no alpha within +-5 suffices."""
    likelihood = workspace(
        [{"name": "s", "data": [20.0], "modifiers": [MU]}, {"name": "b", "data": [10.0], "modifiers": [normsys("u", 1.05, 0.95)]}],
        [3.0],
        -10.0,
        10.0,
    )
    scan = likelihood.scan("mu", [-10.0, -0.63, -0.55, -0.35, 0.0])
    assert np.isfinite(scan.twice_delta_nll).tolist() == [False, True, True, True, True]
    alpha = np.linspace(-5.0, 5.0, 400_001)
    for at, height in zip(scan.values[1:3], scan.twice_delta_nll[1:3], strict=True):
        expected = 20.0 * at + 10.0 * np.where(np.abs(alpha) < 1.0, 1.05**alpha, np.where(alpha > 0.0, 1.05**alpha, 0.95**-alpha))
        ok = expected > 0.0
        own = np.min(-2.0 * poisson.logpmf(3, expected[ok]) + alpha[ok] ** 2)
        best = -2.0 * poisson.logpmf(3, 3.0)
        assert height == pytest.approx(own - best, abs=1e-3)
    with pytest.raises(PhysicsDomainError, match="channel 'c', bin 0"):
        likelihood.fit(fixed={"mu": -2.0})


def test_an_expectation_of_zero_is_allowed_without_data() -> None:
    """Poisson(0 | 0) = 1 and Poisson(1 | 0) = 0, in all binned likelihoods alike."""
    for data, allowed in (([10.0, 0.0], True), ([10.0, 1.0], False)):
        binned = BinnedLikelihood(
            templates=[[4.0, 1.5], [9.0, 0.0]], data=data, coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 10.0)}
        )
        pyhf = workspace(
            [{"name": "s", "data": [4.0, 1.5], "modifiers": [MU]}, {"name": "b", "data": [9.0, 0.0], "modifiers": []}], data, 0.0, 10.0
        )
        for likelihood in (binned, pyhf):
            value = likelihood.twice_nll({"mu": 0.0})
            if allowed:
                assert value == pytest.approx(-2.0 * poisson.logpmf(10, 9.0), abs=1e-9)
                assert likelihood.gradient({"mu": 0.0})[0] == pytest.approx(2.0 * (4.0 - 10.0 / 9.0 * 4.0 + 1.5), abs=1e-9)
            else:
                assert value == math.inf


def test_a_forbidden_start_is_moved() -> None:
    """The initial mu = 1 expects nothing; only small mu is allowed: 10 - 20 mu with 6 events, minimum at 0.2."""
    likelihood = BinnedLikelihood(
        templates=[[-20.0], [10.0]], data=[6.0], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 2.0)}
    )
    assert likelihood.twice_nll(1.0) == math.inf
    assert likelihood.fit().parameters["mu"] == pytest.approx(0.2, abs=1e-6)
    assert fit_on_grid(likelihood).value == pytest.approx(0.2, abs=1e-6)
    nowhere = BinnedLikelihood(
        templates=[[-20.0], [10.0]], data=[6.0], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.6, 2.0)}
    )
    with pytest.raises(PhysicsDomainError, match="bin 0"):
        nowhere.fit()


def test_a_combination_is_forbidden_where_one_term_is() -> None:
    binned = BinnedLikelihood(
        templates=[[-20.0], [10.0]], data=[6.0], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 2.0)}
    )
    unbinned = UnbinnedLikelihood(
        log_ratios=np.zeros((4, 2)),
        weights=np.ones(4),
        yields=[5.0, 3.0],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 2.0)},
    )
    both = CombinedLikelihood([unbinned, binned])
    assert both.value_and_gradient(1.0)[0] == math.inf
    with pytest.raises(PhysicsDomainError, match="channel 'channel', bin 0"):
        both.check(1.0)
    mu = np.linspace(0.0, 0.4999, 500_000)
    own = 2.0 * (3.0 + 5.0 * mu - 4.0 * np.log(3.0 + 5.0 * mu)) + 2.0 * (10.0 - 20.0 * mu - 6.0 * np.log(10.0 - 20.0 * mu))
    fit = both.fit()
    assert fit.parameters["mu"] == pytest.approx(mu[np.argmin(own)], abs=1e-5)
    assert [str(limit) for limit in fit.limits] == ["mu < 0.5 (channel 'channel', bin 0)"]


def test_a_fixed_parameter_has_the_error_zero() -> None:
    likelihood = BinnedLikelihood(
        templates=[[10.0], [5.0]], data=[12.0], coefficients=("mu", "nu"), parameters=("mu", "nu"), bounds={"mu": (0, 4), "nu": (0, 4)}
    )
    assert likelihood.fit(fixed={"nu": 1.0}).errors == {"mu": pytest.approx(math.sqrt(12.0) / 10.0, rel=1e-6), "nu": 0.0}
    assert likelihood.fit(fixed={"mu": 1.0, "nu": 1.0}).errors == {"mu": 0.0, "nu": 0.0}


def test_no_warning_with_two_strengths_one_of_them_at_zero() -> None:
    likelihood = BinnedLikelihood(
        templates=[[10.0, 4.0], [-3.0, 1.0], [6.0, 5.0], [2.0, -1.0], [40.0, 30.0]],
        data=[60.0, 42.0],
        coefficients=("mu", "sqrt(mu)", "nu", "sqrt(nu)", "1"),
        parameters=("mu", "nu"),
        bounds={"mu": (0.0, 6.0), "nu": (0.0, 6.0)},
    )
    fit = likelihood.fit(fixed={"mu": 0.0})
    nu = np.linspace(0.0, 6.0, 1_000_001)
    expected = np.array([[6.0], [5.0]]) * nu + np.array([[2.0], [-1.0]]) * np.sqrt(nu) + np.array([[40.0], [30.0]])
    curve = 2.0 * np.sum(expected - np.array([[60.0], [42.0]]) * np.log(expected), axis=0)
    assert fit.parameters["nu"] == pytest.approx(nu[np.argmin(curve)], abs=1e-5)
    assert np.isfinite(likelihood.gradient({"mu": 0.0, "nu": 1.0})[1])


def test_a_bin_without_data_may_hold_the_best_fit() -> None:
    """Without the limit mu = (50 / 14 - 12) / 10 = -0.843; the empty bin expects 1 + 4 mu, so the fit stops at -1/4."""
    binned = BinnedLikelihood(
        templates=[[10.0, 4.0], [12.0, 1.0]], data=[5.0, 0.0], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (-10.0, 10.0)}
    )
    pyhf = workspace(
        [{"name": "s", "data": [10.0, 4.0], "modifiers": [MU]}, {"name": "b", "data": [12.0, 1.0], "modifiers": []}], [5.0, 0.0], -10, 10
    )
    for likelihood in (binned, pyhf):
        fit = likelihood.fit()
        assert fit.parameters["mu"] == pytest.approx(-0.25, abs=1e-7)
        assert fit.twice_nll == pytest.approx(-2.0 * poisson.logpmf(5, 9.5), abs=1e-6)
        assert fit.status == "at_boundary"
        assert "bins without data" in fit.advice
        assert fit.limits[0].where == ("channel 'channel', bin 1" if likelihood is binned else "channel 'c', bin 1")


def test_the_limit_may_be_a_curve_of_several_parameters() -> None:
    """Signal strength against a background of 30 %: along the limit 1 + 4 mu + 0.3 alpha = 0 the minimum of a dense scan."""
    histosys = {"name": "u", "type": "histosys", "data": {"hi_data": [15.6, 1.3], "lo_data": [8.4, 0.7]}}
    likelihood = workspace(
        [{"name": "s", "data": [10.0, 4.0], "modifiers": [MU]}, {"name": "b", "data": [12.0, 1.0], "modifiers": [histosys]}],
        [5.0, 0.0],
        -10,
        10,
    )
    alpha = np.linspace(-3.0, 3.0, 600_001)
    mu = -(1.0 + 0.3 * alpha) / 4.0
    first = 10.0 * mu + 12.0 + 3.6 * alpha
    curve = np.where(first > 0.0, -2.0 * poisson.logpmf(5, np.maximum(first, 1e-9)) + alpha**2 + np.log(2.0 * np.pi), np.inf)
    fit = likelihood.fit()
    assert fit.status == "at_boundary"
    assert fit.twice_nll == pytest.approx(curve.min(), abs=1e-5)
    assert fit.parameters["mu"] == pytest.approx(mu[np.argmin(curve)], abs=1e-4)
    assert fit.parameters["u"] == pytest.approx(alpha[np.argmin(curve)], abs=3e-4)
    # at mu = -0.4 the bin needs alpha >= 2: the profile follows the limit
    at = -0.4
    scan = likelihood.scan("mu", [-0.4, -0.2, 0.0])
    rest = 10.0 * at + 12.0 + 3.6 * 2.0
    assert scan.twice_delta_nll[0] + fit.twice_nll == pytest.approx(-2.0 * poisson.logpmf(5, rest) + 4.0 + np.log(2.0 * np.pi), abs=1e-5)


def test_intervals_end_where_forbidden_points_begin_and_say_so() -> None:
    """12 events and an empty bin: 2 (14 mu - 12 ln(1 + mu / 1.2)) rises by 1 from the limit -1/4. With an event there, a root."""
    held, free = (
        BinnedLikelihood(
            templates=[[10.0, 4.0], [12.0, 1.0]], data=[12.0, n], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (-10.0, 10.0)}
        )
        for n in (0.0, 1.0)
    )
    result = measure(held, method="m", values=np.linspace(-10.0, 10.0, 81))
    mu = np.linspace(-0.25, 1.0, 1_250_001)
    curve = 2.0 * (14.0 * mu - 12.0 * np.log(1.0 + mu / 1.2))
    inside = mu[curve <= curve.min() + 1.0]
    (piece,) = result.interval_68
    assert (piece.low, piece.high) == (pytest.approx(inside[0], abs=1e-5), pytest.approx(inside[-1], abs=1e-5))
    assert piece.at_boundary
    assert type(result).from_json(json.loads(json.dumps(result.to_json(), allow_nan=False)), method="m").scan.twice_delta_nll[0] == math.inf
    (piece,) = measure(free, method="m", values=np.linspace(-10.0, 10.0, 81)).interval_68
    assert not piece.at_boundary
    assert free.twice_nll(piece.low) - free.twice_nll(0.0) == pytest.approx(1.0, abs=1e-6)
