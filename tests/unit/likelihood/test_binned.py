"""The pyhf baseline against direct Poisson evaluation, and its portable document."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import BinnedLikelihood, morphing_expressions
from toolkit.likelihood.asimov import coefficient_values
from toolkit.likelihood.histfactory import quiet_schema

COEFFICIENTS = morphing_expressions(n_backgrounds=1)
BOUNDS = {"mu": (0.0, 6.0)}


def by_loop(templates: Any, data: Any, mu: float) -> float:
    """Slow twin: -2 ln prod_b Poisson(n_b | sum_j f_j t_jb), n_b real."""
    f = [mu - math.sqrt(mu), math.sqrt(mu), 1 - math.sqrt(mu), 1.0]
    total = 0.0
    for b, n in enumerate(data):
        expected = sum(f[j] * templates[j][b] for j in range(4))
        total += n * math.log(expected) - expected - math.lgamma(n + 1)
    return -2.0 * total


def random_templates(seed: int, n_bins: int) -> Any:
    """S, SBI, B of random amplitudes, negative entries in the background column where it does no harm."""
    rng = np.random.default_rng(seed)
    s, b = rng.uniform(0.1, 5.0, n_bins), rng.uniform(1.0, 30.0, n_bins)
    sbi = s + b - 1.5 * np.sqrt(s * b) * rng.uniform(0.0, 1.0, n_bins)
    q = rng.uniform(40.0, 100.0, n_bins)
    templates = np.stack([s, sbi, b, q])
    templates[0, 0] = -0.3
    return templates


def make(templates: Any, data: Any, **changes: Any) -> BinnedLikelihood:
    options: dict[str, Any] = {"templates": templates, "data": data, "coefficients": COEFFICIENTS, "parameters": ("mu",), "bounds": BOUNDS}
    return BinnedLikelihood(**{**options, **changes})


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n_bins=st.integers(1, 40), mu=st.floats(0.0, 6.0), truth=st.floats(0.0, 6.0))
def test_equals_direct_poisson(seed: int, n_bins: int, mu: float, truth: float) -> None:
    templates = random_templates(seed, n_bins)
    data = coefficient_values(COEFFICIENTS, {"mu": truth}) @ templates
    expected = by_loop(templates, data, mu)
    assert make(templates, data).twice_nll(mu) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("mu", [1e-3, 0.3, 1.0, 4.0])
def test_gradient_by_finite_differences(mu: float) -> None:
    likelihood = make(random_templates(3, 12), np.full(12, 70.0))
    h = 5e-3 * mu
    around = [likelihood.twice_nll(mu + k * h) for k in (-2, -1, 1, 2)]
    numerical = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * h)
    assert likelihood.gradient(mu)[0] == pytest.approx(numerical, rel=1e-6, abs=1e-6)


def test_counting_experiment_in_closed_form() -> None:
    likelihood = make([[10.0], [5.0]], [23.0], coefficients=("mu", "1"))
    fit = likelihood.fit()
    assert fit.parameters["mu"] == pytest.approx(1.8, abs=1e-9)
    assert fit.errors["mu"] == pytest.approx(math.sqrt(23) / 10, rel=1e-6)
    assert likelihood.twice_nll(0.0) - fit.twice_nll == pytest.approx(2 * (5 - 23 + 23 * math.log(23 / 5)), rel=1e-12)


def test_document_is_a_pyhf_workspace_with_the_same_likelihood() -> None:
    templates = random_templates(8, 6)
    data = coefficient_values(COEFFICIENTS, {"mu": 1.0}) @ templates
    likelihood = make(templates, data, processes=("ggF_S", "ggF_SBI", "ggF_B", "qqZZ"), channel="m4l")
    document = json.loads(json.dumps(likelihood.to_pyhf()))
    with quiet_schema():
        pyhf.schema.validate(document, "workspace.json")
        workspace = pyhf.Workspace(document)
        model = workspace.model(poi_name=None)
    assert workspace.data(model, include_auxdata=False) == data.tolist()
    for mu in (0.0, 0.4, 1.0, 3.7):
        f = dict(zip(("ggF_S", "ggF_SBI", "ggF_B", "qqZZ"), coefficient_values(COEFFICIENTS, {"mu": mu}), strict=True))
        pars = [f[name.removeprefix("coefficient_")] for name in model.config.par_names]
        assert -2 * float(model.logpdf(pars, workspace.data(model))[0]) == pytest.approx(likelihood.twice_nll(mu), abs=1e-9)
        for value, (low, high) in zip(pars, model.config.suggested_bounds(), strict=True):
            assert low <= value <= high


def test_empty_bin_without_data_is_neutral() -> None:
    templates = random_templates(5, 3)
    padded = np.insert(templates, 1, 0.0, axis=1)
    data = np.array([80.0, 70.0, 90.0])
    assert make(padded, np.insert(data, 1, 0.0)).twice_nll(0.7) == pytest.approx(make(templates, data).twice_nll(0.7), abs=1e-10)
    assert make(padded, np.insert(data, 1, 0.0)).gradient(0.7)[0] == pytest.approx(make(templates, data).gradient(0.7)[0], abs=1e-10)


def test_empty_bin_with_data_is_an_error_that_names_it() -> None:
    templates = np.insert(random_templates(5, 2), 1, 0.0, axis=1)
    with pytest.raises(PhysicsDomainError, match=r"channel 'm4l', bin 220 \.\.\. 240"):
        make(templates, [1.0, 2.0, 3.0], channel="m4l", bins=["200 ... 220", "220 ... 240", "240 ... 260"])


def test_total_that_turns_negative_names_bin_and_point() -> None:
    templates = np.array([[5.0, 1.0], [5.0, 2.0], [5.0, 30.0], [5.0, 5.0]])
    likelihood = make(templates, [20.0, 35.0])
    assert math.isfinite(likelihood.twice_nll(1.0))
    assert likelihood.twice_nll(4.0) == math.inf
    assert likelihood.gradient(4.0).tolist() == [0.0]
    with pytest.raises(PhysicsDomainError, match="bin 1, at mu = 4"):
        likelihood.check(4.0)
    with pytest.raises(PhysicsDomainError, match="bin 1, at mu = 4"):
        likelihood.expected(4.0)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"data": [1.0]}, ShapeError, "templates and data"),
        ({"templates": np.zeros((4, 0)), "data": []}, ShapeError, "templates and data"),
        ({"templates": np.ones((3, 2))}, ShapeError, "one for each of the 3 templates"),
        ({"data": [1.0, -1.0]}, PhysicsDomainError, "bin 1"),
        ({"data": [1.0, np.nan]}, PhysicsDomainError, "bin 1"),
        (
            {"templates": np.array([[1.0, 1.0], [1.0, np.inf], [1.0, 1.0], [1.0, 1.0]])},
            PhysicsDomainError,
            "template of channel 'channel', bin 1",
        ),
        ({"processes": ("a", "b", "c", "a")}, SchemaError, "different names"),
        ({"coefficients": ("mu", "1", "nu", "1")}, SchemaError, "undefined parameter"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make(**{"templates": np.ones((4, 2)), "data": [1.0, 1.0], **change})


def test_other_data_on_the_same_templates() -> None:
    templates = random_templates(2, 4)
    moved = make(templates, np.full(4, 60.0)).with_data(np.full(4, 75.0))
    assert moved.twice_nll(0.3) == make(templates, np.full(4, 75.0)).twice_nll(0.3)
    with pytest.raises(ShapeError):
        moved.with_data([1.0])


def test_expected_events_are_the_mixture() -> None:
    templates = random_templates(2, 4)
    expected = coefficient_values(COEFFICIENTS, {"mu": 0.49}) @ templates
    np.testing.assert_allclose(make(templates, np.ones(4)).expected({"mu": 0.49}), expected, rtol=1e-14)
