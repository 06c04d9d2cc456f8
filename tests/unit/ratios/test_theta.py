"""Ensembles of networks that read the parameter: what they learn, their normalisation, their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from exports import write_onnx
from tests.unit.ratios.toy import MODEL, PROCESSES, exact_log_ratios, toy
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.config import ThetaConfig
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.model import Model, ModelParameter
from toolkit.model.theta_points import ThetaPoints
from toolkit.ratios import feature_matrix, fit_ratios, load_ratios
from toolkit.ratios.plan import plan_ensemble
from toolkit.ratios.theta.hypotheses import hypotheses_of
from toolkit.ratios.theta.model import average
from toolkit.weights import Hypotheses, assign_fold, basis

SMALL: dict[str, Any] = {
    "features": ("x",),
    "fold_beam_axis": False,
    "hidden": (16, 16),
    "activation": "tanh",
    "epochs": 10,
    "batch_size": 256,
    "learning_rate": 1e-2,
}


def config(**changes: Any) -> ThetaConfig:
    return ThetaConfig(**{"estimator": "alices", **SMALL, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder, training = tmp_path_factory.mktemp("alices"), toy(6000, seed=1)
    return fit_ratios(training, config=config(), model=MODEL, folder=folder), folder, training


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Any:
    training = toy(4000, seed=3)
    return fit_ratios(training, config=config(epochs=2), model=MODEL, folder=tmp_path_factory.mktemp("bad")), training


@torch.no_grad()
def tilts_of(model: Any, training: Any) -> Any:
    """What the calibration added to the log ratios at the nodes, up to its normalisation, (n_training, n_nodes)."""
    ensemble, nodes = model.ensemble, model.nodes[0].tolist()
    fold = assign_fold(training.event_id, n_folds=4, salt="h4l").astype(np.int64)
    before = average(ensemble, feature_matrix(training.observables, ["x"]), nodes, plan_ensemble(model.config), fold, trained=False)
    return model.nodes[1] - before


def exact(x: Any, training: Any, values: Any) -> Any:
    """ln p(x|mu) / p_ref(x), the reference being the even mixture of the values, (n, n_values)."""
    points = ThetaPoints.of(MODEL)
    densities = np.exp(exact_log_ratios(x))

    def at(mu: float) -> Any:
        f = np.array([mu - np.sqrt(mu), np.sqrt(mu), 1.0 - np.sqrt(mu), 1.0]) * training.yields
        return densities @ f / f.sum()

    reference = np.mean([at(value) for value in points.values], axis=0)
    return np.log(np.stack([at(v) for v in values], axis=1) / reference[:, None])


def test_densities_as_functions_of_the_parameter_are_those_of_the_morphing() -> None:
    training = toy(500, seed=2)
    found = hypotheses_of(training, MODEL)
    known = Hypotheses.build(training, morphing=basis("ggF"), benchmarks=PROCESSES[:3], ranges=[(0.0, 6.0)], reference=1.0)
    for mu in (0.2, 1.0, 4.4):
        assert found.expected(mu) == pytest.approx(known.expected(mu), rel=1e-12)
        np.testing.assert_allclose(found.joint_score(training.weights, mu), known.joint_score(training.weights, mu), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sum(found.reference_fractions.values()), 1.0, rtol=1e-12)
    assert found.roots.tolist() == [0.5]


def test_the_ratio_is_learned_and_normalised(trained: Any) -> None:
    model, _, training = trained
    test = toy(3000, seed=5)
    x = feature_matrix(test.observables, ["x"])
    values = ThetaPoints.of(MODEL).values
    assert model.numerators == ("mu=0", "mu=1", "mu=6")
    error = model.log_ratio(x) - exact(x[:, 0], training, values)
    spread = np.std(exact(x[:, 0], training, values), axis=0)
    assert np.all(np.sqrt(np.mean(error**2, axis=0)) < 0.45 * spread)
    nodes, at_nodes = model.nodes
    reference = training.weights @ hypotheses_of(training, MODEL).reference
    mean = reference @ np.exp(at_nodes) / reference.sum()
    np.testing.assert_allclose(mean, 1.0, atol=2e-4)
    chosen = [int(np.argmin(np.abs(nodes - value))) for value in (0.0, 6.0)]
    np.testing.assert_allclose(at_nodes[:, chosen], model.out_of_bag[:, [0, 2]], atol=1e-9)


@pytest.mark.parametrize("mu", [0.3, 1.7, 4.0])
def test_the_calibration_puts_the_best_fit_of_a_bad_network_to_the_truth(mu: float, bad: Any) -> None:
    """The expected log likelihood of events at mu, over values of the parameter, is largest at mu; without calibration it is not."""
    model, training = bad
    nodes, at_nodes = model.nodes
    reference = training.weights @ hypotheses_of(training, MODEL).reference
    expected = training.weights @ np.array([mu - np.sqrt(mu), np.sqrt(mu), 1.0 - np.sqrt(mu), 1.0])
    fitted = []
    for logs in (at_nodes, at_nodes - tilts_of(model, training)):
        shape = expected @ (logs - np.log(reference @ np.exp(logs) / reference.sum()))
        curve = np.polynomial.Chebyshev.fit(np.sqrt(nodes), shape, 20)
        grid = np.linspace(0.0, np.sqrt(6.0), 2000)
        fitted.append(grid[int(np.argmax(curve(grid)))] ** 2)
    assert abs(fitted[0] - mu) < 0.05 * max(mu, 1.0)
    assert abs(fitted[1] - mu) > 3.0 * abs(fitted[0] - mu)


def test_a_trained_ensemble_is_read_again_to_the_last_bit_and_resumed(trained: Any) -> None:
    model, folder, training = trained
    x = feature_matrix(training.observables, ["x"])[:50]
    read = load_ratios(folder, config=config(), training=training, model=MODEL)
    resumed = fit_ratios(training, config=config(), model=MODEL, folder=folder)
    for again in (read, resumed):
        np.testing.assert_array_equal(again.log_ratio(x), model.log_ratio(x))
        np.testing.assert_array_equal(again.out_of_bag, model.out_of_bag)
        np.testing.assert_array_equal(again.nodes[1], model.nodes[1])
    shorter = Model((ModelParameter("mu", range=(0.0, 5.0)),), MODEL.processes)
    for other in ({"config": config(epochs=11), "model": MODEL}, {"config": config(), "model": shorter}):
        with pytest.raises(ArtifactMismatchError, match="another config"):
            load_ratios(folder, training=training, **other)


def test_the_file_reads_the_parameter_after_the_observables(trained: Any, tmp_path: Path) -> None:
    model, _, training = trained
    rows = feature_matrix(toy(500, seed=7).observables, ["x"])
    features = (Feature("x", "", -4.0, 4.0),)
    export = model.to_onnx(tmp_path / "alices.onnx", writer=write_onnx, reference_rows=rows, features=features)
    assert export.parity.log_ratio < 1e-5
    points = ThetaPoints.of(MODEL)
    ratio = RatioAtPoints(export.path, values=points.values, names=points.names)
    assert (ratio.parameters, ratio.metadata.ensemble_size, ratio.numerators) == (("mu",), 6, points.names)
    np.testing.assert_allclose(ratio(ratio.columns({"x": rows[:, 0]})), model.log_ratio(rows), atol=2e-5)
    with torch.no_grad():
        column = torch.cat([torch.from_numpy(rows), torch.full((len(rows), 1), 2.5, dtype=torch.float64)], dim=1)
        np.testing.assert_allclose(ratio.at(rows, 2.5), model.module(column)[0][:, 0].numpy(), atol=2e-5)
    assert np.all(ratio.spread(rows) > 0.0)
    np.testing.assert_array_equal(ratio.with_spread(rows), [ratio(rows), ratio.spread(rows)])
    member = model.to_onnx(tmp_path / "member.onnx", writer=write_onnx, reference_rows=rows, member=1, features=features)
    assert RatioAtPoints(member.path, values=points.values, names=points.names).metadata.estimator == "alices, member 1 of 6"
    del training


@pytest.mark.parametrize("estimator", ["alice", "carl", "cascal", "rascal", "rolr"])
def test_every_loss_trains(estimator: str, tmp_path: Path) -> None:
    training = toy(600, seed=3)
    brief = config(estimator=estimator, epochs=1, batch_size=64, ensemble={"members": 2, "subsets": "folds"}, splits={"folds": 2})
    model = fit_ratios(training, config=brief, model=MODEL, folder=tmp_path)
    assert model.estimator == estimator
    assert np.all(np.isfinite(model.out_of_bag))


def test_settings_without_a_meaning_are_refused() -> None:
    for changes, message in (
        ({"activation": "relu"}, "smooth activation"),
        ({"negative_weights": "resample"}, "does not use negative_weights"),
        ({"estimator": "carl", "gradient_weight": 2.0}, "does not use gradient_weight"),
        ({"theta": {"kind": "listed"}}, "kind listed has `points`"),
    ):
        with pytest.raises(ValidationError, match=message):
            config(**changes)
    two = Model((ModelParameter("mu", range=(0.0, 6.0)), ModelParameter("k", "normalisation", range=(0.1, 2.0))), MODEL.processes)
    with pytest.raises(SchemaError, match="one parameter of interest"):
        ThetaPoints.of(two)
