"""Constraints against pyhf, other data and auxiliary data for every kind of likelihood."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyhf
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import CombinedLikelihood, Constraint, ConstraintTerm, Parameter, PyhfLikelihood
from toolkit.likelihood.histfactory import quiet_schema


@pytest.fixture(scope="module")
def model() -> pyhf.Model:
    """One normsys (Gaussian), one shapesys (Poisson), one staterror (Gaussian around 1), one luminosity."""
    background: list[dict[str, Any]] = [
        {"name": "scale", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
        {"name": "bins", "type": "shapesys", "data": [5.0, 7.0]},
        {"name": "stat", "type": "staterror", "data": [2.0, 3.0]},
        {"name": "lumi", "type": "lumi", "data": None},
    ]
    signal = {"name": "s", "data": [5.0, 10.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.5, 1.5]]}
    channel = {"name": "c", "samples": [signal, {"name": "b", "data": [50.0, 60.0], "modifiers": background}]}
    with quiet_schema():
        return pyhf.Model({"channels": [channel], "parameters": [lumi]})


def test_constraints_of_a_model_are_those_of_pyhf(model: pyhf.Model) -> None:
    likelihood = PyhfLikelihood(model, [53.0, 65.0, *model.config.auxdata])
    rng = np.random.default_rng(1)
    for _ in range(5):
        point = np.array(model.config.suggested_init()) + rng.normal(0.0, 0.1, model.config.npars)
        named = dict(zip(likelihood.parameter_names, point, strict=True))
        ours = sum(c.twice_nll(named[c.parameter]) for c in likelihood.constraints)
        theirs = -2.0 * float(model.constraint_logpdf(np.array(model.config.auxdata), point))
        assert ours == pytest.approx(theirs, rel=1e-12)


def test_other_counts_and_auxiliary_data_are_pyhfs(model: pyhf.Model) -> None:
    base = PyhfLikelihood(model, [53.0, 65.0, *model.config.auxdata])
    moved = base.with_data([40.0, 70.0]).with_auxiliary({"scale": 0.7, "bins[1]": 80.0})
    auxiliary = np.array([c.observed for c in moved.constraints])
    point = np.array(model.config.suggested_init()) * 1.03
    assert moved.twice_nll(point) == pytest.approx(-2.0 * float(model.logpdf(point, np.array([40.0, 70.0, *auxiliary]))[0]), rel=1e-14)
    assert base.twice_nll(point) != moved.twice_nll(point)
    assert {c.parameter: c.observed for c in moved.constraints}["scale"] == 0.7
    with pytest.raises(SchemaError, match="nothing"):
        base.with_auxiliary({"nothing": 1.0})
    with pytest.raises(ShapeError):
        base.with_data([1.0])


@pytest.mark.parametrize("constraint", [Constraint("a", 0.3, scale=0.7), Constraint("a", 15.0, "poisson", 10.0)])
def test_slope_by_finite_differences(constraint: Constraint) -> None:
    h = 1e-5
    numerical = (constraint.twice_nll(1.2 + h) - constraint.twice_nll(1.2 - h)) / (2 * h)
    assert constraint.slope(1.2) == pytest.approx(numerical, rel=1e-8)


def test_constraints_that_make_no_sense_are_refused() -> None:
    with pytest.raises(PhysicsDomainError, match="scale"):
        Constraint("a", scale=0.0)
    with pytest.raises(PhysicsDomainError):
        Constraint("a", observed=math.nan)
    with pytest.raises(PhysicsDomainError, match="counts"):
        Constraint("a", observed=-1.0, kind="poisson")
    alpha = Parameter("a", init=0.0, low=-5.0, high=5.0)
    with pytest.raises(SchemaError, match="counted once"):
        ConstraintTerm([Constraint("a"), Constraint("a")], [alpha])
    with pytest.raises(SchemaError, match="parameters among"):
        ConstraintTerm([Constraint("b")], [alpha])
    assert Constraint("a", 3.0, "poisson").twice_nll(-1.0) == math.inf


def test_a_combination_counts_a_constraint_once(model: pyhf.Model) -> None:
    binned = PyhfLikelihood(model, [53.0, 65.0, *model.config.auxdata])
    scale = next(p for p in binned.parameters if p.name == "scale")
    twice = CombinedLikelihood([binned, ConstraintTerm([Constraint("scale")], [scale])])
    at = binned.point({"mu": 0.7, "scale": 0.4})
    assert twice.twice_nll(at) == pytest.approx(binned.twice_nll(at), rel=1e-12)
    for found, alone in zip(twice.continued(at), binned.continued(at), strict=True):
        np.testing.assert_allclose(found, alone, rtol=1e-12)
    with pytest.raises(SchemaError):
        CombinedLikelihood([binned, ConstraintTerm([Constraint("scale", observed=0.5)], [scale])])
    other = Parameter("other", init=0.0, low=-5.0, high=5.0)
    combined = CombinedLikelihood([binned, ConstraintTerm([Constraint("other")], [other])])
    moved = combined.with_auxiliary({"other": 1.0, "scale": -1.0})
    observed = {c.parameter: c.observed for c in moved.constraints}
    assert (observed["other"], observed["scale"]) == (1.0, -1.0)
    assert moved.fit(fixed={"mu": 1.0}).parameters["other"] == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(SchemaError):
        combined.with_auxiliary({"third": 0.0})


def test_chosen_events_are_a_likelihood_of_their_own(toy: Any) -> None:
    likelihood = toy.likelihood(1.0)
    rng = np.random.default_rng(5)
    counts = rng.poisson(0.3, len(toy.x))
    rows = np.repeat(np.arange(len(counts)), counts)
    one, two = likelihood.with_events(rows), likelihood.with_weights(counts)
    mu = np.linspace(0.0, 6.0, 13)[:, None]
    a, b = one.twice_nll_points(mu), two.twice_nll_points(mu)
    np.testing.assert_allclose(a - a[3], b - b[3], atol=1e-8)
    np.testing.assert_allclose(one.gradient(1.3), two.gradient(1.3), rtol=1e-10)
    weighted = likelihood.with_events([7, 9], weights=[2.0, 0.5])
    assert weighted.weights.tolist() == [2.0, 0.5]
    for bad in ([0.5], [-1], [len(toy.x)], [[0]]):
        with pytest.raises(ShapeError, match="integers"):
            likelihood.with_events(bad)
    assert likelihood.with_events([]).fit().status in {"converged", "at_boundary"}
    with pytest.raises(SchemaError):
        likelihood.with_auxiliary({"mu": 1.0})
