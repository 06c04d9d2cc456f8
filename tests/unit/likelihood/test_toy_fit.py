"""The fast fit of toys with nuisance parameters against the full fit, and against closed forms."""

from __future__ import annotations

import numpy as np
import pyhf
import pytest

from tests.unit.likelihood.systematics_toy import asimov, channel
from toolkit.likelihood import Constraint, Parameter, PyhfLikelihood, Workspace, make_document
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.likelihood.toy_factory import toys_of
from toolkit.likelihood.toy_fit import Guide, fit_profiled
from toolkit.likelihood.toy_workers import local_processes
from toolkit.likelihood.toys import ToyRequest, fit_toy, guide_of, run_toys, toy_generator

COEFFICIENTS = {"S": "mu - sqrt(mu)", "SBI": "sqrt(mu)", "B": "1 - sqrt(mu)", "q": "1"}
TEMPLATES = {"S": [2.0, 8.0, 30.0], "SBI": [210.0, 95.0, 60.0], "B": [230.0, 110.0, 52.0], "q": [700.0, 300.0, 80.0]}


def binned():
    """Three bins with interference, a shape that moves the background, a yield that moves the rest, and the luminosity."""
    samples = []
    for name, data in TEMPLATES.items():
        modifiers = [{"name": f"f_{name}", "type": "morphing", "data": {"coefficient": COEFFICIENTS[name]}}]
        modifiers.append({"name": "lumi", "type": "lumi", "data": None})
        if name == "q":
            moved = {"hi_data": [720.0, 300.0, 74.0], "lo_data": [684.0, 299.0, 88.0]}
            modifiers.append({"name": "slope", "type": "histosys", "data": moved})
        else:
            modifiers.append({"name": "gg", "type": "normsys", "data": {"hi": 1.1, "lo": 0.92}})
        samples.append({"name": name, "data": data, "modifiers": modifiers})
    parameters = [
        Parameter("mu", init=1.0, low=0.0, high=6.0),
        Parameter("lumi", init=1.0, low=0.9, high=1.1),
    ]
    lumi = Constraint("lumi", observed=1.0, scale=0.01)
    document = make_document(parameters=parameters, channels=[({"name": "x", "samples": samples}, [0.0] * 3)], constraints=[lumi])
    return Workspace(document).likelihood().asimov({"mu": 1.0})


@pytest.fixture(scope="module")
def sources():
    events = channel(2_000, n_grid=200)
    unbinned = events.likelihood(weights=asimov(events.x))
    point = {"mu": 1.0, "t0": 1.0, "scale": 0.0, "slope": 0.0, "lumi": 1.0}
    return {"binned": toys_of(binned(), asimov={}), "unbinned": toys_of(unbinned, asimov=point)}


@pytest.mark.parametrize("kind", ["binned", "unbinned"])
@pytest.mark.parametrize("mu", [0.0, 1.2, 3.0])
def test_it_finds_what_the_full_fit_finds(sources, kind, mu):
    """The same test statistic, the same best fit, from a tenth of the work."""
    source = sources[kind]
    theta = {p.name: p.init for p in source.likelihood.parameters} | {"mu": mu, "slope": 0.4}
    guide = guide_of(source, theta, poi="mu", seed=3)
    for index in range(4):
        likelihood = source.likelihood_of(source.sample(theta, toy_generator(3, theta, index)))
        quick, full = fit_profiled(likelihood, guide, poi="mu", test=mu), fit_toy(likelihood, poi="mu", truth=mu)
        assert quick.converged
        assert quick.t == pytest.approx(full[1], abs=1e-6)
        assert quick.parameters[0] == pytest.approx(full[0], abs=1e-3)
        assert quick.at_boundary == bool(full[2])
        assert quick.n_evaluations < 60
        assert likelihood.twice_nll(quick.parameters) == pytest.approx(quick.twice_nll, abs=1e-7)


def test_a_count_with_a_constrained_background_has_a_closed_form():
    """n = s + b with b measured to be b0 by a count of its own: at the best fit s is the difference (pyhf's on/off problem)."""
    with quiet_schema():
        model = pyhf.simplemodels.uncorrelated_background(signal=[10.0], bkg=[40.0], bkg_uncertainty=[8.0])
    likelihood = PyhfLikelihood(model, [57.0, *model.config.auxdata])
    guide = Guide.of(likelihood, {"mu": 1.0}, poi="mu")
    fit = fit_profiled(likelihood, guide, poi="mu", test=0.0)
    assert fit.parameters == pytest.approx([1.7, 1.0], abs=1e-4)
    tau = (40.0 / 8.0) ** 2 / 40.0  # the side measurement counts tau b
    b = (57.0 + tau * 40.0) / (1.0 + tau)
    assert fit.conditional == pytest.approx([0.0, b / 40.0], abs=1e-4)
    expected = 2.0 * (57.0 * np.log(57.0 / b) + tau * 40.0 * np.log(40.0 / b))
    assert fit.t == pytest.approx(expected, abs=1e-6)


def test_an_end_of_the_range_is_found():
    with quiet_schema():
        model = pyhf.simplemodels.uncorrelated_background(signal=[10.0], bkg=[40.0], bkg_uncertainty=[8.0])
    likelihood = PyhfLikelihood(model, [31.0, *model.config.auxdata])
    fit = fit_profiled(likelihood, Guide.of(likelihood, {"mu": 1.0}, poi="mu"), poi="mu", test=0.0)
    assert fit.at_boundary
    assert fit.parameters[0] == 0.0
    assert fit.t == pytest.approx(0.0, abs=1e-9)


def test_a_poor_guide_costs_steps_but_no_accuracy(sources):
    source = sources["binned"]
    theta = {p.name: p.init for p in source.likelihood.parameters} | {"mu": 0.6}
    good = guide_of(source, theta, poi="mu", seed=5)
    poor = Guide(good.theta, good.at, np.tile(np.diag(np.diag(good.hessians[0])), (len(good.at), 1, 1)))
    likelihood = source.likelihood_of(source.sample(theta, toy_generator(5, theta, 7)))
    fits = [fit_profiled(likelihood, guide, poi="mu", test=0.6) for guide in (good, poor)]
    assert fits[0].t == pytest.approx(fits[1].t, abs=1e-6)
    assert fits[0].n_evaluations < fits[1].n_evaluations


def test_the_bits_do_not_depend_on_the_processes_nor_on_a_stop(sources, tmp_path):
    """The guide comes from the first toy of a point whoever fits it."""
    source, theta = sources["binned"], {"mu": 0.7, "lumi": 1.002, "gg": 0.1, "slope": -0.2}
    requests = [ToyRequest(theta, 15), ToyRequest({**theta, "mu": 2.0}, 10)]
    here = run_toys(source, requests, poi="mu", seed=4)
    there = run_toys(source, requests, poi="mu", seed=4, workers=local_processes(2))
    run_toys(source, [ToyRequest(theta, 6)], poi="mu", seed=4, file=tmp_path / "toys")
    rest = run_toys(source, requests, poi="mu", seed=4, file=tmp_path / "toys")
    for other in (there, rest):
        for one, same in zip(here, other, strict=True):
            np.testing.assert_array_equal(one.t, same.t)
            np.testing.assert_array_equal(one.best_fit, same.best_fit)
            assert one.converged.all()


def test_toys_without_nuisance_parameters_need_no_guide(sources):
    base = sources["unbinned"].likelihood
    fixed = [Parameter(p.name, init=p.init, low=p.low, high=p.high, fixed=p.name != "mu") for p in base.parameters]
    alone = toys_of(
        base.with_systematics(parameters=fixed, coefficients=base.coefficients.coefficients.texts),
        asimov={p.name: p.init for p in base.parameters},
    )
    assert guide_of(alone, {"mu": 1.0}, poi="mu", seed=1) is None
