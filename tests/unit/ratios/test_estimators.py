"""Estimators: parts against loops and differences, bad input, resuming, ONNX files, trees."""

from __future__ import annotations

import dataclasses
import math

import lightgbm
import numpy as np
import pytest
import torch

import toolkit.ratios.trainer as trainer_module
from exports import write_onnx
from tests.physics import gaussian_laws as laws
from toolkit.errors import FitError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import OnnxRatio
from toolkit.ratios.architectures import MLP
from toolkit.ratios.estimators import (
    Alice,
    Alices,
    BalancedTheta,
    Carl,
    ListedTheta,
    QuasiParametric,
    Sally,
    UniformTheta,
)
from toolkit.ratios.estimators.parameterised import density, density_slope
from toolkit.ratios.estimators.squares import SumOfSquares, find_forms
from toolkit.ratios.estimators.theta import Terms, balance_scales
from toolkit.ratios.estimators.trees import TreeSum, read_forest
from toolkit.ratios.schedules import TrainingSettings
from toolkit.weights import Hypotheses, Morphing, SimulatedEvents, basis, smeft

QUICK = {"architecture": MLP((6,)), "training": TrainingSettings(epochs=2, batch_size=256, learning_rate=1e-2, seed=4)}
FEATURES = ("x", "y")


@pytest.fixture(scope="module")
def training():
    return laws.simulate(2_000, seed=3)


@pytest.fixture(scope="module")
def hypotheses(training):
    return laws.hypotheses(training)


def rows(events, n=200):
    return np.stack([events.observables[name][:n] for name in FEATURES], axis=1)


def many(processes, seed=1, n=50):
    weights = np.random.default_rng(seed).uniform(0.5, 2.0, (n, len(processes)))
    return SimulatedEvents(
        processes, np.arange(n, dtype=np.uint64), np.zeros(n, dtype=np.int64), ("all",), {"x": np.arange(n) * 1.0}, weights
    )


def test_density_and_slope_against_the_joint_quantities(training, hypotheses):
    terms = Terms(hypotheses)
    weights = torch.from_numpy(len(training) * hypotheses.terms(training.weights) / hypotheses.reference_yield)[:300]
    theta = torch.linspace(0.05, 4.0, 300, dtype=torch.float64)[:, None]
    v = terms.from_theta(theta).requires_grad_(True)
    a = density(terms, weights, v)
    for i in range(0, 300, 7):
        mu = float(theta[i])
        expected = len(training) * (training.weights[i] @ hypotheses.coefficients(mu)) / hypotheses.expected(mu)
        assert float(a[i].detach()) == pytest.approx(expected, rel=1e-10)
    (numeric,) = torch.autograd.grad(a.sum(), v)
    torch.testing.assert_close(density_slope(terms, weights, v, a).detach(), numeric)
    a = a.detach()
    for i in range(0, 300, 7):
        score = hypotheses.joint_score(training.weights[i : i + 1], float(theta[i]))[0, 0]
        root = 2.0 * float(theta[i]) ** 0.5 * float(terms.scale)
        assert float(numeric[i] / a[i]) == pytest.approx(score * root, rel=1e-8, abs=1e-10)


def test_priors_stay_in_the_range(hypotheses):
    generator = torch.Generator().manual_seed(1)
    u = UniformTheta().draw(5000, hypotheses, generator)
    assert 0.0 <= float(u.min()) < 0.01
    assert 1.99 < float(u.max()) <= 2.0
    listed = ListedTheta((0.0, 1.0, 4.0)).draw(3000, hypotheses, generator)
    assert sorted(set(listed[:, 0].tolist())) == [0.0, 1.0, 2.0]
    balanced = BalancedTheta(largest=10.0).draw(20_000, hypotheses, generator)[:, 0]
    scale = (hypotheses.yields[2] / hypotheses.yields[0]) ** 0.5
    assert float(balance_scales(hypotheses)[0]) == pytest.approx(scale)
    assert float((balanced.abs() < scale).double().mean()) == pytest.approx(0.25 * math.pi / math.atan(10.0), abs=0.02)
    assert float((balanced < 0).double().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(balanced.abs().max()) <= 10.0 * scale
    with pytest.raises(PhysicsDomainError, match="0 to 4"):
        ListedTheta((5.0,)).draw(1, hypotheses, generator)
    with pytest.raises(SchemaError):
        ListedTheta(()).draw(1, hypotheses, generator)


@pytest.mark.parametrize(
    ("powers", "n_forms", "sizes"),
    [
        ([(2,), (1,), (0,)], 1, [2]),
        ([(4,), (3,), (2,), (1,), (0,)], 1, [3]),
        ([(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)], 1, [3]),
        ([(2, 0), (1, 0), (0, 2), (0, 1), (0, 0)], 2, [2, 2]),
    ],
)
def test_amplitudes_are_found(powers, n_forms, sizes):
    forms = find_forms(powers)
    assert [len(f) for f in forms] == sizes
    assert len(forms) == n_forms


def test_a_morphing_without_amplitudes_is_refused():
    with pytest.raises(SchemaError, match="products of amplitudes"):
        find_forms([(3,), (0,)])


@pytest.mark.parametrize("name", ["ggF", "kappa", "smeft"])
def test_sums_of_squares_are_positive_and_the_sum_of_their_terms(name):
    morphing = smeft(("c1", "c2")) if name == "smeft" else basis(name)
    names = tuple(f"p{k}" for k in range(len(morphing.benchmark_names)))
    n_parameters = len(morphing.parameter_names)
    h = Hypotheses.build(
        many((*names, "b")), morphing=morphing, benchmarks=names, ranges=[(0.0 if name == "ggF" else -2.0, 2.0)] * n_parameters
    )
    squares, generator = SumOfSquares.build(h), torch.Generator().manual_seed(2)
    outputs = 2.0 * torch.randn(300, squares.n_outputs, generator=generator, dtype=torch.float64)
    theta = torch.rand(300, n_parameters, generator=generator, dtype=torch.float64) * 2.0
    factors = torch.full((300, 1), 1.3, dtype=torch.float64)
    density_ = squares(outputs, theta ** torch.from_numpy(h.roots), factors)
    terms, t = squares.terms(outputs).numpy(), h.term_values(theta.numpy())
    t[:, -1] = 1.3
    np.testing.assert_allclose(density_.numpy(), np.sum(terms * t, axis=1), rtol=1e-9)
    assert bool((density_ > 0).all())


def test_the_start_of_the_squares_is_the_inclusive_density(hypotheses):
    squares = SumOfSquares.build(hypotheses)
    start = squares.terms(torch.zeros(1, squares.n_outputs, dtype=torch.float64))[0]
    np.testing.assert_allclose(start.numpy(), hypotheses.term_yields / hypotheses.reference_yield, rtol=1e-9)


@pytest.mark.parametrize(
    ("estimator", "numerators"),
    [
        (Alice(**QUICK), ("p(x|mu)",)),
        (QuasiParametric(**QUICK), laws.PROCESSES),
        (Carl(**QUICK, numerator=2.0), ("mu=2",)),
        (Sally(**QUICK), ("score_mu",)),
    ],
)
def test_onnx_files_give_what_the_model_gives(estimator, numerators, training, hypotheses, tmp_path):
    model, x = estimator.fit(training, features=FEATURES, hypotheses=hypotheses), rows(training)
    model.to_onnx(tmp_path / "m.onnx", writer=write_onnx, reference_rows=x)
    ratio = OnnxRatio(tmp_path / "m.onnx")
    assert ratio.numerators == numerators
    assert ratio.metadata.estimator == estimator.name
    assert ratio.metadata.reference_mixture == pytest.approx(hypotheses.reference_fractions)
    if ratio.parameters:
        assert ratio.parameters == ("mu",)
        got = ratio(np.concatenate([x, np.full((len(x), 1), 1.7)], axis=1))[:, 0]
        expected = model.log_ratio(x, 1.7)
    else:
        got = ratio(x)
        expected = {Sally: lambda: model.score(x), Carl: lambda: model.log_ratio(x)[:, None]}.get(
            type(estimator), lambda: model.log_ratios(x)
        )()
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_quasi_parametric_network_with_theta_as_an_input(training, hypotheses, tmp_path):
    model, x = QuasiParametric(**QUICK).fit(training, features=FEATURES, hypotheses=hypotheses), rows(training)
    model.to_onnx(tmp_path / "m.onnx", writer=write_onnx, reference_rows=x, by_process=False)
    got = OnnxRatio(tmp_path / "m.onnx")(np.concatenate([x, np.full((len(x), 1), 0.4)], axis=1))[:, 0]
    np.testing.assert_allclose(got, model.log_ratio(x, 0.4), atol=1e-4)


def test_trees_as_matrices_against_the_library(training):
    x = rows(training, 2000).astype(np.float32).astype(np.float64)
    data = lightgbm.Dataset(x, np.sin(x[:, 0]) + x[:, 1] ** 2, params={"verbosity": -1})
    booster = lightgbm.train({"num_leaves": 7, "deterministic": True, "num_threads": 1, "verbosity": -1}, data, num_boost_round=15)
    module = TreeSum(read_forest(booster, n_outputs=1, rounds=15)[0])
    np.testing.assert_allclose(module(torch.from_numpy(x))[:, 0].numpy(), booster.predict(x), rtol=1e-9, atol=1e-12)
    short = TreeSum(read_forest(booster, n_outputs=1, rounds=4)[0])
    np.testing.assert_allclose(short(torch.from_numpy(x))[:, 0].numpy(), booster.predict(x, num_iteration=4), rtol=1e-9, atol=1e-12)


def test_training_resumes_with_the_same_result(training, hypotheses, tmp_path, monkeypatch):
    estimator = Alices(architecture=MLP((6,)), training=dataclasses.replace(QUICK["training"], epochs=3))
    complete = estimator.fit(training, features=FEATURES, hypotheses=hypotheses, folder=tmp_path / "a").log_ratio(rows(training), 2.0)
    done = []

    def stop(label, at, total):
        done.append(at)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimator.fit(training, features=FEATURES, hypotheses=hypotheses, folder=tmp_path / "b", progress=stop)
    epochs = []
    original = trainer_module._Run.epoch
    monkeypatch.setattr(trainer_module._Run, "epoch", lambda self: epochs.append(1) or original(self))
    resumed = estimator.fit(training, features=FEATURES, hypotheses=hypotheses, folder=tmp_path / "b")
    assert len(epochs) == 1
    np.testing.assert_array_equal(resumed.log_ratio(rows(training), 2.0), complete)


def changed(events, **columns):
    return dataclasses.replace(events, observables=dict(events.observables) | columns)


def test_bad_features_are_refused_by_name(training, hypotheses):
    flat = changed(training, y=np.full(len(training), 2.0))
    with pytest.raises(PhysicsDomainError, match="feature y"):
        Alice(**QUICK).fit(flat, features=FEATURES, hypotheses=hypotheses)
    missing = np.array(training.observables["y"])
    missing[17] = np.nan
    with pytest.raises(PhysicsDomainError, match=r"feature y[\s\S]*row 17"):
        Alice(**QUICK).fit(changed(training, y=missing), features=FEATURES, hypotheses=hypotheses)
    with pytest.raises(SchemaError, match="nothing"):
        Alice(**QUICK).fit(training, features=("x", "nothing"), hypotheses=hypotheses)


def test_fewer_events_than_parameters_are_refused(training, hypotheses):
    few = training.select(np.r_[0:300, 2000:2300])
    with pytest.raises(FitError, match="the trained numbers of the network"):
        Alice(architecture=MLP((64, 64))).fit(few, features=FEATURES, hypotheses=laws.hypotheses(few))
    settings = TrainingSettings(epochs=1, batch_size=64)
    Alice(architecture=MLP((64, 64)), training=settings, allow_few_events=True).fit(few, features=FEATURES, hypotheses=laws.hypotheses(few))


def test_reference_without_support_is_refused(training, hypotheses):
    with pytest.raises(PhysicsDomainError, match="b: 1000 events of sample b"):
        Alice(**QUICK).fit(training, features=FEATURES, hypotheses=hypotheses.with_reference({"S": 0.5, "B": 0.5}))


def test_theta_and_rows_that_do_not_fit_are_refused(training, hypotheses):
    model, x = Alice(**QUICK).fit(training, features=FEATURES, hypotheses=hypotheses), rows(training)
    with pytest.raises(PhysicsDomainError, match="0 to 4"):
        model.log_ratio(x, 4.5)
    with pytest.raises(PhysicsDomainError, match="infinite at mu = 0"):
        model.score(x, 0.0)
    with pytest.raises(ShapeError, match="x, y"):
        model.log_ratio(x[:, :1], 1.0)
    with pytest.raises(PhysicsDomainError, match="y in row 1"):
        model.log_ratio(np.array([[0.0, 1.0], [0.0, np.nan]]), 1.0)
    with pytest.raises(PhysicsDomainError, match="infinite at mu = 0"):
        Sally(**QUICK, theta=0.0).fit(training, features=FEATURES, hypotheses=hypotheses)
    per_row = model.log_ratio(x, np.linspace(0.0, 4.0, len(x))[:, None])
    assert per_row[0] == pytest.approx(model.log_ratio(x[:1], 0.0)[0])
    assert per_row[-1] == pytest.approx(model.log_ratio(x[-1:], 4.0)[0])


def test_contradicting_processes_are_named(training, hypotheses):
    model = QuasiParametric(**QUICK).fit(training, features=FEATURES, hypotheses=hypotheses).by_process
    broken = dataclasses.replace(model, network=torch.nn.Linear(2, 4, dtype=torch.float64))
    with torch.no_grad():
        broken.network.weight.zero_()
        broken.network.bias.copy_(torch.tensor([3.0, -5.0, -5.0, -5.0]))
    with pytest.raises(PhysicsDomainError, match=r"density of row 0 at theta = 0\.2"):
        broken.log_ratio(rows(training), 0.2)


def test_a_range_without_expected_events_is_refused():
    line = Morphing(monomials=["c", "1"], benchmarks={"p0": 0.0, "p1": 1.0})
    h = Hypotheses.build(many(("p0", "p1")), morphing=line, benchmarks=("p0", "p1"), ranges=[(-200.0, 200.0)])
    with pytest.raises(PhysicsDomainError, match="expected events"):
        Alice(training=QUICK["training"], architecture=MLP((2,))).fit(many(("p0", "p1")), features=("x",), hypotheses=h)


def test_a_floor_replaces_what_is_not_positive_when_asked(training, hypotheses):
    model = QuasiParametric(**QUICK).fit(training, features=FEATURES, hypotheses=hypotheses).by_process
    x = rows(training)
    np.testing.assert_array_equal(model.log_ratio(x, 0.2, floor=1e-6), model.log_ratio(x, 0.2))
    low = np.log(1.001 * np.exp(model.log_ratio(x, 0.2)).min())
    floored = model.log_ratio(x, 0.2, floor=float(np.exp(low)))
    assert floored.min() == pytest.approx(low)
    np.testing.assert_allclose(floored, np.maximum(model.log_ratio(x, 0.2), low))
