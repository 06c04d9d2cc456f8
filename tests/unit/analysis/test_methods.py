"""The methods of the fit stage on a small mixture with known densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.analysis.toy import COEFFICIENTS, MODEL, PROCESSES, YIELDS, densities, simulate
from toolkit.analysis.datasets import DataEvents, Events
from toolkit.analysis.methods import (
    BinnedMethod,
    Method,
    UnbinnedMethod,
    histogram_method,
    plane_method,
    rate_method,
    score_method,
)
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import UnbinnedLikelihood
from toolkit.likelihood.planes import Plane
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents


@pytest.fixture(scope="module")
def training() -> SimulatedEvents:
    return simulate(40_000, 1)


@pytest.fixture(scope="module")
def test_events() -> SimulatedEvents:
    return simulate(40_000, 2)


@pytest.fixture(scope="module")
def methods(training: SimulatedEvents, test_events: SimulatedEvents) -> dict[str, Method]:
    logs = [np.log(densities(events.observables["x"])) for events in (training, test_events)]
    unbinned = [
        UnbinnedLikelihood(
            log_ratios=values,
            weights=np.ones(len(values)),
            yields=YIELDS,
            coefficients=COEFFICIENTS,
            parameters=("mu",),
            bounds=MODEL.bounds,
        )
        for values in (logs[1], logs[0])
    ]
    x = (training.observables["x"], test_events.observables["x"])
    binned = histogram_method("x", MODEL, training=training, test=test_events, values=x, edges=tuple(np.linspace(0.0, 1.0, 11)))
    score = score_method(MODEL, training=training, test=test_events, log_ratios=(logs[0], logs[1]), bins=10, columns=((0,), (2, 3)))
    chosen: list[Method] = [rate_method(MODEL, training=training, test=test_events), binned, score, UnbinnedMethod("nsbi", *unbinned)]
    return {method.name: method for method in chosen}


def weights_at(events: SimulatedEvents, mu: float) -> FloatArray:
    root = np.sqrt(mu)
    return events.weights_at([mu - root, root, 1.0 - root, 1.0])


def test_names(methods: dict[str, Method]) -> None:
    assert list(methods) == ["rate", "x", "score", "nsbi"]


@pytest.mark.parametrize("mu", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("name", ["x", "score", "nsbi"])
def test_every_method_closes_within_its_bootstrap_error(
    methods: dict[str, Method], test_events: SimulatedEvents, name: str, mu: float
) -> None:
    weights = weights_at(test_events, mu)
    fitted = methods[name].likelihood(weights).fit().parameters["mu"]
    error = methods[name].bootstrap(weights, replicas=50, seed=3).standard_error
    assert 0.0 < error < 0.3
    assert abs(fitted - mu) < 4.0 * error


@pytest.mark.parametrize("name", ["x", "score"])
def test_the_training_error_is_the_spread_over_training_samples(test_events: SimulatedEvents, name: str) -> None:
    """Templates from many training samples, the same data: the spread of the best fits is what one training sample says of itself."""
    n = 6_000
    weights = weights_at(test_events, 1.0)
    fitted, estimates = [], []
    for seed in range(24):
        kept = np.random.default_rng(seed).random(2 * n) < 0.5  # as after a selection, the number of events fluctuates
        training = simulate(2 * n, 100 + seed).select(kept).scaled(2.0)
        logs = (np.log(densities(training.observables["x"])), np.log(densities(test_events.observables["x"])))
        x = (training.observables["x"], test_events.observables["x"])
        method = (
            score_method(MODEL, training=training, test=test_events, log_ratios=logs, bins=10, columns=((0,), (2, 3)))
            if name == "score"
            else histogram_method("x", MODEL, training=training, test=test_events, values=x, edges=tuple(np.linspace(0.0, 1.0, 11)))
        )
        fitted.append(method.likelihood(weights).fit().parameters["mu"])
        if seed < 3:
            estimates.append(method.bootstrap_training(weights_at(training, 1.0), replicas=200, seed=4).standard_error)
    assert np.std(fitted, ddof=1) == pytest.approx(np.mean(estimates), rel=0.4)


def test_more_information_gives_more_sensitivity(methods: dict[str, Method], test_events: SimulatedEvents) -> None:
    weights = weights_at(test_events, 2.0)
    t = {}
    for name, method in methods.items():
        likelihood = method.likelihood(weights)
        t[name] = likelihood.twice_nll({"mu": 0.0}) - likelihood.fit().twice_nll
    assert t["rate"] < t["x"] < t["nsbi"] * 1.02
    assert t["score"] == pytest.approx(t["nsbi"], rel=0.1)


def test_templates_come_from_the_pool_and_data_from_the_test_events(
    methods: dict[str, Method], training: SimulatedEvents, test_events: SimulatedEvents
) -> None:
    method = methods["x"]
    assert isinstance(method, BinnedMethod)
    edges = np.linspace(0.0, 1.0, 11)
    for j in range(len(PROCESSES)):
        expected, _ = np.histogram(training.observables["x"], bins=edges, weights=training.weights[:, j])
        np.testing.assert_allclose(method.templates.values[j], expected, rtol=1e-12)
    weights = weights_at(test_events, 1.7)
    data, _ = np.histogram(test_events.observables["x"], bins=edges, weights=weights)
    np.testing.assert_allclose(method.likelihood(weights).data, data, rtol=1e-12)


def with_second(events: SimulatedEvents, seed: int) -> SimulatedEvents:
    """Add an observable that knows nothing of the processes."""
    y = np.random.default_rng(seed).uniform(size=len(events))
    return replace(events, observables={**events.observables, "y": y})


def test_a_second_observable_without_information_changes_nothing(training: SimulatedEvents, test_events: SimulatedEvents) -> None:
    """Two observables in one bin of the second are the histogram of the first, in pyhf's document too; more bins see no more."""
    edges = tuple(np.linspace(0.0, 1.0, 6))
    one, two = with_second(training, 5), with_second(test_events, 6)
    line = histogram_method("x", MODEL, training=one, test=two, values=(one.observables["x"], two.observables["x"]), edges=edges)
    weights = weights_at(two, 1.7)
    for columns, exact in (((0.0, 1.0), True), ((0.0, 0.3, 0.6, 1.0), False)):
        method = plane_method("xy", MODEL, Plane.of(("x", "y"), (edges, columns)), training=one, test=two, least=None)
        assert method.observable is None
        assert len(method.templates.values[0]) == 5 * (len(columns) - 1)
        np.testing.assert_allclose(method.fill(one), method.templates.values, rtol=1e-12)
        fits = [m.likelihood(weights).fit().parameters["mu"] for m in (line, method)]
        assert fits[1] == pytest.approx(fits[0], abs=1e-6 if exact else 0.05)
        samples = method.likelihood(weights).to_pyhf()["channels"][0]["samples"]
        np.testing.assert_allclose([s["data"] for s in samples], method.templates.values)


def test_poor_bins_of_two_observables_are_merged_or_refused(training: SimulatedEvents, test_events: SimulatedEvents) -> None:
    one, two = with_second(training, 5), with_second(test_events, 6)
    fine = Plane.of(("x", "y"), ((0.0, 1e-5, 0.5, 1.0), (0.0, 1e-4, 1.0)))
    with pytest.raises(PhysicsDomainError, match="least_expected"):
        plane_method("xy", MODEL, fine, training=one, test=two, least=None)
    method = plane_method("xy", MODEL, fine, training=one, test=two, least=1.0)
    assert method.plane is not None
    assert method.plane.n_bins < 6
    assert method.likelihood(weights_at(two, 1.0)).bins == method.plane.labels
    root = np.sqrt(np.linspace(0.0, 6.0, 13))
    totals = np.stack([root**2 - root, root, 1.0 - root, np.ones(13)], axis=1) @ method.templates.values
    assert totals.min() >= 1.0 - 1e-9


def data_events(x: FloatArray, **others: FloatArray) -> DataEvents:
    return DataEvents(np.arange(len(x), dtype=np.uint64), {"x": x, **others}, {"data": len(x)})


@pytest.fixture(scope="module")
def data(test_events: SimulatedEvents) -> DataEvents:
    """About 5000 events drawn at mu = 2: 22 times the luminosity."""
    weights = 22.0 * weights_at(test_events, 2.0)
    rng = np.random.default_rng(9)
    return data_events(rng.choice(test_events.observables["x"], size=rng.poisson(weights.sum()), p=weights / weights.sum()))


def test_data_events_of_a_known_truth(training: SimulatedEvents, test_events: SimulatedEvents, data: DataEvents) -> None:
    """Histogram, plane, score and density of the same x, with exact densities: the truth within the errors, and the counts themselves."""
    n = 22.0
    training, test_events = training.scaled(n), test_events.scaled(n)

    def logs(events: Events) -> FloatArray:
        return np.log(densities(events.observables["x"]))

    x, edges = (training.observables["x"], test_events.observables["x"]), np.linspace(0.0, 1.0, 11)
    exact = UnbinnedLikelihood(
        log_ratios=logs(test_events),
        weights=np.ones(len(test_events)),
        yields=n * YIELDS,
        coefficients=COEFFICIENTS,
        parameters=("mu",),
        bounds=MODEL.bounds,
    )
    chosen: list[Method] = [
        histogram_method("x", MODEL, training=training, test=test_events, values=x, edges=edges, observe=lambda e: e.observables["x"]),
        score_method(
            MODEL,
            training=training,
            test=test_events,
            log_ratios=(logs(training), logs(test_events)),
            bins=10,
            columns=((0,), (2, 3)),
            evaluate=logs,
        ),
        UnbinnedMethod("nsbi", exact, exact, logs),
    ]
    for method in chosen:
        own = method.for_events(data)
        likelihood = own.likelihood(np.ones(len(data)))
        fit = likelihood.fit()
        assert abs(fit.parameters["mu"] - 2.0) < 3.0 * fit.errors["mu"] < 2.0
        if isinstance(own, BinnedMethod):
            assert own.templates is method.templates  # type: ignore[attr-defined]
            assert likelihood.data.sum() == len(data)  # type: ignore[attr-defined]


def test_data_events_beyond_the_edges_are_treated_as_simulated_ones(training: SimulatedEvents, test_events: SimulatedEvents) -> None:
    """An error where it is one for simulation; a score counts in its outer bins."""
    x, edges = (training.observables["x"], test_events.observables["x"]), np.linspace(0.0, 1.0, 11)
    method = histogram_method("x", MODEL, training=training, test=test_events, values=x, edges=edges, observe=lambda e: e.observables["x"])
    assert method.for_events(data_events(np.array([0.05, 1.0]))).index.tolist() == [0, 9]
    for beyond in (1.2, np.nan):
        with pytest.raises(PhysicsDomainError, match="1 of 2 events"):
            method.for_events(data_events(np.array([0.5, beyond])))
    score = replace(method, outside="clip")
    assert score.for_events(data_events(np.array([-3.0, 1.2]))).index.tolist() == [0, 9]
    plane = Plane.of(("x", "y"), (edges, np.array([0.0, 1.0, 2.0])))
    flat = replace(method, plane=plane)
    assert flat.for_events(data_events(np.array([0.05, 0.15]), y=np.array([0.5, 1.5]))).index.tolist() == [0, 3]
    with pytest.raises(PhysicsDomainError, match="1 of 2 events"):
        flat.for_events(data_events(np.array([0.05, 0.15]), y=np.array([0.5, 2.5])))


def test_methods_that_cannot_look_at_other_events_say_so(training: SimulatedEvents, test_events: SimulatedEvents, data: DataEvents) -> None:
    x = (training.observables["x"], test_events.observables["x"])
    blind = histogram_method("x", MODEL, training=training, test=test_events, values=x, edges=np.linspace(0.0, 1.0, 11))
    with pytest.raises(SchemaError, match="bins of x"):
        blind.for_events(data)
