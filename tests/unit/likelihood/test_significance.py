"""Significances against pyhf, closed forms and exact Poisson probabilities."""

from __future__ import annotations

import math

import numpy as np
import pyhf
import pytest
from scipy.stats import chi2, norm, poisson

from tests.unit.likelihood.pyhf_models import model
from toolkit.errors import SchemaError, ShapeError
from toolkit.likelihood import BinnedLikelihood, PyhfLikelihood, Scan, impacts, one_sided, significance, toy_p_value
from toolkit.likelihood.toy_sources import BinnedToys
from toolkit.likelihood.toys import ToyRequest, run_toys


@pytest.mark.parametrize("name", ["hello_world", "statistical", "everything"])
def test_observed_and_expected_significance_are_pyhfs(name: str) -> None:
    built = model(name)
    start = np.array(built.config.suggested_init())
    start[built.config.poi_index] = 1.6
    data = [*np.round(built.expected_actualdata(start)), *built.config.auxdata]
    likelihood = PyhfLikelihood(built, data)
    observed, expected = pyhf.infer.hypotest(0.0, data, built, test_stat="q0", return_expected=True)
    assert significance(likelihood).p_value == pytest.approx(float(observed), rel=2e-3)
    without = likelihood.fit(fixed={"mu": 0.0})
    asimov = likelihood.asimov({**likelihood.fit(fixed={"mu": 1.0}).parameters})
    assert significance(asimov).p_value == pytest.approx(float(expected), rel=2e-3)
    assert significance(likelihood).z == pytest.approx(math.sqrt(without.twice_nll - likelihood.fit().twice_nll), rel=1e-9)


def counting(n: float) -> BinnedLikelihood:
    return BinnedLikelihood(templates=[[10.0], [4.0]], data=[n], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (-0.3, 20.0)})


def test_no_excess_has_no_significance() -> None:
    found = significance(counting(3.0))
    assert (found.q, found.z, found.p_value) == (0.0, 0.0, 0.5)


def test_toys_give_the_exact_poisson_probability() -> None:
    """q_0 grows with n, so the probability of the data or worse is P(n >= 9 | 4) = 0.0214; the asymptotic one is 0.0160."""
    likelihood, n_toys = counting(9.0), 4000
    found = significance(likelihood)
    (toys,) = run_toys(BinnedToys(likelihood), [ToyRequest({"mu": 0.0}, n_toys)], poi="mu", seed=3)
    p = toy_p_value(found.q, one_sided(toys.t, toys.best_fit))
    exact = float(poisson.sf(8, 4.0))
    assert abs(p.value - exact) < 3.0 * math.sqrt(exact * (1.0 - exact) / n_toys)
    assert found.p_value == pytest.approx(norm.sf(math.sqrt(2.0 * (9.0 * math.log(9.0 / 4.0) - 5.0))), rel=1e-6)


def test_the_interval_of_a_toy_probability_covers_as_clopper_and_pearson_say() -> None:
    none = toy_p_value(5.0, np.zeros(100))
    assert none.interval[0] == 0.0
    assert (1.0 - none.interval[1]) ** 100 == pytest.approx(0.158655, abs=1e-6)  # a larger p would hardly give no toy at all
    assert none.to_json()["z"] is None
    everything = toy_p_value(0.0, np.zeros(100))
    assert (everything.value, everything.interval[1]) == (1.0, 1.0)
    some = toy_p_value(1.0, np.linspace(0.0, 2.0, 101))
    low, high = some.interval
    assert poisson.sf(0, 1.0) > 0.0
    assert low < some.value < high


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ShapeError):
        one_sided([1.0, 2.0], [1.0])
    with pytest.raises(SchemaError, match="at least one toy"):
        toy_p_value(1.0, [])


def test_p_values_of_a_scan() -> None:
    scan = Scan(values=np.array([0.0, 1.0, 2.0]), twice_delta_nll=np.array([chi2.isf(0.05, 1), 0.0, 1.0]))
    np.testing.assert_allclose(scan.p_values, [0.05, 1.0, 0.317310507863], rtol=1e-9)


def test_pre_fit_impacts_move_by_the_width_of_the_measurement() -> None:
    """n = mu s + b (1 + 0.1 alpha) in one bin, and a second bin of background that measures alpha to 0.2."""
    document = {
        "channels": [
            {
                "name": "c",
                "samples": [
                    {"name": "s", "data": [50.0, 0.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
                    {
                        "name": "b",
                        "data": [100.0, 2500.0],
                        "modifiers": [{"name": "a", "type": "histosys", "data": {"hi_data": [110.0, 2750.0], "lo_data": [90.0, 2250.0]}}],
                    },
                ],
            }
        ]
    }
    built = pyhf.Model(document, poi_name="mu", validate=False)
    likelihood = PyhfLikelihood(built, [150.0, 2500.0, *built.config.auxdata])
    fit = likelihood.fit()
    (before,), (after,) = impacts(likelihood, fit, by="pre-fit"), impacts(likelihood, fit)
    assert before.up == pytest.approx(-0.1 * 100.0 / 50.0, rel=1e-6)
    assert after.up == pytest.approx(-0.1 * 100.0 / 50.0 * fit.errors["a"], rel=1e-6)
    assert fit.errors["a"] == pytest.approx(1.0 / math.sqrt(1.0 + 250.0**2 / 2500.0), rel=1e-3)
