from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.errors import SchemaError
from toolkit.likelihood import CombinedLikelihood, Constraint, ConstraintTerm, Parameter, UnbinnedLikelihood
from toolkit.likelihood.coverage import CoverageCheck, check_coverage
from toolkit.likelihood.neyman import NeymanResult, construct_bands, grid_points, neyman_intervals
from toolkit.likelihood.toy_sources import CombinedToys, UnbinnedToys


@pytest.fixture(scope="module")
def source(make_toy):
    small = make_toy(400, 6)
    return UnbinnedToys(small.likelihood(1.0), small.weights)


@pytest.fixture(scope="module")
def bands(source):
    return construct_bands(source, grid_points(source.likelihood, points=7), poi="mu", toys=60, seed=1, root=True)


def test_the_grid_is_even_where_the_likelihood_is_smooth(source):
    values = [p["mu"] for p in grid_points(source.likelihood, points=4)]
    np.testing.assert_allclose(values, [0.0, 6.0 / 9, 24.0 / 9, 6.0])
    with pytest.raises(SchemaError, match="at least 2"):
        grid_points(source.likelihood, points=1)


def test_other_parameters_take_their_conditional_best_fit():
    mu, b = Parameter("mu", init=1.0, low=0.0, high=4.0), Parameter("b", init=1.0, low=0.2, high=3.0)
    base = UnbinnedLikelihood(
        log_ratios=np.zeros((40, 2)), weights=np.ones(40), yields=[10.0, 20.0], coefficients=("mu", "b"), parameters=(mu, b)
    )
    combined = CombinedLikelihood([base, ConstraintTerm([Constraint("b", observed=1.0, scale=0.2)], [b])])
    for point in grid_points(combined, points=3):
        fit = combined.fit(fixed={"mu": point["mu"]})
        assert point["b"] == pytest.approx(fit.parameters["b"], abs=1e-5)
    source = CombinedToys((UnbinnedToys(base, np.full((40, 2), [10.0 / 40, 20.0 / 40])), None), combined)
    points = grid_points(combined, points=2)
    toys = construct_bands(source, points, poi="mu", toys=4, seed=2, levels={"half": 0.5})
    assert toys.not_converged == 0
    assert np.all(toys.curves["half"].values > 0.0)


def test_json_round_trip(source, bands):
    result = neyman_intervals(bands, source.likelihood, values=np.linspace(0.0, 6.0, 61))
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    again = NeymanResult.from_json(document)
    assert again.intervals == result.intervals
    assert again.asymptotic == result.asymptotic
    assert again.to_json() == result.to_json()
    assert document["interval_68"] == [[i.low, i.high] for i in result.intervals["68"]]
    assert set(document["bands"]["critical"]) == {"68", "95"}


def test_background_alone_is_tested_by_its_own_toys(source, bands):
    """The toys at 0 of the construction: their share above t(0) of the data, one-sided; and after a round trip."""
    from toolkit.likelihood.p_values import one_sided
    from toolkit.likelihood.toys import ToyRequest, run_toys

    result = neyman_intervals(bands, source.likelihood, values=np.linspace(0.0, 6.0, 61))
    (toys,) = run_toys(source, [ToyRequest({"mu": 0.0}, 60)], poi="mu", seed=1)
    fit = source.likelihood.fit()
    q = source.likelihood.twice_nll(0.0) - fit.twice_nll if fit.parameters["mu"] > 0.0 else 0.0
    assert result.p_value is not None
    assert result.p_value.q == pytest.approx(q, abs=1e-6)
    assert result.p_value.n_above == int(np.sum(one_sided(toys.t, toys.best_fit) >= q - 1e-5))
    assert NeymanResult.from_json(json.loads(json.dumps(result.to_json()))).p_value == result.p_value


def test_asymptotic_intervals_are_those_of_measure(source, bands):
    from toolkit.likelihood import measure

    values = np.linspace(0.0, 6.0, 61)
    result, measured = neyman_intervals(bands, source.likelihood, values=values), measure(source.likelihood, method="m", values=values)
    for mine, theirs in ((result.asymptotic["68"], measured.interval_68), (result.asymptotic["95"], measured.interval_95)):
        np.testing.assert_allclose([(i.low, i.high) for i in mine], [(i.low, i.high) for i in theirs], atol=1e-6)
        assert [i.at_boundary for i in mine] == [i.at_boundary for i in theirs]
    assert result.best_fit == measured.mu_hat


def test_coverage_wants_independent_toys(source, bands):
    with pytest.raises(SchemaError, match="independent"):
        check_coverage(source, bands, [{"mu": 1.0}], toys=10, seed=bands.seed)


def test_coverage_is_written_and_read(source, bands):
    checks = check_coverage(source, bands, [{"mu": 1.0}], toys=40, seed=7)
    assert [CoverageCheck.from_json(json.loads(json.dumps(c.to_json()))) for c in checks] == list(checks)
    assert checks[0].coverage == checks[0].covered / 40
    assert checks[0].deviations == pytest.approx((checks[0].coverage - checks[0].level) / np.sqrt(0.6827 * 0.3173 / 40), rel=1e-3)
