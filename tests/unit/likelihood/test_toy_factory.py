from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import (
    BinnedLikelihood,
    CombinedLikelihood,
    Constraint,
    ConstraintTerm,
    Likelihood,
    Parameter,
    ShapeReference,
    Shapes,
    UnbinnedLikelihood,
)
from toolkit.likelihood.toy_factory import toys_of
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, UnbinnedToys
from toolkit.likelihood.toys import ToyRequest, run_toys


def test_events_of_an_asimov_set_stand_for_every_process(make_toy):
    """Exact ratios: the expected events are the simulated weights, at whatever point the Asimov set was made."""
    small = make_toy(400, 3)
    for mu in (0.5, 2.0):
        source = toys_of(small.likelihood(mu), asimov={"mu": mu})
        assert isinstance(source, UnbinnedToys)
        np.testing.assert_allclose(source.expected, small.weights, rtol=1e-9)
        np.testing.assert_allclose(source.weights({"mu": 1.3}), small.asimov(1.3), rtol=1e-9)


def test_ratios_that_are_not_normalised_are_normalised_in_toys_and_fit(make_toy):
    small = make_toy(400, 3)
    likelihood = small.likelihood(1.0)
    likelihood.densities = likelihood.densities * np.array([1.0, 1.0, 1.0, 1.03])
    source = toys_of(likelihood, asimov={"mu": 1.0})
    np.testing.assert_allclose(source.expected.sum(axis=0), small.yields)
    ratio = source.likelihood.densities / likelihood.densities
    np.testing.assert_allclose(ratio / ratio[0], 1.0)
    assert ratio[0, 3] / ratio[0, 1] == pytest.approx(1 / 1.03, rel=0.02)


def test_combinations_are_taken_apart(make_toy):
    small = make_toy(300, 4)
    mu, b = Parameter("mu", init=1.0, low=0.0, high=6.0), Parameter("b", init=1.0, low=0.2, high=3.0)
    control = BinnedLikelihood(templates=[[5.0], [90.0]], data=[95.0], coefficients=("mu", "b"), parameters=(mu, b))
    combined = CombinedLikelihood([small.likelihood(1.0), control, ConstraintTerm([Constraint("b", observed=1.0, scale=0.1)], [b])])
    source = toys_of(combined, asimov={"mu": 1.0})
    assert isinstance(source, CombinedToys)
    assert [type(s) for s in source.sources] == [UnbinnedToys, BinnedToys, type(None)]
    toys = run_toys(source, [ToyRequest({"mu": 1.0, "b": 1.0}, 4)], poi="mu", seed=1)[0]
    assert np.all(np.isfinite(toys.t))
    assert toys.converged.all()


def test_what_cannot_be_drawn_is_refused(make_toy):
    small = make_toy(50, 4)
    with pytest.raises(SchemaError, match="name \\['mu'\\]"):
        toys_of(small.likelihood(1.0), asimov={"t": 1.0})
    with pytest.raises(PhysicsDomainError, match="sums of the processes"):
        toys_of(small.likelihood(1.0).with_weights(np.zeros(50)), asimov={"mu": 1.0})

    class Other(ConstraintTerm):
        pass

    with pytest.raises(SchemaError, match="ToySource"):
        toys_of(Other([Constraint("b")], [Parameter("b", init=0.0, low=-5.0, high=5.0)]), asimov={})
    assert issubclass(Other, Likelihood)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.5])
def test_an_asimov_set_away_from_the_nominal_point_stands_for_the_same_experiment(alpha):
    """The density of a varied process is q g / mean(g): a variation whose mean is not 1 must not tilt the others (14 % without)."""
    n = 400
    x = (np.arange(n) + 0.5) / n
    events = np.stack([60.0 * x**2, 30.0 + 20.0 * x, np.full(n, 100.0)], axis=1) / n
    moved = [{}, {}, {"alpha": (0.4 + 0.5 * x, -0.3 - 0.4 * x)}]
    shapes = Shapes.of(moved, n_events=n)

    def truth(mu, a):
        up, down = moved[2]["alpha"]
        g = np.exp(0.5 * (up - down) * a + 0.5 * (up + down) * (a * a if abs(a) < 1.0 else 2.0 * abs(a) - 1.0))
        return mu * events[:, 0] + events[:, 1] + events[:, 2] * g / g.mean()

    likelihood = UnbinnedLikelihood(
        log_ratios=np.log(events * n / events.sum(axis=0)),
        weights=truth(1.0, alpha),
        yields=events.sum(axis=0),
        coefficients=("mu", "1", "1"),
        parameters=[Parameter("mu", init=1.0, low=0.0, high=9.0), Parameter("alpha", init=0.0, low=-5.0, high=5.0)],
        shapes=shapes,
        reference=ShapeReference(events, shapes),
        constraints=(Constraint("alpha"),),
    )
    source = toys_of(likelihood, asimov={"mu": 1.0, "alpha": alpha})
    assert isinstance(source, UnbinnedToys)
    for mu, a in ((1.0, alpha), (4.0, 0.7), (0.0, -0.5)):
        np.testing.assert_allclose(source.weights({"mu": mu, "alpha": a}), truth(mu, a), rtol=1e-9)
