"""All minima, profiles that follow none of them alone, ranges that do not matter: against dense grids of formulas written here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from toolkit.errors import FitError
from toolkit.likelihood import BinnedLikelihood, allowed_values, breakdown, cls, impacts, measure, minos, upper_limit
from toolkit.likelihood.toy_sources import BinnedToys
from toolkit.likelihood.toys import fit_toy, guide_of, toy_generator

MORPHING = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)")
S, B, INTERFERENCE, Q = (np.array(x) for x in ([40.0, 30.0, 25.0], [100.0, 60.0, 40.0], [-79.7, -57.7, -45.5], [50.0, 80.0, 30.0]))
COUNTS = np.array([130.0, 112.0, 61.0])


def profiled_strength() -> BinnedLikelihood:
    """A background strength t beside a signal strength with interference, both free."""
    return BinnedLikelihood(
        templates=[S, S + B + INTERFERENCE, B, Q],
        data=COUNTS,
        coefficients=(*MORPHING, "t"),
        parameters=("mu", "t"),
        bounds={"mu": (0.0, 9.0), "t": (0.2, 3.0)},
    )


def exact(t: Any) -> Any:
    """-2 ln L at background strengths (n,), the amplitude minimised on a grid of 6001 points, above the lowest of all."""
    r = np.linspace(0.0, 3.0, 6001)[:, None]

    def lowest(x: float) -> float:
        expected = S * r**2 + INTERFERENCE * r + B + x * Q
        return float(2.0 * np.min(np.sum(expected - COUNTS * np.log(expected), axis=1)))

    best = min(lowest(x) for x in np.linspace(0.64, 0.7, 61))
    return np.array([lowest(float(x)) for x in np.atleast_1d(t)]) - best


def test_a_profile_over_a_signal_strength_takes_the_lower_branch_everywhere() -> None:
    """At t = 0.2 the profile is 3.15, on a branch far from that of the best fit, where it would be 22.6."""
    t = np.linspace(0.2, 3.0, 29)
    scan = profiled_strength().scan("t", t)
    np.testing.assert_allclose(scan.twice_delta_nll, exact(t), atol=1e-3)
    assert scan.twice_delta_nll[0] == pytest.approx(3.15, abs=0.01)


@pytest.mark.parametrize("points", [11, 41])
def test_intervals_of_a_background_strength_do_not_depend_on_the_scan(points: int) -> None:
    result = measure(profiled_strength(), method="t", poi="t", values=np.linspace(0.2, 3.0, points))
    (piece,), (wide,) = result.interval_68, result.interval_95
    assert exact([piece.low, piece.high]) == pytest.approx([1.0, 1.0], abs=1e-3)
    assert (wide.low, wide.at_boundary) == (0.2, True)
    assert exact([wide.high]) == pytest.approx([3.841], abs=1e-3)


def test_minos_and_impacts_leave_a_branch_too() -> None:
    likelihood = profiled_strength()
    fit = likelihood.fit()
    error = minos(likelihood, fit, "t")
    ends = np.array([fit.parameters["t"] - error.down, fit.parameters["t"] + error.up])
    assert exact(ends) == pytest.approx([1.0, 1.0], abs=1e-3)
    assert {part.group: part.up for part in breakdown(likelihood, fit, {}, poi="t")}["total"] == pytest.approx(error.up, abs=1e-6)
    (impact,) = impacts(likelihood, fit, poi="t", parameters=["mu"])
    assert np.isfinite(impact.size)


def test_two_minima_within_a_unit_are_told() -> None:
    fit = profiled_strength().fit()
    assert [m.parameters["mu"] for m in fit.minima] == pytest.approx([0.00012, 3.5565], abs=1e-3)
    assert "another minimum at mu = 3.557" in fit.advice
    assert "within 1 unit" in fit.advice


def two_strengths(counts: Any, *, high: float = 9.0) -> BinnedLikelihood:
    """Two strengths with interference, in ten bins."""
    x = (np.arange(10) + 0.5) / 10.0
    s, b, s2, b2 = 30.0 * x**2 + 1.0, 40.0 * np.exp(-2.0 * x), 20.0 * (1.0 - x) + 2.0, 25.0 * x + 5.0
    templates = [t for one, two in ((s, b), (s2, b2)) for t in (one, one + two - 1.6 * np.sqrt(one * two), two)]
    texts = [t.replace("mu", name) for name in ("mu", "nu") for t in MORPHING]
    return BinnedLikelihood(
        templates=templates, data=counts, coefficients=texts, parameters=("mu", "nu"), bounds={"mu": (0.0, high), "nu": (0.0, high)}
    )


def plane_of(likelihood: BinnedLikelihood, r: Any) -> Any:
    """-2 ln L on a grid of both amplitudes, from the templates alone, up to a constant."""
    a, b = np.meshgrid(r, r, indexing="ij")
    f = np.stack([a * a - a, a, 1.0 - a, b * b - b, b, 1.0 - b], axis=-1)
    expected = f @ likelihood.templates
    return 2.0 * np.sum(expected - likelihood.data * np.log(expected), axis=-1)


@pytest.mark.parametrize("seed", range(4))
def test_two_interfering_strengths_fit_profile_and_plane(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = dict(zip(("mu", "nu"), rng.uniform(0.0, 5.0, 2).tolist(), strict=True))
    likelihood = two_strengths(rng.poisson(two_strengths(np.ones(10)).expected(truth)).astype(float))
    r = np.linspace(0.0, 3.0, 301)
    dense = plane_of(likelihood, r)
    fit = likelihood.fit()
    roots = np.sqrt([fit.parameters["mu"], fit.parameters["nu"]])
    f = np.array([c for x in roots for c in (x * x - x, x, 1.0 - x)])
    expected = f @ likelihood.templates
    own = 2.0 * np.sum(expected - likelihood.data * np.log(expected))
    assert own <= dense.min() + 1e-9
    chosen = np.arange(0, 301, 30)
    scan = likelihood.scan("mu", r[chosen] ** 2, fit=fit).twice_delta_nll
    assert np.all(scan <= dense.min(axis=1)[chosen] - own + 1e-6)
    np.testing.assert_allclose(scan, dense.min(axis=1)[chosen] - own, atol=0.02)
    plane = likelihood.surface(("mu", "nu"), (r[chosen] ** 2, r[chosen] ** 2), fit=fit)
    np.testing.assert_allclose(plane, dense[np.ix_(chosen, chosen)] - own, atol=1e-6)


def test_toys_with_a_second_interfering_strength_are_fitted_as_data_are() -> None:
    source = BinnedToys(two_strengths(np.ones(10)))
    theta = {"mu": 1.5, "nu": 0.5}
    guide = guide_of(source, theta, poi="mu", seed=1)
    for index in range(6):
        toy = source.likelihood_of(source.sample(theta, toy_generator(1, theta, index)))
        best, t, _, converged = fit_toy(toy, poi="mu", truth=1.5, guide=guide)
        full, conditional = toy.fit(), toy.fit(fixed={"mu": 1.5})
        assert converged
        assert t == pytest.approx(conditional.twice_nll - full.twice_nll, abs=1e-6)
        assert best in [pytest.approx(m.parameters["mu"], abs=1e-3) for m in full.minima if m.twice_nll < full.twice_nll + 1e-6]


@pytest.mark.parametrize("high", [1e2, 1e5, 1e8, 1e12])
def test_the_upper_end_of_a_range_does_not_matter(high: float) -> None:
    """40 mu - 79 sqrt(mu) + 100 events are 320 at mu = ((79 + sqrt(79^2 + 160 * 220)) / 80)^2, and the fit says so for any range."""
    likelihood = BinnedLikelihood(
        templates=[[40.0], [61.0], [100.0]], data=[320.0], coefficients=MORPHING, parameters=("mu",), bounds={"mu": (0, high)}
    )
    right = ((79.0 + np.sqrt(79.0**2 + 160.0 * 220.0)) / 80.0) ** 2
    assert likelihood.fit().parameters["mu"] == pytest.approx(right, abs=1e-6)
    two = two_strengths(two_strengths(np.ones(10)).expected({"mu": 4.0, "nu": 2.0}), high=high)
    assert two.fit().parameters == pytest.approx({"mu": 4.0, "nu": 2.0}, abs=1e-4)


def counting(n: float) -> BinnedLikelihood:
    """40 mu - 80 sqrt(mu) + 100 events: 100 at mu = 0 and at mu = 4, 60 at mu = 1."""
    return BinnedLikelihood(
        templates=[[40.0], [60.0], [100.0]], data=[n], coefficients=MORPHING, parameters=("mu",), bounds={"mu": (0.0, 9.0)}
    )


@pytest.mark.parametrize("n", [95.0, 100.0, 101.0])
def test_a_set_of_allowed_values_is_not_one_limit(n: float) -> None:
    """mu = 4 expects what background alone does and cannot be excluded, mu = 1 expects 60 events."""
    likelihood = counting(n)

    def asimov(parameters: dict[str, float]) -> BinnedLikelihood:
        return counting(float(likelihood.expected(parameters)[0]))

    assert cls(likelihood, 4.0, asimov).observed == pytest.approx(1.0, abs=1e-6)
    assert cls(likelihood, 1.0, asimov).observed < 0.01
    low, high = allowed_values(likelihood, asimov)
    assert low.low == 0.0
    assert high.low < 4.0 < high.high
    for end in (low.high, high.low, high.high):
        assert cls(likelihood, end, asimov).observed == pytest.approx(0.05, abs=1e-4)
    with pytest.raises(FitError, match="allowed_values"):
        upper_limit(likelihood, asimov)
