"""Every estimator converges to the exact ratio, score and normalisation of Gaussians with a hidden variable."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from tests.physics import gaussian_laws as laws
from toolkit.errors import SchemaError
from toolkit.ratios.architectures import MLP
from toolkit.ratios.estimators import (
    Alice,
    Alices,
    Carl,
    CarlParameterised,
    Cascal,
    ListedTheta,
    QuasiParametric,
    Rascal,
    Rolr,
    Sally,
)
from toolkit.ratios.schedules import TrainingSettings
from toolkit.weights import Hypotheses, Morphing, SimulatedEvents

TRAINING = TrainingSettings(epochs=8, batch_size=512, learning_rate=1e-2, patience=100, seed=2)
QUICK = {"architecture": MLP((24, 24), activation="tanh"), "training": TRAINING}
LONGER = QUICK | {"training": dataclasses.replace(TRAINING, epochs=11)}
POINTS = (0.0, 0.3, 1.0, 2.0, 4.0)

ESTIMATORS = {
    "alice": (Alice(**LONGER), 0.04),
    "alices": (Alices(**QUICK, score_weight=0.3), 0.04),
    "rolr": (Rolr(**LONGER), 0.04),
    "rascal": (Rascal(**QUICK, score_weight=0.3), 0.05),
    "carl_parameterised": (CarlParameterised(**LONGER), 0.1),
    "cascal": (Cascal(**QUICK, score_weight=0.3), 0.08),
    "quasi_parametric": (QuasiParametric(**LONGER), 0.04),
}
"""Settings, and allowed root-mean-square deviation of the log ratio; an estimator that had learned nothing would have 0.2."""


@pytest.fixture(scope="module")
def training():
    return laws.simulate(16_000, seed=1)


@pytest.fixture(scope="module")
def fresh():
    return laws.simulate(6_000, seed=9)


@pytest.fixture(scope="module")
def hypotheses(training):
    return laws.hypotheses(training)


@pytest.fixture(scope="module")
def trained(training, hypotheses):
    """Train on first use and keep."""

    @functools.cache
    def get(name):
        return ESTIMATORS[name][0].fit(training, features=("x",), hypotheses=hypotheses)

    return get


def rows(events):
    return events.observables["x"][:, None]


def reference_weights(events, hypotheses):
    w = events.weights @ hypotheses.reference
    return w / w.sum()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_log_ratio_converges_to_the_exact_one(name, trained, fresh, hypotheses):
    x, w = fresh.observables["x"], reference_weights(fresh, hypotheses)
    exact = np.stack([laws.exact_log_ratio(x, mu, hypotheses.reference) for mu in POINTS])
    difference = np.stack([trained(name).log_ratio(x[:, None], mu) for mu in POINTS]) - exact
    deviation = np.sqrt(np.mean(difference**2 @ w))
    assert np.sqrt(np.mean(exact**2 @ w)) > 0.19
    assert deviation < ESTIMATORS[name][1]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_mean_of_the_ratio_over_the_reference_is_one(name, trained, fresh, hypotheses):
    w = reference_weights(fresh, hypotheses)
    for mu in POINTS:
        r = np.exp(trained(name).log_ratio(rows(fresh), mu))
        noise = np.sqrt(np.sum((w * (r - 1.0)) ** 2))
        assert abs(w @ r - 1.0) < 4.0 * noise + ESTIMATORS[name][1]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_exchange_of_the_hypotheses_changes_the_sign(name, trained, fresh):
    x = rows(fresh)[:500]
    forward = trained(name).log_ratio(x, 2.0, denominator=0.5)
    np.testing.assert_allclose(forward, -trained(name).log_ratio(x, 0.5, denominator=2.0), atol=1e-12)
    assert np.std(forward) > 0.1


@pytest.mark.parametrize("name", ESTIMATORS)
def test_score_is_the_derivative_of_the_log_ratio(name, trained, fresh):
    x, step = rows(fresh)[:500], 1e-5
    for mu in (0.3, 1.0, 2.5):
        numeric = (trained(name).log_ratio(x, mu + step) - trained(name).log_ratio(x, mu - step)) / (2 * step)
        np.testing.assert_allclose(trained(name).score(x, mu)[:, 0], numeric, atol=1e-7)


@pytest.mark.parametrize("name", ["alices", "rascal", "cascal", "quasi_parametric"])
def test_score_converges_to_the_exact_one(name, trained, fresh, hypotheses):
    x, w = fresh.observables["x"], reference_weights(fresh, hypotheses)
    for mu in (0.5, 1.0, 2.0):
        exact = laws.exact_score(x, mu)
        deviation = np.sqrt(w @ (trained(name).score(x[:, None], mu)[:, 0] - exact) ** 2)
        assert deviation < 0.35 * np.sqrt(w @ exact**2)


def test_carl_of_a_pair_and_of_the_exchanged_pair(training, fresh):
    x = fresh.observables["x"]
    one = laws.hypotheses(training, 0.2)
    other = laws.hypotheses(training, 4.0)
    forward = Carl(**QUICK, numerator=4.0).fit(training, features=("x",), hypotheses=one)
    back = Carl(**QUICK, numerator=0.2).fit(training, features=("x",), hypotheses=other)
    exact = laws.exact_log_ratio(x, 4.0, one.reference)
    w = reference_weights(fresh, one)
    for estimate in (forward.log_ratio(x[:, None]), -back.log_ratio(x[:, None])):
        assert np.sqrt(w @ (estimate - exact) ** 2) < 0.12
    with pytest.raises(SchemaError, match="pairwise"):
        forward.log_ratio(x[:, None], 1.0)


def test_sally_converges_to_the_exact_score(training, fresh, hypotheses):
    x, w = fresh.observables["x"], fresh.weights @ hypotheses.coefficients(1.0)
    model = Sally(**LONGER, theta=1.0).fit(training, features=("x",), hypotheses=hypotheses)
    exact, score = laws.exact_score(x, 1.0), model.score(x[:, None])[:, 0]
    assert np.sqrt(w @ (score - exact) ** 2 / w.sum()) < 0.2 * np.sqrt(w @ exact**2 / w.sum())


def test_processes_of_the_quasi_parametric_network_are_told_apart(trained, fresh, hypotheses):
    x = fresh.observables["x"]
    reference = laws.densities(x) @ hypotheses.reference / hypotheses.reference_yield
    exact = np.log(laws.densities(x) / hypotheses.yields / reference[:, None])
    share = fresh.weights / fresh.yields
    deviation = np.sqrt(np.sum(share * (trained("quasi_parametric").log_ratios(x[:, None]) - exact) ** 2, axis=0))
    assert np.all(deviation < 0.32), deviation
    assert deviation[0] < 0.5 * np.sqrt(np.sum(share * exact**2, axis=0))[0]


def test_processes_and_theta_of_the_quasi_parametric_network_agree(trained, fresh, hypotheses):
    x, model = rows(fresh)[:200], trained("quasi_parametric")
    for mu in (0.0, 0.4, 1.0, 3.0):
        np.testing.assert_allclose(model.by_process.log_ratio(x, mu), model.log_ratio(x, mu), atol=1e-9)


def test_discriminant_is_the_ratio_of_the_sums(trained, fresh):
    x, model = rows(fresh)[:200], trained("quasi_parametric").by_process
    p = np.exp(model.log_ratios(x))
    got = model.discriminant(x, signal=("S",), background=("B", "b"))
    np.testing.assert_allclose(got, np.log(p[:, 0] / (p[:, 2] + p[:, 3])), atol=1e-12)
    assert np.std(got) > 0.1


def test_mixture_of_two_gaussians_without_interference():
    """p(x|f) = f N(1, 1) + (1 - f) N(-1, 1.5), theta = f from a list of points."""
    rng = np.random.default_rng(4)
    n = 8_000
    z = np.concatenate([rng.normal(1.0, 0.6, n), rng.normal(-1.0, 1.27, n)])
    x = z + 0.8 * rng.normal(size=2 * n)
    weights = np.zeros((2 * n, 2))
    for j, (mean, width) in enumerate([(1.0, 0.6), (-1.0, 1.27)]):
        weights[:, j] = laws.gauss(z, mean, width) / (0.5 * (laws.gauss(z, 1.0, 0.6) + laws.gauss(z, -1.0, 1.27))) / (2 * n)
    sample = SimulatedEvents(
        ("one", "two"), np.arange(2 * n, dtype=np.uint64), np.repeat([0, 1], n), ("one", "two"), {"x": x}, 100.0 * weights
    )
    morphing = Morphing(monomials=["f", "1"], benchmarks={"one": 1.0, "two": 0.0})
    h = Hypotheses.build(sample, morphing=morphing, benchmarks=("one", "two"), ranges=[(0.0, 1.0)])
    model = Alice(**LONGER, theta=ListedTheta((0.0, 0.25, 0.5, 0.75, 1.0))).fit(sample, features=("x",), hypotheses=h)
    grid = np.linspace(-2.5, 2.5, 100)
    one, two = laws.gauss(grid, 1.0, 1.0), laws.gauss(grid, -1.0, np.hypot(1.27, 0.8))
    for f in (0.25, 0.75):
        exact = np.log(f * one + (1 - f) * two) - np.log(0.5 * one + 0.5 * two)
        assert np.std(exact) > 0.3
        assert np.sqrt(np.mean((model.log_ratio(grid[:, None], f) - exact) ** 2)) < 0.08
