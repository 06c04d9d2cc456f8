"""Global minima: two minima, boundaries, degenerate minima, nuisance parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.likelihood.curves import Curve
from tests.unit.likelihood.systematics_toy import asimov, channel
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import BinnedLikelihood, Parameter, UnbinnedLikelihood, measure, minimise, morphing_expressions


def double_well(tilt: float, offset: float = 0.0) -> Curve:
    """3 (mu - 1)^2 (mu - 3)^2 + tilt mu + offset: minima near 1 and 3, the lower one on the left if tilt > 0."""
    return Curve(
        lambda p: 3 * (p[0] - 1) ** 2 * (p[0] - 3) ** 2 + tilt * p[0] + offset,
        lambda p: 6 * (p[0] - 1) * (p[0] - 3) * (2 * p[0] - 4) + tilt,
        Parameter("mu", 1.0, 0.0, 6.0),
    )


def test_the_global_minimum_wins_whatever_the_start() -> None:
    left, right = double_well(0.3).fit(), double_well(-0.3).fit()
    assert left.parameters["mu"] == pytest.approx(np.roots([12, -72, 132, -72 + 0.3])[-1].real, abs=1e-8)
    assert right.parameters["mu"] == pytest.approx(np.roots([12, -72, 132, -72 - 0.3])[0].real, abs=1e-8)
    assert len(left.minima) == 2
    assert "another minimum at mu = 3" in right.advice or "another minimum at mu = 1" in right.advice
    assert left.minima[0].twice_nll < left.minima[1].twice_nll


def test_degenerate_minima_take_the_one_nearest_to_the_start() -> None:
    assert double_well(0.0).fit().parameters["mu"] == pytest.approx(1.0, abs=1e-8)
    other = double_well(0.0)
    other._parameters = (Parameter("mu", 2.9, 0.0, 6.0),)
    assert other.fit().parameters["mu"] == pytest.approx(3.0, abs=1e-8)


def test_a_large_constant_does_not_matter() -> None:
    assert double_well(-0.3, offset=1e9).fit().parameters["mu"] == pytest.approx(double_well(-0.3).fit().parameters["mu"], abs=1e-6)


def test_rate_alone_has_two_equal_minima() -> None:
    likelihood = BinnedLikelihood(
        templates=[[48.1], [589.0], [625.0], [2412.0]],
        data=[589.0 + 2412.0],
        coefficients=morphing_expressions(n_backgrounds=1),
        parameters=("mu",),
        bounds={"mu": (0, 6)},
    )
    fit = likelihood.fit()
    other = ((589 - 48.1 - 625) / -48.1 - 1) ** 2  # the other root of S t^2 + I t = S + I
    assert fit.parameters["mu"] == pytest.approx(1.0, abs=1e-8)
    assert sorted(m.parameters["mu"] for m in fit.minima) == pytest.approx(sorted([1.0, other]), abs=1e-7)
    assert "another minimum" in fit.advice


@pytest.mark.parametrize("mu", [0.0, 1e-6, 1e-3, 0.05, 0.3, 1.0, 1.7, 4.0, 5.999, 6.0])
def test_asimov_returns_the_truth_down_to_the_boundary(toy: Any, mu: float) -> None:
    fit = toy.likelihood(mu).fit()
    assert fit.parameters["mu"] == pytest.approx(mu, abs=1e-7)
    assert fit.twice_nll == pytest.approx(toy.likelihood(mu).twice_nll(mu), abs=1e-8)
    assert fit.status == ("at_boundary" if mu in (0.0, 6.0) else "converged")


def test_boundary_minimum_with_a_finite_slope() -> None:
    fit = Curve(lambda p: (p[0] + 0.5) ** 2, lambda p: 2 * (p[0] + 0.5), Parameter("mu", 1.0, 0.0, 6.0)).fit()
    assert fit.parameters["mu"] == 0.0
    assert fit.status == "at_boundary"
    assert "edge of the allowed range" in fit.advice
    assert np.isnan(fit.errors["mu"])


def test_upper_boundary(toy: Any) -> None:
    fit = toy.likelihood(4.0, high=2.0).fit()
    assert fit.parameters["mu"] == 2.0
    assert fit.status == "at_boundary"


def test_error_is_the_inverse_curvature(toy: Any) -> None:
    likelihood = toy.likelihood(1.7)
    h = 1e-4
    curvature = (likelihood.gradient(1.7 + h)[0] - likelihood.gradient(1.7 - h)[0]) / (2 * h)
    assert likelihood.fit().errors["mu"] == pytest.approx(np.sqrt(2 / curvature), rel=1e-5)


def floating(toy: Any, mu: float, t0: float) -> UnbinnedLikelihood:
    f = np.array([mu - np.sqrt(mu), np.sqrt(mu), 1 - np.sqrt(mu), t0])
    return UnbinnedLikelihood(
        log_ratios=toy.log_ratios,
        weights=toy.weights @ f,
        yields=toy.yields,
        coefficients=("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "t0"),
        parameters=("mu", "t0"),
        bounds={"mu": (0.0, 6.0), "t0": (0.5, 1.5)},
    )


@pytest.mark.parametrize(("mu", "t0"), [(0.0, 1.1), (0.3, 0.9), (1.7, 1.0), (4.0, 1.2)])
def test_two_parameters_return_the_truth(toy: Any, mu: float, t0: float) -> None:
    fit = floating(toy, mu, t0).fit()
    assert fit.parameters["mu"] == pytest.approx(mu, abs=1e-5)
    assert fit.parameters["t0"] == pytest.approx(t0, abs=1e-6)
    assert fit.status == ("converged" if mu > 0 else "at_boundary")


def test_profile_scan_equals_a_fine_grid(toy: Any) -> None:
    likelihood = floating(toy, 1.7, 1.0)
    values = np.array([0.5, 1.7, 3.0])
    scan = likelihood.scan("mu", values)
    t0 = np.linspace(0.9, 1.1, 2001)
    lowest = likelihood.fit().twice_nll
    for value, height in zip(values, scan.twice_delta_nll, strict=True):
        grid = likelihood.twice_nll_points(np.stack([np.full_like(t0, value), t0], axis=1))
        assert height == pytest.approx(grid.min() - lowest, abs=2e-4)


def test_fixed_parameters_stay(toy: Any) -> None:
    likelihood = floating(toy, 1.0, 1.0)
    fit = likelihood.fit(fixed={"mu": 2.0})
    assert fit.parameters["mu"] == 2.0
    assert fit.parameters["t0"] != 1.0
    assert abs(likelihood.gradient(fit.parameters)[1]) < 1e-5
    everything = likelihood.fit(fixed={"mu": 2.0, "t0": 1.1})
    assert everything.parameters == {"mu": 2.0, "t0": 1.1}
    assert everything.twice_nll == likelihood.twice_nll([2.0, 1.1])
    with pytest.raises(SchemaError, match="nu"):
        likelihood.fit(fixed={"nu": 1.0})


def test_a_flat_likelihood_is_reported_as_data() -> None:
    flat = Curve(lambda _: 1.0, lambda _: 0.0, Parameter("mu", 1.0, 0.0, 6.0))
    assert minimise(flat).status in ("not_converged", "at_boundary")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([1.0, 0.5], SchemaError),
        ([], SchemaError),
        ([[1.0]], SchemaError),
        ([0.0, 7.0], PhysicsDomainError),
        ([-0.1, 1.0], PhysicsDomainError),
    ],
)
def test_bad_scan(toy: Any, values: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        toy.likelihood(1.0).scan("mu", values)
    with pytest.raises(SchemaError, match="'nu'"):
        toy.likelihood(1.0).scan("nu", [0.0, 1.0])


def test_a_dip_that_only_the_scan_finds_becomes_the_best_fit() -> None:
    """A Gaussian dip at mu = 4.05 that is narrower than the step of the fit's own grid, on a parabola around 1."""
    width = 0.008

    def value(p: Any) -> float:
        return (p[0] - 1) ** 2 - 20 * np.exp(-0.5 * ((p[0] - 4.05) / width) ** 2)

    def slope(p: Any) -> Any:
        return 2 * (p[0] - 1) + 20 * (p[0] - 4.05) / width**2 * np.exp(-0.5 * ((p[0] - 4.05) / width) ** 2)

    likelihood = Curve(value, slope, Parameter("mu", 1.0, 0.0, 6.0))
    assert likelihood.fit().parameters["mu"] == pytest.approx(1.0, abs=1e-6)
    result = measure(likelihood, method="dip", values=np.linspace(0.0, 6.0, 601))
    assert result.mu_hat == pytest.approx(4.05, abs=1e-3)
    assert result.scan.twice_delta_nll.min() >= 0.0
    assert all(p.low > 4.0 for p in result.interval_68)


def test_two_shallow_minima_close_to_each_other_are_both_found() -> None:
    """A data set of few events whose minima differ by 0.08, one standard deviation apart: the lower one must not be lost."""
    rng = np.random.default_rng(2)
    for k in range(22):  # the twenty-second of a series of random data sets
        toy = channel(300, seed=2000 + k)
        mu = rng.choice([0.0, 0.05, 0.3, 1, 2, 4.5])
        weights = rng.poisson(asimov(toy.x, mu) * rng.uniform(0.3, 1.5)).astype(float)
        observed = {"scale": rng.normal(), "slope": rng.normal(), "lumi": 1.0 + 0.02 * rng.normal()}
    fit = toy.likelihood(weights=weights).with_auxiliary(observed).fit()
    assert [m.parameters["mu"] for m in fit.minima] == pytest.approx([0.08921, 0.33950], abs=1e-4)
    assert fit.minima[1].twice_nll - fit.minima[0].twice_nll == pytest.approx(0.07899, abs=1e-4)
    assert "another minimum at mu = 0.3395" in fit.advice


def test_two_strengths_of_which_one_is_held_at_0() -> None:
    """The derivative by sqrt(a) diverges there, which neither warns nor reaches the results; what is fixed has the error 0."""
    s, b, i = np.array([4.0, 9.0]), np.array([10.0, 6.0]), np.array([-2.0, -1.0])
    likelihood = BinnedLikelihood(
        templates=[s, s + b + i, b, s, s + b + i, b],
        data=2.0 * b + 2.25 * s + 1.5 * i,
        coefficients=[t.format(k) for k in "ab" for t in ("{0} - sqrt({0})", "sqrt({0})", "1 - sqrt({0})")],
        parameters=("a", "b"),
        bounds={"a": (0.0, 9.0), "b": (0.0, 9.0)},
    )
    fit = likelihood.fit(fixed={"a": 0.0})
    assert fit.parameters == {"a": 0.0, "b": pytest.approx(2.25, abs=1e-5)}
    rates = 2.0 * b + 2.25 * s + 1.5 * i
    slope = s + i / 3.0  # by b at b = 2.25
    assert fit.errors == {"a": 0.0, "b": pytest.approx(1.0 / np.sqrt(np.sum(slope**2 / rates)), rel=1e-3)}
