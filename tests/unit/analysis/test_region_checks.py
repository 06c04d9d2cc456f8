"""Regions at the simulated events: what is refused, what is said, and a fit in two regions against its exact likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.unit.analysis.two_regions import ExactRatio, N, config_of, methods_of, simulate
from toolkit.analysis import FitModel
from toolkit.analysis.datasets import DataEvents
from toolkit.analysis.region_checks import region_notes, require_measurable
from toolkit.analysis.regions import select_regions
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import BinnedLikelihood
from toolkit.likelihood.contours import find_contours
from toolkit.typing import FloatArray


def test_overlapping_regions_are_refused_with_the_number_of_shared_events() -> None:
    training, test = simulate(1), simulate(2)
    shared = int(np.sum((test.observables["m4l"] > 115.0) & (test.observables["m4l"] <= 120.0)))
    with pytest.raises(SchemaError, match=rf"regions 'SR' and 'CR'\n.*{shared} events in both"):
        select_regions(config_of(cr="m4l <= 120"), training=training, test=test)


def test_a_region_without_simulated_events_is_refused() -> None:
    with pytest.raises(PhysicsDomainError, match=r"region 'CR'\n.*no simulated training and no test events fulfil 'm4l <= 5'"):
        select_regions(config_of(cr="m4l <= 5"), training=simulate(1), test=simulate(2))


def test_events_in_no_region_and_processes_without_events_are_said() -> None:
    training, test = simulate(1), simulate(2)
    config = config_of(cr="m4l <= 106")
    method = methods_of(config, training, test)[-1]
    left, empty = region_notes(method, test, FitModel.of(config))
    between = (test.observables["m4l"] > 106.0) & (test.observables["m4l"] <= 115.0)
    assert left.startswith(f"{int(between.sum())} of {2 * N} simulated test events ({test.weights[between].sum():.4g} expected events)")
    assert empty == "region CR: no simulated events of sig; the fit expects none of them there"
    everything = config_of(sr="m4l > 115", cr="m4l <= 115")
    assert region_notes(methods_of(everything, training, test)[-1], test, FitModel.of(everything)) == ()


U = {"kind": "normalisation", "range": [0.3, 3]}
PARTS = {
    "bkg_low": {"condition": "m4l <= 105", "factor": "t"},
    "bkg_middle": {"condition": "m4l > 105 and m4l <= 115", "factor": "u"},
    "bkg_high": {"condition": "m4l > 115", "factor": "1"},
}


def test_a_normalisation_without_events_in_its_region_is_named() -> None:
    method = methods_of(config_of(cr="m4l <= 106", sig={"factor": "mu", "region_factors": {"CR": "u"}}, u=U), simulate(1), simulate(2))[-1]
    with pytest.raises(SchemaError, match="parameter 'u': no region of the fit depends on it"):
        require_measurable(method)


def test_two_normalisations_in_one_count_are_named_and_in_two_bins_are_measured() -> None:
    training, test = simulate(1), simulate(2)
    with pytest.raises(SchemaError, match=r"parameters \['t', 'u'\]: no region of the fit tells them apart\n.*flat direction, .* t .* u"):
        require_measurable(methods_of(config_of(bkg={"split": PARTS}, u=U), training, test)[-1])
    require_measurable(methods_of(config_of(kind="histogram", bkg={"split": PARTS}, u=U), training, test)[-1])
    require_measurable(methods_of(config_of(), training, test)[-1])


def test_the_fit_in_two_regions_is_that_of_the_exact_likelihood() -> None:
    """Against an extended likelihood written here: Gaussian and flat density in SR, a count in CR."""
    config, training, test = config_of(), simulate(1), simulate(2)
    method = methods_of(config, training, test)[-1]
    weights = test.weights @ np.array([1.3, 0.8])
    x, inside, outside = test.observables["m4l"], test.observables["m4l"] > 115.0, test.observables["m4l"] <= 110.0
    in_sr, in_cr = (
        (training.weights[mask(training.observables["m4l"])].sum(axis=0)) for mask in (lambda m: m > 115.0, lambda m: m <= 110.0)
    )
    densities = np.exp(ExactRatio()(x[inside][:, None]))
    count = weights[outside].sum()

    def twice_nll(point: FloatArray) -> float:
        expected = in_cr @ point
        of_events = -2.0 * weights[inside] @ np.log(densities @ (in_sr * point)) + 2.0 * in_sr @ point
        return float(of_events + 2.0 * (expected - count * np.log(expected)))

    exact = minimize(twice_nll, [1.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}).x
    likelihood = method.likelihood(weights)
    found = likelihood.fit().parameters
    assert [found["mu"], found["t"]] == pytest.approx(exact.tolist(), abs=1e-4)
    for point in ([0.5, 1.2], [2.0, 0.7]):
        difference = likelihood.twice_nll(dict(zip(("mu", "t"), point, strict=True))) - likelihood.twice_nll({"mu": 1.0, "t": 1.0})
        assert difference == pytest.approx(twice_nll(np.array(point)) - twice_nll(np.array([1.0, 1.0])), abs=1e-7)


@pytest.mark.parametrize("x", [[120.0, 125.0, 130.0], [104.0, 105.0]])
def test_a_region_that_is_empty_in_the_data_is_fitted(x: list[float]) -> None:
    """Data of few events leave the control or the signal region empty: no events are information too."""
    method = methods_of(config_of(), simulate(1), simulate(2))[-1]
    events = DataEvents(np.arange(len(x), dtype=np.uint64), {"m4l": np.array(x)}, {"data": len(x)})
    fit = method.for_events(events).likelihood(np.ones(len(x))).fit()
    assert all(np.isfinite(v) for v in fit.parameters.values())
    assert fit.parameters["t"] == pytest.approx(0.3)  # the lower end: 500 expected, at most three seen


def test_a_contour_has_two_parameters() -> None:
    counts = {"a": (0.5, 1.5), "b": (0.5, 1.5)}
    likelihood = BinnedLikelihood(
        templates=[[1e4, 0.0], [0.0, 1e4]], data=[1e4, 1e4], coefficients=("a", "b"), parameters=("a", "b"), bounds=counts
    )
    fit = likelihood.fit()
    for pair in (("a", "a"), ("a", "c")):
        with pytest.raises(SchemaError, match=rf"contour of 'a' and '{pair[1]}'\n.*not two parameters"):
            find_contours(likelihood, pair, fit=fit, ranges=[(0.9, 1.1), (0.9, 1.1)])
