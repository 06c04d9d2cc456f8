"""Goodness of fit from toys: closed forms, uniform p-values of good models, small ones of wrong models."""

from __future__ import annotations

import json

import numpy as np
import pyhf
import pytest
from scipy.special import gammaln

from toolkit.errors import PhysicsDomainError
from toolkit.likelihood import BinnedLikelihood, Constraint, Parameter, PyhfLikelihood, Shapes
from toolkit.likelihood.goodness import LOG_DENSITY, BinnedFit, GoodnessTest, UnbinnedFit, compare_with_toys, poisson_distance
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.likelihood.toy_sources import BinnedToys, UnbinnedToys
from toolkit.likelihood.toys import best_point, toy_generator


def test_the_distance_is_that_of_the_poisson_probabilities():
    """A slow loop over the bins, with the probabilities written out."""
    counts, expected = [3.0, 0.0, 17.0], [2.2, 0.7, 21.0]
    slow = 0.0
    for n, e in zip(counts, expected, strict=True):
        log_p = [n * np.log(m) - m - gammaln(n + 1) if m > 0 else 0.0 for m in (n, e)]
        slow += 2.0 * (log_p[0] - log_p[1])
    assert poisson_distance(counts, expected) == pytest.approx(slow, rel=1e-12)
    assert poisson_distance(expected, expected) == 0.0
    with pytest.raises(PhysicsDomainError, match="bin 1"):
        poisson_distance([1.0, 2.0], [1.0, 0.0])


def test_a_binned_fit_with_constraints_agrees_with_the_saturated_model():
    with quiet_schema():
        model = pyhf.simplemodels.uncorrelated_background(signal=[5.0, 9.0], bkg=[40.0, 30.0], bkg_uncertainty=[4.0, 5.0])
    likelihood = PyhfLikelihood(model, [57.0, 21.0, *model.config.auxdata])
    fit = likelihood.fit()
    auxiliary = {c.parameter: c.observed for c in likelihood.constraints}
    (found,) = BinnedFit(BinnedToys(likelihood)).statistics((np.array([57.0, 21.0]), auxiliary), likelihood.point(fit.parameters))
    assert found == pytest.approx(likelihood.goodness_of_fit(fit).statistic, abs=1e-9)


def binned():
    templates = [[20.0, 60.0, 90.0, 40.0], [300.0, 220.0, 150.0, 100.0]]
    return BinnedLikelihood(templates=templates, data=[0.0] * 4, coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 4.0)})


def test_toys_follow_the_chi_square_distribution():
    """Four bins less one parameter: mean 3 and variance 6, within four errors."""
    measured = BinnedFit(BinnedToys(binned()))
    (test,) = compare_with_toys(measured, (4.0,), {"mu": 1.0}, poi="mu", degrees=[3], toys=400, seed=1)
    assert test.toys.mean() == pytest.approx(3.0, abs=4 * np.sqrt(6.0 / 400))
    assert test.p_toys == pytest.approx(test.p_asymptotic, abs=0.1)
    assert test.p_asymptotic == pytest.approx(0.2615, abs=1e-4)
    again = GoodnessTest.from_json(json.loads(json.dumps(test.to_json())))
    assert again.to_json() == test.to_json()


def test_without_toys_only_the_asymptotic_value_is_known():
    (test,) = compare_with_toys(BinnedFit(BinnedToys(binned())), (4.0,), {"mu": 1.0}, poi="mu", degrees=[3], toys=0, seed=1)
    assert np.isnan(test.p_toys)
    assert test.to_json()["p_toys"] is None


@pytest.fixture(scope="module")
def unbinned(make_toy):
    small = make_toy(3000, 2)
    reference = np.full(3000, 1.0)  # its events are uniform
    bins = {"x": np.minimum((small.x * 6).astype(int), 5)}
    return UnbinnedFit(UnbinnedToys(small.likelihood(1.0), small.weights), reference, bins), small


def test_events_of_the_model_fit_and_others_do_not(unbinned):
    """Data of the model: neither p-value is small. Data squeezed towards one side: the bins see it."""
    measured, small = unbinned
    source, theta = measured.toys, {"mu": 1.0}
    drawn = source.sample(theta, toy_generator(8, theta, 0))
    squeezed = (np.sort(drawn[0][small.x[drawn[0]] < 0.6]), {})
    found = {}
    for name, data in (("model", drawn), ("other", squeezed)):
        likelihood = source.likelihood_of(data)
        point = best_point(likelihood, poi="mu", truth=1.0)
        observed = measured.statistics(data, point)
        tests = compare_with_toys(measured, observed, theta, poi="mu", degrees=[None, 5], toys=60, seed=3)
        found[name] = {t.name: t for t in tests}
    assert list(found["model"]) == [LOG_DENSITY, "x"]
    assert min(t.p_toys for t in found["model"].values()) > 0.02
    assert found["other"]["x"].p_toys == pytest.approx(1 / 61)
    assert found["other"]["x"].p_asymptotic < 1e-4
    assert np.isnan(found["model"][LOG_DENSITY].p_asymptotic)


def test_the_mean_log_density_is_that_of_the_mixture(unbinned):
    """Against a loop over the events, with densities relative to the uniform one."""
    measured, small = unbinned
    rows = np.array([4, 4, 100, 2000])
    theta = {"mu": 0.8}
    expected = measured.toys.weights(theta)
    slow = [-2.0 * np.log(expected[i] / expected.sum() * 3000) for i in rows]
    assert measured.statistics((rows, {}), np.array([0.8]))[0] == pytest.approx(np.mean(slow), rel=1e-12)
    assert len(small.x) == 3000


def test_an_event_whose_density_cancels_counts_with_the_smallest_one(unbinned):
    """At mu = 0.8 the density of S has a negative factor: an event of S alone has none, and Asimov data still weigh it."""
    measured, small = unbinned
    expected = np.array(small.weights)
    expected[7] = [1e-6, 0.0, 0.0, 0.0]
    cancelled = UnbinnedFit(UnbinnedToys(small.likelihood(1.0), expected), measured.reference, measured.bins)
    weights, model = np.zeros(3000), cancelled.toys.weights({"mu": 0.8})
    weights[[7, 100]] = 1.0
    assert model[7] == 0.0
    smallest = np.min(model[model > 0.0])
    slow = [-2.0 * np.log(value / model.sum() * 3000) for value in (smallest, model[100])]
    assert cancelled.compare(weights, np.array([0.8]))[0] == pytest.approx(np.mean(slow), rel=1e-12)


def test_a_stopped_comparison_goes_on(tmp_path):
    measured, options = BinnedFit(BinnedToys(binned())), {"poi": "mu", "degrees": [3], "seed": 5}
    here = compare_with_toys(measured, (4.0,), {"mu": 1.0}, toys=70, **options)[0]
    compare_with_toys(measured, (4.0,), {"mu": 1.0}, toys=20, file=tmp_path / "toys", **options)
    rest = compare_with_toys(measured, (4.0,), {"mu": 1.0}, toys=70, file=tmp_path / "toys", **options)[0]
    np.testing.assert_array_equal(here.toys, rest.toys)


@pytest.mark.parametrize("varied", [False, True])
def test_data_events_are_compared_like_simulated_ones(make_toy, varied):
    """Data events that are copies of simulated ones: the way over their own densities and bins gives the same numbers."""
    small, rng = make_toy(2000, 4), np.random.default_rng(6)
    likelihood, point = small.likelihood(1.0), np.array([0.8])
    tilt = 0.3 * small.x
    shapes = Shapes.of([{"tilt": (tilt, -tilt)}, {}, {}, {"tilt": (0.5 * tilt, -0.2 * tilt)}], n_events=2000)
    if varied:
        parameters = (*likelihood.parameters, Parameter("tilt", init=0.0, low=-5.0, high=5.0))
        likelihood = likelihood.with_systematics(
            parameters=parameters, shapes=shapes, reference="normalised", constraints=[Constraint("tilt")]
        )
        point = np.array([0.8, 0.7])
    bins = {"x": np.minimum((small.x * 6).astype(int), 5)}
    reference = np.full(2000, 1.0)
    measured = UnbinnedFit(UnbinnedToys(likelihood, small.weights), reference, bins)
    rows = rng.integers(0, 2000, size=500)
    fast = measured.compare(np.bincount(rows, minlength=2000).astype(np.float64), point)
    own = small.weights[rows] * 2000  # expected events over the share of the reference
    chosen = shapes.select(rows) if varied else None
    slow = measured.compare_data(own, {"x": bins["x"][rows]}, point, shapes=chosen)
    np.testing.assert_allclose(slow, fast, rtol=1e-12)
    with pytest.raises(PhysicsDomainError, match="density of data event"):
        measured.compare_data(-own, {"x": bins["x"][rows]}, point, shapes=chosen)
