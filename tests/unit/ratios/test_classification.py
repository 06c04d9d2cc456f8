"""The classifier of several densities: the exact log ratios, and that no event has a say in its own score."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit.config import ClassifierConfig, parse_config
from toolkit.errors import FitError, PhysicsDomainError, SchemaError
from toolkit.model import Model, ModelParameter, Process
from toolkit.ratios.classification import NetworkTask, TrainedClassifier, train_classifier
from toolkit.ratios.members import Member
from toolkit.weights import SimulatedEvents, assign_fold
from toolkit.weights.scores import log_score

MEANS = {"S": 1.0, "B": -0.5, "q": 0.0}
YIELDS = {"S": 3.0, "B": 50.0, "q": 700.0}
CONFIG = ClassifierConfig(
    features=("x", "y"),
    numerator=["S"],
    denominator={"B": 2.0, "q": 1.0},
    hidden=(24, 24),
    epochs=12,
    folds=3,
    batch_size=512,
    learning_rate=1e-2,
    seed=4,
)


def density(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A product of Gaussians; for `q` twice as wide."""
    width = 2.0 if name == "q" else 1.0
    return np.exp(-0.5 * ((x - MEANS[name]) ** 2 + y**2) / width**2) / (2.0 * np.pi * width**2)


def events(n: int, seed: int) -> SimulatedEvents:
    """Half of the events inform S and B with their weights under both, the others are of q."""
    rng = np.random.default_rng(seed)
    half = n // 2
    x = np.concatenate([rng.normal(0.2, 1.3, half), rng.normal(0.0, 2.0, n - half)])
    y = np.concatenate([rng.normal(0.0, 1.0, half), rng.normal(0.0, 2.0, n - half)])
    drawn = np.exp(-0.5 * (((x - 0.2) / 1.3) ** 2 + y**2)) / (2.0 * np.pi * 1.3)
    weights = np.zeros((n, 3))
    for j, name in enumerate(("S", "B")):
        weights[:half, j] = YIELDS[name] / half * (density(name, x, y) / drawn)[:half]
    weights[half:, 2] = YIELDS["q"] / (n - half)
    names, index = tuple(MEANS), np.repeat([0, 1], [half, n - half])
    return SimulatedEvents(names, np.arange(n, dtype=np.uint64), index, ("SB", "q"), {"x": x, "y": y}, weights)


def folds_of(sample: SimulatedEvents) -> np.ndarray:
    return assign_fold(sample.event_id, n_folds=CONFIG.folds, salt="h4l/classifier")


def logs(trained: TrainedClassifier, sample: SimulatedEvents, *, without: int | None = None) -> np.ndarray:
    network = trained.network(without)
    with torch.no_grad():
        found = network(torch.from_numpy(np.stack([sample.observables["x"], sample.observables["y"]], axis=1)))
    return (found[0] if without is None else found).numpy()


@pytest.fixture(scope="module")
def sample() -> SimulatedEvents:
    return events(45_000, seed=1)


@pytest.fixture(scope="module")
def trained(sample: SimulatedEvents, tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    return train_classifier(sample, config=CONFIG, fold=folds_of(sample), folder=tmp_path_factory.mktemp("classifier"))


@pytest.mark.parametrize("without", [None, 0, 2])
def test_the_score_is_the_exact_log_ratio(trained: TrainedClassifier, without: int | None) -> None:
    """ln p_S / (2 p_B + p_q) of the densities, whatever the yields: every class has the same total weight."""
    test = events(20_000, seed=2)
    x, y = test.observables["x"], test.observables["y"]
    exact = np.log(density("S", x, y)) - np.log(2.0 * density("B", x, y) + density("q", x, y))
    found = log_score(logs(trained, test, without=without), trained.classes, numerator=CONFIG.numerator, denominator=CONFIG.denominator)
    inside = np.hypot(x, y) < 2.5
    assert np.mean(inside) > 0.5
    assert np.median(np.abs(found - exact)[inside]) < 0.06
    assert abs(np.mean((found - exact)[inside])) < 0.06


def test_the_outputs_are_log_ratios_to_the_equal_mixture(trained: TrainedClassifier, sample: SimulatedEvents) -> None:
    assert trained.mixture == pytest.approx({"S": 1 / 3, "B": 1 / 3, "q": 1 / 3})
    for without in (None, 1):
        np.testing.assert_allclose(np.exp(logs(trained, sample, without=without)).mean(axis=1), 1.0, rtol=1e-12)


def test_the_mean_has_the_mean_logits(trained: TrainedClassifier, sample: SimulatedEvents) -> None:
    mean = np.mean([logs(trained, sample, without=k) for k in range(3)], axis=0)
    difference = logs(trained, sample) - mean
    np.testing.assert_allclose(difference, difference[:, :1] * np.ones(3), atol=1e-12)


@pytest.mark.parametrize("change", ["weights", "features", "gone"])
def test_an_event_has_no_say_in_its_own_score(change: str, tmp_path: Path) -> None:
    """Other weights or features of the events of one fold: the network without it stays the same to the last bit, the others change."""
    small = events(3000, seed=5)
    config = CONFIG.model_copy(update={"epochs": 2, "batch_size": 128})
    own = folds_of(small) == 1
    if change == "weights":
        other = replace(small, weights=np.where(own[:, None], small.weights[:, ::-1], small.weights))
    elif change == "features":
        other = replace(small, observables={"x": np.where(own, 50.0, small.observables["x"]), "y": small.observables["y"]})
    else:
        other = small.select(~own | (np.arange(len(small)) % 2 == 0))
    first, second = (train_classifier(s, config=config, fold=folds_of(s), folder=tmp_path / str(k)) for k, s in enumerate((small, other)))
    asked = small.select(own)
    assert np.array_equal(logs(first, asked, without=1), logs(second, asked, without=1))
    for seen in (0, 2):
        assert not np.allclose(logs(first, asked, without=seen), logs(second, asked, without=seen), atol=1e-6)


def test_a_finished_training_is_read_and_coefficients_do_not_change_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = events(3000, seed=5)
    config = CONFIG.model_copy(update={"epochs": 1, "batch_size": 128})
    first = train_classifier(small, config=config, fold=folds_of(small), folder=tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["member_00.pt", "member_01.pt", "member_02.pt"]
    asked: list[Member] = []
    monkeypatch.setattr(NetworkTask, "train", lambda _self, member, **_: asked.append(member) or pytest.fail("trained again"))
    again = train_classifier(
        small, config=config.model_copy(update={"denominator": {"B": 9.0, "q": 1.0}}), fold=folds_of(small), folder=tmp_path
    )
    assert np.array_equal(logs(first, small), logs(again, small))
    assert not asked


def test_a_task_can_go_to_another_process(tmp_path: Path) -> None:
    small = events(3000, seed=5)
    config = CONFIG.model_copy(update={"epochs": 1, "batch_size": 128})
    x, weights = torch.rand(len(small), 2, dtype=torch.float64), torch.from_numpy(small.weights)
    task = NetworkTask("D", x, weights, folds_of(small).astype(np.int64), config, False, {}, 1, "cpu")
    sent, member = pickle.loads(pickle.dumps(task)), Member(0, 4, "folds", folds=(1, 2))
    assert sent.key(member) == task.key(member)
    one, two = (t.train(member, checkpoint=tmp_path / f"{k}.pt", on_progress=lambda *_: None)[0](x) for k, t in enumerate((task, sent)))
    assert torch.equal(one, two)


def test_the_default_size_of_batches_shrinks_to_few_events_and_a_size_that_was_given_does_not(tmp_path: Path) -> None:
    small = events(900, seed=5)
    given = {"features": ["x", "y"], "numerator": ["S"], "denominator": ["B", "q"], "hidden": [8], "epochs": 1, "folds": 3}
    trained = train_classifier(small, config=ClassifierConfig(**given), fold=folds_of(small), folder=tmp_path / "default")
    for history in trained.history:
        assert re.fullmatch(r"only (\d+) training events: batches of (\d+) instead of 1024", history.warnings[0])
    with pytest.raises(FitError, match="2 batches of 1024"):
        train_classifier(small, config=ClassifierConfig(**given, batch_size=1024), fold=folds_of(small), folder=tmp_path / "given")


def test_a_class_without_weight_is_named(sample: SimulatedEvents, tmp_path: Path) -> None:
    empty = replace(sample, weights=sample.weights * np.array([1.0, 0.0, 1.0]))
    with pytest.raises(PhysicsDomainError, match=r"(?s)class B of classifier D_pre.*total weight 0"):
        train_classifier(empty, config=CONFIG, fold=folds_of(sample), folder=tmp_path, name="D_pre")


def test_a_class_of_which_one_fold_holds_all_events_is_named(sample: SimulatedEvents, tmp_path: Path) -> None:
    fold = folds_of(sample)
    single = replace(sample, weights=np.where((fold == 2)[:, None], sample.weights, sample.weights * np.array([0.0, 1.0, 1.0])))
    with pytest.raises(PhysicsDomainError, match=r"(?s)class S of classifier classifier.*without fold 2"):
        train_classifier(single, config=CONFIG, fold=fold, folder=tmp_path)


def test_missing_features_are_named(sample: SimulatedEvents, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"(?s)no column \['z'\]"):
        train_classifier(sample, config=CONFIG.model_copy(update={"features": ("x", "z")}), fold=folds_of(sample), folder=tmp_path)
    hole = {**sample.observables, "y": np.where(np.arange(len(sample)) == 7, np.nan, sample.observables["y"])}
    with pytest.raises(PhysicsDomainError, match=r"(?s)feature y.*nan in row 7"):
        train_classifier(replace(sample, observables=hole), config=CONFIG, fold=folds_of(sample), folder=tmp_path)


def test_a_feature_of_one_value_is_named_with_the_place_to_change(sample: SimulatedEvents, tmp_path: Path) -> None:
    flat = {**sample.observables, "y": np.zeros(len(sample))}
    with pytest.raises(PhysicsDomainError, match=r"(?s)feature y of classifier D_pre.*0.0 in every event.*classifiers.D_pre.features"):
        train_classifier(replace(sample, observables=flat), config=CONFIG, fold=folds_of(sample), folder=tmp_path, name="D_pre")


GG = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
MODEL = Model((ModelParameter("mu", range=(0.0, 6.0), truth=1.0),), (GG, Process.build("q", {"q": "1"})))
LOCAL = ClassifierConfig(
    features=("x",), local_score={"parameter": "mu", "at": {"mu": 2.0}}, hidden=(16,), epochs=15, folds=2, batch_size=256
)


def rates(x: np.ndarray) -> np.ndarray:
    """S, SBI, B and q at x; signal and background amplitude interfere."""
    s, b = 1.2 * x, 2.0 - x
    return np.stack([s**2, (s + b) ** 2, b**2, np.full_like(x, 5.0)], axis=1)


def flat(n: int, seed: int) -> SimulatedEvents:
    x = np.random.default_rng(seed).uniform(-1.0, 1.0, n)
    zeros = np.zeros(n, dtype=np.int64)
    return SimulatedEvents(("S", "SBI", "B", "q"), np.arange(n, dtype=np.uint64), zeros, ("flat",), {"x": x}, rates(x) / n)


def test_a_local_score_is_the_derivative_of_the_log_density(tmp_path: Path) -> None:
    training, test = flat(20_000, 1), flat(2000, 2)
    fold = assign_fold(training.event_id, n_folds=2, salt="x")
    trained = train_classifier(training, config=LOCAL, fold=fold, folder=tmp_path, model=MODEL, name="sally")
    assert (trained.classes, trained.mixture) == (("sally",), {})
    root = 2.0**0.5
    density = rates(test.observables["x"]) @ [2.0 - root, root, 1.0 - root, 1.0]
    slope = rates(test.observables["x"]) @ [1.0 - 0.5 / root, 0.5 / root, -0.5 / root, 0.0]
    wanted = slope / density - slope.sum() / density.sum()
    with torch.no_grad():
        found, spread = trained.network(None)(torch.from_numpy(test.observables["x"][:, None]))
    assert found.shape == spread.shape == (2000, 1)
    assert np.sqrt(np.mean((found[:, 0].numpy() - wanted) ** 2)) < 0.05 * wanted.std()


def test_events_of_other_benchmarks_cannot_teach_a_local_score(tmp_path: Path) -> None:
    training = flat(2000, 1)
    apart = replace(training, weights=np.where(np.arange(4) == np.arange(2000)[:, None] % 4, training.weights, 0.0))
    with pytest.raises(PhysicsDomainError, match=r"density of event .* at the point of the local score"):
        train_classifier(apart, config=LOCAL, fold=np.arange(2000) % 2, folder=tmp_path, model=MODEL)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"local_score": {"parameter": "mu", "at": {"mu": 0.0}}}, "the derivative of the densities by mu is infinite"),
        ({"local_score": {"parameter": "c"}}, r"no parameters \['c'\]"),
        ({"local_score": {"parameter": "mu", "at": {"mu": 9.0}}}, "outside its range"),
        ({"local_score": {"parameter": "mu"}, "numerator": ["ggF_S"], "denominator": ["ggF_B"]}, "and one of them only"),
        ({"numerator": ["ggF_S"]}, "give densities for `numerator` and `denominator`"),
    ],
)
def test_points_and_classes_are_checked_before_anything_runs(section: dict[str, object], text: str) -> None:
    samples = [{"name": n, "files": [f"{n}.root"]} for n in ("ggF_S", "ggF_SBI", "ggF_B")]
    with pytest.raises(SchemaError, match=text):
        parse_config({"luminosity_ifb": 1.0, "samples": samples, "classifiers": {"one": {"features": ["m4l"], **section}}}, folder=Path())
