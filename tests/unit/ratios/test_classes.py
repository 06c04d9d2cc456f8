"""Sums of densities as classes, boosted trees with missing features, labels of leptons: against closed forms and the library itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import torch

from exports import write_onnx
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.config import ClassifierConfig, TreesClassifierConfig
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import OnnxRatio
from toolkit.ratios.architectures import DeepSet, ObjectGroup, Recurrent, lepton_group
from toolkit.ratios.classification import TrainedClassifier, train_classifier
from toolkit.ratios.classification.weights import class_weights
from toolkit.ratios.estimators.trees import TreeOutputs, read_forest
from toolkit.ratios.features import FeatureMap
from toolkit.weights import SimulatedEvents, assign_fold

CENTRES = {"a1": -1.0, "a2": 1.0, "b": 0.0}
WIDTHS = {"a1": 0.7, "a2": 0.7, "b": 1.5}
CLASSES = {"a": {"a1": 1.0, "a2": 3.0}, "b": {"b": 1.0}}
TREES = TreesClassifierConfig(
    architecture="boosted_trees",
    features=("x", "y"),
    classes=CLASSES,
    folds=2,
    trees=100,
    leaves=8,
    min_events=300,
    learning_rate=0.15,
    seed=3,
)


def gauss(x: np.ndarray, name: str) -> np.ndarray:
    return np.exp(-0.5 * ((x - CENTRES[name]) / WIDTHS[name]) ** 2) / (WIDTHS[name] * np.sqrt(2.0 * np.pi))


def events(n: int, *, seed: int, y_missing: float = 0.0) -> SimulatedEvents:
    """Independent x and y of one Gaussian per density, events weighted with 2 and 1; y missing in some events, in `b` half as often."""
    rng = np.random.default_rng(seed)
    label = rng.integers(3, size=n)
    centre, width = (np.array(list(of.values()))[label] for of in (CENTRES, WIDTHS))
    x, y = rng.normal(centre, width), rng.normal(centre, width)
    y[rng.uniform(size=n) < y_missing * np.where(label == 2, 0.5, 1.0)] = np.nan
    weight = rng.choice([1.0, 2.0], size=n)
    weights = np.where(np.arange(3) == label[:, None], weight[:, None], 0.0)
    return SimulatedEvents(tuple(CENTRES), np.arange(n, dtype=np.uint64), label, tuple(CENTRES), {"x": x, "y": y}, weights)


def exact_log_ratio(x: np.ndarray, y: np.ndarray, y_missing: float) -> np.ndarray:
    """ln p_a / p_b: class a is (1 of a1 + 3 of a2) / 4; what is known where y is missing is that, and x."""
    known = np.isfinite(y)
    densities = {}
    for name in CENTRES:
        lost = y_missing * (0.5 if name == "b" else 1.0)
        with np.errstate(invalid="ignore"):
            densities[name] = gauss(x, name) * np.where(known, (1.0 - lost) * gauss(y, name), lost)
    return np.log((densities["a1"] + 3.0 * densities["a2"]) / (4.0 * densities["b"]))


def fold(sample: SimulatedEvents) -> np.ndarray:
    return assign_fold(sample.event_id, n_folds=TREES.folds, salt="h4l/classifier")


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    sample = events(80_000, seed=1, y_missing=0.4)
    return train_classifier(sample, config=TREES, fold=fold(sample), folder=tmp_path_factory.mktemp("forest"))


def test_a_class_is_the_sum_of_its_densities() -> None:
    sample = events(50, seed=2)
    found = class_weights(sample, TREES)
    np.testing.assert_allclose(found, np.stack([sample.weights[:, 0] + 3.0 * sample.weights[:, 1], sample.weights[:, 2]], axis=1))


def test_trees_find_the_exact_ratio_with_and_without_the_missing_feature(forest: TrainedClassifier) -> None:
    test = events(10_000, seed=5, y_missing=0.4)
    x, y = test.observables["x"], test.observables["y"]
    with torch.no_grad():
        logs = forest.network(None)(torch.from_numpy(np.stack([x, y], axis=1)))[0].numpy()
    error = logs[:, 0] - logs[:, 1] - exact_log_ratio(x, y, 0.4)
    for part in (np.isnan(y), np.isfinite(y) & (np.abs(y) < 2.0)):
        inside = part & (np.abs(x) < 2.0)
        assert np.sum(inside) > 1500
        assert np.median(np.abs(error[inside])) < 0.12
        assert abs(np.mean(error[inside])) < 0.06


def test_the_file_gives_the_same_where_features_are_missing(forest: TrainedClassifier, tmp_path: Path) -> None:
    x = np.array([[0.5, np.nan], [np.nan, 0.1], [np.nan, np.nan], [1.2, -0.3], [-2.0, 2.0]])
    features = [Feature("x", "", -4.0, 4.0), Feature("y", "", -4.0, 4.0)]
    named: dict[str, Any] = {"features": features, "numerators": forest.classes, "reference": "equal mixture", "estimator": "classifier"}
    with pytest.raises(PhysicsDomainError, match="y in row 0"):
        write_onnx(forest.network(0), tmp_path / "refused.onnx", reference_rows=x, **named)
    write_onnx(forest.network(0), tmp_path / "forest.onnx", reference_rows=x, missing=True, **named)
    ratio = OnnxRatio(tmp_path / "forest.onnx")
    with torch.no_grad():
        expected = forest.network(0)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ratio(x), expected, atol=1e-5)
    assert len(np.unique(expected[:3, 0])) == 3
    assert ratio.check_reference().rows == 2
    with pytest.raises(PhysicsDomainError, match="inf"):
        ratio(np.array([[np.inf, 0.0]]))


def test_trees_go_the_ways_of_the_library_where_a_value_is_missing() -> None:
    """Columns that had missing values in training, and one that had none, for which the library puts zero."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4000, 3))
    label = x.sum(axis=1) + np.where(x[:, 0] > 0.7, 3.0, 0.0)
    x[rng.uniform(size=x.shape) < 0.3] = np.nan
    x[:, 2] = np.nan_to_num(x[:, 2]).astype(np.float32) + 0.25
    x = x.astype(np.float32).astype(np.float64)
    booster = lightgbm.train({"verbosity": -1, "num_leaves": 9, "num_threads": 1}, lightgbm.Dataset(x, label=label), num_boost_round=12)
    asked = x.copy()
    asked[::3, 2] = np.nan
    module = TreeOutputs(read_forest(booster, n_outputs=1, rounds=12, missing=True)).double()
    with torch.no_grad():
        found = module(torch.from_numpy(asked))[:, 0].numpy()
    np.testing.assert_allclose(found, booster.predict(asked, raw_score=True), atol=1e-9)


def test_a_feature_that_no_event_has_is_refused(tmp_path: Path) -> None:
    sample = events(2000, seed=4)
    sample.observables["y"][:] = np.nan
    with pytest.raises(PhysicsDomainError, match="feature y of classifier classifier"):
        train_classifier(sample, config=TREES, fold=fold(sample), folder=tmp_path)


def leptons(n: int) -> tuple[tuple[str, ...], torch.Tensor]:
    names = lepton_group().features
    return names, torch.from_numpy(np.random.default_rng(8).uniform(1.0, 50.0, size=(n, len(names))))


@pytest.mark.parametrize("kind", [DeepSet, Recurrent])
def test_a_label_tells_the_leptons_of_one_z_from_those_of_the_other(kind: type[DeepSet] | type[Recurrent]) -> None:
    """Momenta that change their Z are another event with the label; the deep set does not notice without it, nor a change within one Z."""
    names, x = leptons(200)
    groups = {"plain": lepton_group(), "labelled": lepton_group(labels=("z",))}
    other_z = x[:, [4, 5, 6, 7, 0, 1, 2, 3]]
    within = x[:, [2, 3, 0, 1, 4, 5, 6, 7]]
    for name, group in groups.items():
        architecture = kind(groups=(group,))
        feature_map = architecture.adapt(FeatureMap.fitted(names, x, fold=False))
        network = architecture.build(feature_map, n_outputs=1, n_context=0, generator=torch.Generator().manual_seed(2)).double()
        with torch.no_grad():
            value, moved, inner = (network(feature_map(rows)) for rows in (x, other_z, within))
        changed = float((value - moved).abs().max())
        assert changed > 1e-3 if name == "labelled" or kind is Recurrent else changed < 1e-9
        if kind is DeepSet:
            assert float((value - inner).abs().max()) < 1e-9
    assert ObjectGroup("jets", (("pt_j1",), ("pt_j2",)), labels=((1.0,), (2.0,))).labels == ((1.0,), (2.0,))
    with pytest.raises(SchemaError, match="labels of object group"):
        ObjectGroup("jets", (("pt_j1",), ("pt_j2",)), labels=((1.0,),))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"numerator": ["a1"]}, "one of them only"),
        ({"classes": {"a": ["a1"]}}, "nothing to tell apart"),
        ({"classes": {"a": ["a1"], "b": []}}, r"classes \['b'\] have no densities"),
        ({"architecture": "deep_set"}, "needs leptons or jets among `features`"),
        ({"lepton_labels": ["z"]}, "has no use for `lepton_labels`"),
        ({"groups": {"all": ["x"]}}, "`groups` belong to `importance"),
        ({"groups": {"one": ["x"], "two": ["x"]}, "importance": "shuffling"}, "one group only"),
        ({"classes": {}, "local_score": {"parameter": "mu"}, "importance": "shuffling"}, "a local score has none of"),
        ({"architecture": "residual", "hidden": [4, 8]}, "equal widths"),
    ],
)
def test_sections_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ClassifierConfig(**{"features": ["x", "y"], "classes": CLASSES, **changes})
