"""Whole pyhf models and sums of likelihoods."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyhf
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import BinnedLikelihood, CombinedLikelihood, Parameter, PyhfLikelihood, UnbinnedLikelihood
from toolkit.likelihood.histfactory import quiet_schema


def systematics_model() -> pyhf.Model:
    spec = {
        "channels": [
            {
                "name": "sr",
                "samples": [
                    {
                        "name": "signal",
                        "data": [5.0, 10.0],
                        "modifiers": [
                            {"name": "mu", "type": "normfactor", "data": None},
                            {"name": "scale", "type": "normsys", "data": {"hi": 1.1, "lo": 0.95}},
                        ],
                    },
                    {
                        "name": "background",
                        "data": [50.0, 40.0],
                        "modifiers": [
                            {"name": "shape", "type": "histosys", "data": {"hi_data": [52.0, 39.0], "lo_data": [48.0, 41.0]}},
                            {"name": "stat", "type": "staterror", "data": [2.0, 1.5]},
                        ],
                    },
                ],
            }
        ]
    }
    with quiet_schema():
        return pyhf.Model(spec, poi_name="mu")


def test_value_is_pyhfs_and_gradient_its_derivative() -> None:
    model = systematics_model()
    data = [57.0, 49.0, *model.config.auxdata]
    likelihood = PyhfLikelihood(model, data)
    rng = np.random.default_rng(1)
    for _ in range(5):
        point = np.array([p.init for p in likelihood.parameters]) + rng.normal(0.0, 0.1, len(likelihood.parameters))
        assert likelihood.twice_nll(point) == pytest.approx(-2 * float(model.logpdf(point, data)[0]), abs=1e-12)
        gradient = likelihood.gradient(point)
        for k in range(len(point)):
            step = np.eye(len(point))[k] * 1e-5
            assert gradient[k] == pytest.approx((likelihood.twice_nll(point + step) - likelihood.twice_nll(point - step)) / 2e-5, abs=1e-5)


def test_fit_agrees_with_pyhfs() -> None:
    model = systematics_model()
    data = [57.0, 49.0, *model.config.auxdata]
    fit = PyhfLikelihood(model, data).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, value = pyhf.infer.mle.fit(data, model, return_fitted_val=True)
    assert fit.status == "converged"
    assert fit.twice_nll <= float(value) + 1e-6
    np.testing.assert_allclose([fit.parameters[n] for n in model.config.par_names], expected, atol=2e-3)


def test_tied_normfactors_equal_the_binned_likelihood() -> None:
    templates = np.array([[5.0, 1.0], [50.0, 30.0], [55.0, 35.0]])
    options: dict[str, Any] = {
        "coefficients": ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"),
        "parameters": ("mu",),
        "bounds": {"mu": (0, 4)},
    }
    binned = BinnedLikelihood(templates=templates, data=[52.0, 33.0], **options)
    ties = {f"coefficient_process_{j}": text for j, text in enumerate(options["coefficients"])}
    tied = PyhfLikelihood(binned.model, binned.data, ties=ties, parameters=[Parameter("mu", 1.0, 0.0, 4.0)])
    assert tied.parameter_names == ("mu",)
    assert tied.diverging == {"mu"}
    for mu in (0.0, 0.2, 1.0, 3.0):
        assert tied.twice_nll(mu) == pytest.approx(binned.twice_nll(mu), abs=1e-10)
        assert tied.gradient(mu)[0] == pytest.approx(binned.gradient(mu)[0], rel=1e-6, abs=1e-7)
    assert tied.fit().parameters["mu"] == pytest.approx(binned.fit().parameters["mu"], abs=1e-6)


def test_one_sided_derivatives_at_the_edges() -> None:
    likelihood = PyhfLikelihood(systematics_model(), [57.0, 49.0, *systematics_model().config.auxdata])
    edges = likelihood.point({"mu": 0.0})
    h = 1e-6
    expected = (likelihood.twice_nll({"mu": h}) - likelihood.twice_nll(edges)) / h
    assert likelihood.gradient(edges)[likelihood.parameter_names.index("mu")] == pytest.approx(expected, abs=1e-3)


def test_bad_input() -> None:
    model = systematics_model()
    data = [57.0, 49.0, *model.config.auxdata]
    with pytest.raises(ShapeError):
        PyhfLikelihood(model, data[:-1])
    with pytest.raises(SchemaError, match="tied normfactors"):
        PyhfLikelihood(model, data, ties={"nu": "mu"})
    with pytest.raises(SchemaError, match="undefined parameter 'kappa'"):
        PyhfLikelihood(model, data, ties={"mu": "kappa"})
    negative = PyhfLikelihood(model, data, ties={"mu": "kappa"}, parameters=[Parameter("kappa", 1.0, -20.0, 20.0)])
    assert negative.twice_nll({"kappa": -15.0}) == np.inf
    with pytest.raises(PhysicsDomainError, match=r"channel 'sr', bin 0, at kappa = -15"):
        negative.check({"kappa": -15.0})


def counting(s: float, b: float, n: float, **bounds: Any) -> UnbinnedLikelihood:
    return UnbinnedLikelihood(
        log_ratios=np.zeros((1, 2)),
        weights=[n],
        yields=[s, b],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds=bounds or {"mu": (0, 5)},
    )


def test_a_sum_of_terms_adds_values_and_gradients() -> None:
    a, b = counting(10.0, 5.0, 23.0), counting(4.0, 1.0, 2.0)
    t = UnbinnedLikelihood(
        log_ratios=np.zeros((1, 2)),
        weights=[7.0],
        yields=[3.0, 2.0],
        coefficients=("t", "mu"),
        parameters=("t", "mu"),
        bounds={"t": (0.1, 9), "mu": (0, 5)},
    )
    both = CombinedLikelihood([a, b, t])
    assert both.parameter_names == ("mu", "t")
    assert both.twice_nll([1.3, 2.0]) == pytest.approx(a.twice_nll(1.3) + b.twice_nll(1.3) + t.twice_nll([2.0, 1.3]), abs=1e-12)
    gradient = both.gradient([1.3, 2.0])
    assert gradient[0] == pytest.approx(a.gradient(1.3)[0] + b.gradient(1.3)[0] + t.gradient([2.0, 1.3])[1], abs=1e-12)
    assert gradient[1] == pytest.approx(t.gradient([2.0, 1.3])[0], abs=1e-12)
    one = CombinedLikelihood([a, b]).fit().parameters["mu"]
    slope = a.gradient(one)[0] + b.gradient(one)[0]
    assert abs(slope) < 1e-7


def test_terms_must_agree_about_a_parameter() -> None:
    with pytest.raises(SchemaError, match="one definition"):
        CombinedLikelihood([counting(1, 1, 1), counting(1, 1, 1, mu=(0, 3))])
    with pytest.raises(SchemaError, match="no terms"):
        CombinedLikelihood([])
