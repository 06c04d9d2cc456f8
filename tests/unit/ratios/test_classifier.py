"""The ratio of two samples in scikit-learn's manner: against exact Gaussians, with weights, DataFrames and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exports import Feature, write_onnx
from toolkit.errors import FitError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import OnnxRatio
from toolkit.ratios.architectures import MLP
from toolkit.ratios.estimators import RatioClassifier
from toolkit.ratios.schedules import TrainingSettings

QUICK = TrainingSettings(epochs=10, batch_size=250, learning_rate=1e-2, seed=1)
AT = np.array([[-1.0, 0.3], [-0.5, 2.0], [0.0, -1.0], [0.5, 0.0], [1.0, 1.0]])


def _samples(n0: int, n1: int, *, seed: int = 1, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Gaussians of width 1 at -shift and shift in the first column: log ratio 2 shift x; noise in the second."""
    rng = np.random.default_rng(seed)
    first = np.concatenate([rng.normal(-shift, size=n0), rng.normal(shift, size=n1)])
    return np.stack([first, rng.normal(size=n0 + n1)], axis=1), np.repeat(["background", "signal"], [n0, n1])


@pytest.fixture(scope="module")
def fitted() -> RatioClassifier:
    return RatioClassifier(architecture=MLP((8,)), training=QUICK).fit(*_samples(6000, 6000))


def test_the_ratio_is_the_exact_one(fitted: RatioClassifier) -> None:
    assert fitted.decision_function(AT) == pytest.approx(AT[:, 0], abs=0.2)


def test_the_sizes_of_the_samples_do_not_matter() -> None:
    model = RatioClassifier(architecture=MLP((8,)), training=QUICK).fit(*_samples(9000, 3000, seed=2))
    assert model.decision_function(AT) == pytest.approx(AT[:, 0], abs=0.25)


def test_weights_of_both_signs_make_the_density() -> None:
    """A sample at 0, reweighted to one at 0.5 times exp(0.5 x - 0.125), plus pairs of opposite weight that cancel."""
    rng = np.random.default_rng(3)
    n = 6000
    x = rng.normal(size=(2 * n, 1))
    extra = rng.normal(size=(2000, 1))
    both = np.concatenate([x, extra, extra])
    y = np.concatenate([np.repeat([0, 1], n), np.ones(4000)])
    tilt = np.where(y[: 2 * n] == 1, np.exp(0.5 * x[:, 0] - 0.125), 1.0)
    weights = np.concatenate([tilt, np.full(2000, 0.5), np.full(2000, -0.5)])
    model = RatioClassifier(architecture=MLP((8,)), training=QUICK).fit(both, y, sample_weight=weights)
    at = np.array([[-1.0], [0.0], [1.0]])
    assert model.decision_function(at) == pytest.approx(0.5 * at[:, 0] - 0.125, abs=0.2)


def test_probabilities_and_labels_follow_the_ratio(fitted: RatioClassifier) -> None:
    log_ratio, p = fitted.decision_function(AT), fitted.predict_proba(AT)
    assert fitted.classes_.tolist() == ["background", "signal"]
    assert p.sum(axis=1) == pytest.approx(np.ones(len(AT)), abs=1e-12)
    assert np.log(p[:, 1] / p[:, 0]) == pytest.approx(log_ratio, abs=1e-9)
    assert fitted.predict(AT).tolist() == ["signal" if value > 0 else "background" for value in log_ratio]


def test_probabilities_do_not_overflow(fitted: RatioClassifier) -> None:
    class Steep(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1000.0 * x[:, :1]

    model = RatioClassifier()
    model.network_, model.classes_, model.n_features_in_ = Steep(), fitted.classes_, 2
    assert model.predict_proba([[-1.0, 0.0], [1.0, 0.0]]).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_copy_from_the_parameters_fits_the_same_bits(fitted: RatioClassifier) -> None:
    copy = RatioClassifier(**fitted.get_params())
    assert not hasattr(copy, "network_")
    copy.fit(*_samples(6000, 6000))
    assert np.array_equal(copy.decision_function(AT), fitted.decision_function(AT))
    other = RatioClassifier().set_params(architecture=MLP((4,)))
    assert other.get_params()["architecture"] == MLP((4,))
    with pytest.raises(SchemaError, match="one of \\['architecture', 'training'\\]"):
        other.set_params(depth=3)


def test_scikit_learn_clones_and_crosses_it(fitted: RatioClassifier) -> None:
    base, selection = pytest.importorskip("sklearn.base"), pytest.importorskip("sklearn.model_selection")
    copy = base.clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "network_")
    scores = selection.cross_val_score(copy, *_samples(3000, 3000, shift=1.0), cv=2, scoring="accuracy")
    assert scores == pytest.approx([0.84, 0.84], abs=0.04)  # the share of a Gaussian on its own side of 0


def test_data_frames_give_their_names() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = _samples(1000, 1000)
    frame = pandas.DataFrame({"m4l": 300.0 + 50.0 * np.exp(x[:, 0]), "y4l": x[:, 1]})
    model = RatioClassifier(architecture=MLP((8,)), training=QUICK).fit(frame, pandas.Series(y))
    assert model.feature_names_in_.tolist() == ["m4l", "y4l"]
    assert np.array_equal(model.decision_function(frame), model.decision_function(frame.to_numpy()))
    with pytest.raises(SchemaError, match="columns of the features") as error:
        model.decision_function(frame[["y4l", "m4l"]])
    assert error.value.expected == ["m4l", "y4l"]
    with pytest.raises(SchemaError, match="different names"):
        RatioClassifier().fit(pandas.concat([frame, frame], axis=1), y)


def test_the_network_goes_to_onnx(fitted: RatioClassifier, tmp_path) -> None:
    columns = [Feature("x", "", -4.0, 4.0), Feature("noise", "", -4.0, 4.0)]
    names = {"features": columns, "numerators": ["signal"], "reference": "background", "estimator": "carl"}
    write_onnx(fitted.network_, tmp_path / "ratio.onnx", reference_rows=AT, **names)
    assert OnnxRatio(tmp_path / "ratio.onnx", threads=1)(AT)[:, 0] == pytest.approx(fitted.decision_function(AT), abs=1e-5)


def test_bad_input_is_refused_by_name(fitted: RatioClassifier) -> None:
    x, y = _samples(300, 300)
    model = RatioClassifier(architecture=MLP((4,)), training=QUICK)
    with pytest.raises(FitError, match="call fit first"):
        model.decision_function(x)
    with pytest.raises(ShapeError, match=r"labels"):
        model.fit(x, y[:-1])
    with pytest.raises(ShapeError, match=r"weights"):
        model.fit(x, y, sample_weight=np.ones(3))
    with pytest.raises(ShapeError, match=r"\(n, n_features\)"):
        model.fit(x[:, 0], y)
    with pytest.raises(SchemaError, match="3 different values"):
        model.fit(x, np.arange(600) % 3)
    with pytest.raises(PhysicsDomainError, match="feature 1 in row 7"):
        model.fit(np.where(np.arange(1200).reshape(600, 2) == 15, np.nan, x), y)
    with pytest.raises(PhysicsDomainError, match="weights of sample signal"):
        model.fit(x, y, sample_weight=np.where(y == "signal", -1.0, 1.0))
    with pytest.raises(ShapeError, match="2, as in the fit"):
        fitted.decision_function(AT[:, :1])
