from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import FitError
from toolkit.likelihood import BinnedLikelihood, Parameter, UnbinnedLikelihood
from toolkit.likelihood.grid_fit import fit_on_grid, free_parameter
from toolkit.likelihood.toy_sources import UnbinnedToys
from toolkit.likelihood.toys import toy_generator


@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0, 2.5])
def test_agrees_with_the_full_fit(toy, mu):
    source = UnbinnedToys(toy.likelihood(1.0), toy.weights)
    for index in range(4):
        likelihood = source.likelihood_of(source.sample({"mu": mu}, toy_generator(3, {"mu": mu}, index)))
        quick, full = fit_on_grid(likelihood, test=mu), likelihood.fit()
        assert quick.value == pytest.approx(full.parameters["mu"], abs=1e-5)
        assert quick.twice_nll == pytest.approx(full.twice_nll, abs=1e-7)
        assert quick.at_boundary == (full.status == "at_boundary")
        assert quick.tested == pytest.approx(likelihood.twice_nll(mu), abs=1e-9)


def test_takes_the_lower_of_two_minima():
    """Rate 10 (1 - 2 sqrt(mu) + 1.2 mu): 4 expected events at mu = 0.16 and at mu = 1.3...; the lower one is told apart by a second bin."""
    likelihood = BinnedLikelihood(
        templates=[[12.0, 1.0], [-20.0, 0.0], [10.0, 1.0]],
        data=[4.0, 5.0],
        coefficients=("mu", "sqrt(mu)", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 6.0)},
    )
    quick, full = fit_on_grid(likelihood), likelihood.fit()
    assert quick.n_minima == len(full.minima) == 2
    assert quick.value == pytest.approx(full.parameters["mu"], abs=1e-6)
    assert full.minima[1].parameters["mu"] < 0.5
    assert quick.value > 1.0


def test_counting_has_its_closed_form():
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((17, 2)),
        weights=np.ones(17),
        yields=[10.0, 5.0],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 4.0)},
    )
    quick = fit_on_grid(likelihood, test=0.5)
    assert quick.value == pytest.approx(1.2, abs=1e-6)
    assert quick.tested is not None
    assert quick.tested - quick.twice_nll == pytest.approx(2 * (10.0 - 17 - 17 * np.log(10.0 / 17)), abs=1e-8)


@pytest.mark.parametrize(("observed", "end"), [(2, 0.0), (100, 4.0)])
def test_ends_of_the_range_are_exact(observed, end):
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((observed, 2)),
        weights=np.ones(observed),
        yields=[10.0, 5.0],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 4.0)},
    )
    quick = fit_on_grid(likelihood)
    assert quick.value == end
    assert quick.at_boundary


def test_fixed_parameters_stay_at_their_start():
    parameters = (Parameter("mu", init=1.0, low=0.0, high=4.0), Parameter("b", init=2.0, fixed=True))
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((15, 2)), weights=np.ones(15), yields=[10.0, 5.0], coefficients=("mu", "b"), parameters=parameters
    )
    assert free_parameter(likelihood) == parameters[0]
    assert fit_on_grid(likelihood).value == pytest.approx(0.5, abs=1e-6)


def test_refuses_several_free_parameters():
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((15, 2)),
        weights=np.ones(15),
        yields=[10.0, 5.0],
        coefficients=("mu", "b"),
        parameters=("mu", "b"),
        bounds={"mu": (0.0, 4.0), "b": (0.5, 2.0)},
    )
    assert free_parameter(likelihood) is None
    with pytest.raises(FitError, match="one free parameter"):
        fit_on_grid(likelihood)
