"""Scores without knowledge of other observables: against definitions, and on a toy whose best independent score is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from exports import Feature, write_onnx
from toolkit.config import ClassifierConfig
from toolkit.config.classifiers import DecorrelationConfig
from toolkit.diagnostics.separation import auc
from toolkit.errors import FitError, PhysicsDomainError
from toolkit.likelihood import OnnxRatio
from toolkit.ratios.classification import train_classifier
from toolkit.ratios.classification.decorrelation import adversary_entropy, background_ranks, distance_correlation
from toolkit.ratios.classification.quantiles import PlaceInBackground
from toolkit.weights import SimulatedEvents, assign_fold

SHIFT = 1.2
"""Of the signal in the coordinate that is independent of m."""


def defined(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """The definition, pair by pair (Szekely, Rizzo, Bakirov 2007), with weights as numbers of copies."""
    n, w = len(x), w / w.sum()
    matrices = []
    for values in (x, y):
        d = [[math.dist(values[i], values[j]) for j in range(n)] for i in range(n)]
        row = [sum(w[j] * d[i][j] for j in range(n)) for i in range(n)]
        mean = sum(w[i] * row[i] for i in range(n))
        matrices.append([[d[i][j] - row[i] - row[j] + mean for j in range(n)] for i in range(n)])

    def covariance(a: list[list[float]], b: list[list[float]]) -> float:
        return sum(w[i] * w[j] * a[i][j] * b[i][j] for i in range(n) for j in range(n))

    a, b = matrices
    return covariance(a, b) / math.sqrt(covariance(a, a) * covariance(b, b))


def test_distance_correlation_is_what_is_defined() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 2))
    y = (x[:, :1] ** 2 + 0.3 * rng.normal(size=(40, 1))).round(1)
    w = rng.integers(1, 4, size=40).astype(float)
    found = float(distance_correlation(*(torch.from_numpy(part) for part in (x, y, w))))
    assert found == pytest.approx(defined(x, y, w), rel=1e-10)
    repeated = [torch.from_numpy(np.repeat(part, w.astype(int), axis=0)) for part in (x, y, np.ones(40))]
    assert float(distance_correlation(*repeated)) == pytest.approx(found, rel=1e-10)
    assert found > 2.0 * float(distance_correlation(torch.from_numpy(x), torch.from_numpy(rng.permutation(y)), torch.from_numpy(w)))


def test_places_in_the_background_are_uniform_there() -> None:
    rng = np.random.default_rng(4)
    m, w = np.exp(rng.normal(size=(20_000, 1))), rng.uniform(0.5, 2.0, size=20_000)
    places = background_ranks(torch.from_numpy(m), torch.from_numpy(w))[:, 0].numpy()
    order = np.argsort(m[:, 0])
    expected = (np.cumsum(w[order]) - w[order] / 2.0) / w.sum()
    np.testing.assert_allclose(places[order] / math.sqrt(12.0) + 0.5, expected, atol=1e-12)


class Exact(nn.Module):
    """The best adversary where output and m are standard Gaussians of correlation rho: ln p(s, m) / p(s) p(m)."""

    def __init__(self, rho: float) -> None:
        super().__init__()
        self.rho = rho

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        s, m = pairs.unbind(dim=1)
        k = 1.0 - self.rho**2
        return (-0.5 * math.log(k) - (self.rho**2 * (s**2 + m**2) - 2.0 * self.rho * s * m) / (2.0 * k))[:, None]


def test_the_entropy_of_the_best_adversary_says_how_much_an_output_knows() -> None:
    """H = ln 2 - JS, the Jensen-Shannon divergence of true and shuffled pairs, with and without weights."""
    rho, rng = 0.6, np.random.default_rng(5)
    grid = np.linspace(-6.0, 6.0, 601)
    s, m = np.meshgrid(grid, grid)
    joint = np.exp(-(s**2 + m**2 - 2 * rho * s * m) / (2 * (1 - rho**2))) / math.sqrt(1 - rho**2)
    product = np.exp(-(s**2 + m**2) / 2)
    joint, product = joint / joint.sum(), product / product.sum()
    half = 0.5 * (joint + product)
    divergence = 0.5 * (joint * np.log(joint / half)).sum() + 0.5 * (product * np.log(product / half)).sum()
    x = rng.normal(size=(200_000, 2))
    keep = rng.uniform(size=len(x)) < 0.7
    x[:, 1] = rho * x[:, 0] + math.sqrt(1 - rho**2) * x[:, 1]
    weights = np.where(keep, 1.0 / 0.7, 0.0)
    torch.manual_seed(1)
    rows = torch.from_numpy(x)
    for w in (np.ones(len(x)), weights):
        found = float(adversary_entropy(Exact(rho), rows[:, :1], rows[:, 1:], torch.from_numpy(w)))
        assert found == pytest.approx(math.log(2.0) - divergence, abs=0.003)
    assert float(adversary_entropy(Exact(1e-9), rows[:, :1], rows[:, 1:], torch.from_numpy(weights))) == pytest.approx(math.log(2.0))


def toy(n: int, seed: int) -> SimulatedEvents:
    """Signal and background in m, and in u + m where u is independent of m: the best score that knows nothing of m is u itself."""
    rng = np.random.default_rng(seed)
    signal = np.arange(n) < n // 2
    m, u = rng.normal(np.where(signal, 0.8, 0.0), 1.0), rng.normal(np.where(signal, SHIFT, 0.0), 1.0)
    weights = np.stack([signal, ~signal], axis=1).astype(float)
    index = np.where(signal, 0, 1)
    return SimulatedEvents(("S", "B"), np.arange(n, dtype=np.uint64), index, ("S", "B"), {"m": m, "v": u + m}, weights)


def config_of_toy(**changes: Any) -> ClassifierConfig:
    common: dict[str, Any] = {"features": ("m", "v"), "numerator": ["S"], "denominator": ["B"], "folds": 2}
    return ClassifierConfig(**common, batch_size=256, hidden=(24, 24), learning_rate=1e-2, **changes)


def score_of(config: ClassifierConfig, folder: Path, test: SimulatedEvents) -> np.ndarray:
    sample = toy(24_000, 1)
    fold = assign_fold(sample.event_id, n_folds=2, salt="toy")
    trained = train_classifier(sample, config=config, fold=fold, folder=folder)
    with torch.no_grad():
        logs = trained.network(0)(torch.from_numpy(np.stack([test.observables["m"], test.observables["v"]], axis=1))).numpy()
    found: np.ndarray = logs[:, 0] - logs[:, 1]
    return found


def area_and_knowledge(score: np.ndarray, test: SimulatedEvents) -> tuple[float, float]:
    """Area under the curve, and the correlation of the rank of the score with m in the background."""
    background = test.weights[:, 1] > 0
    rank = np.argsort(np.argsort(score[background]))
    value = auc(score, signal=test.weights[:, 0], background=test.weights[:, 1]).value
    return value, abs(float(np.corrcoef(rank, test.observables["m"][background])[0, 1]))


def test_a_score_forgets_what_it_is_told_to(tmp_path: Path) -> None:
    """Free, the best area is F(|d| / sqrt 2) of both coordinates; without knowledge of m that of u alone, whatever the method."""
    test = toy(40_000, 2)
    free = config_of_toy(epochs=30, seed=2)
    area, knows = area_and_knowledge(score_of(free, tmp_path / "free", test), test)
    assert area == pytest.approx(norm.cdf(math.hypot(SHIFT, 0.8) / math.sqrt(2.0)), abs=0.006)
    assert knows > 0.45
    for method, strength in (("adversary", 4.0), ("distance_correlation", 20.0)):
        section = DecorrelationConfig(variables=("m",), method=method, strength=strength)
        area, knows = area_and_knowledge(score_of(free.model_copy(update={"decorrelate": section}), tmp_path / method, test), test)
        assert area == pytest.approx(norm.cdf(SHIFT / math.sqrt(2.0)), abs=0.012), method
        assert knows < 0.06, method


def test_places_in_the_background_of_the_same_m_are_the_best_score_without_m(tmp_path: Path) -> None:
    """The area is that of u alone; every cut passes the same share of the background at every m, in its tails, too."""
    test = toy(100_000, 2)
    config = config_of_toy(epochs=8, decorrelate={"variables": ["m"], "method": "quantiles"})
    score = score_of(config, tmp_path, test)
    area, knows = area_and_knowledge(score, test)
    assert area == pytest.approx(norm.cdf(SHIFT / math.sqrt(2.0)), abs=0.004)
    assert knows < 0.02
    background = test.weights[:, 1] > 0
    m, s = test.observables["m"][background], score[background]
    for share in (0.5, 0.2, 0.05):
        passed = s > np.quantile(s, 1.0 - share)
        for low, high in ((-9.0, -1.5), (-1.5, -0.5), (-0.5, 0.5), (0.5, 1.5), (1.5, 2.2), (2.2, 9.0)):
            inside = (m > low) & (m <= high)
            of_both = (1.0 + len(m) / 6_000) / inside.sum()  # these events, and those that the table was made of
            assert passed[inside].mean() == pytest.approx(share, abs=3.5 * math.sqrt(share * (1.0 - share) * of_both)), (share, low)


def test_the_place_is_in_the_file(tmp_path: Path) -> None:
    """onnxruntime gives the score of torch, and no table is made of a few events."""
    ratios = nn.Linear(2, 3).double()
    module = PlaceInBackground(ratios, column=1, above=[1.0, 0.0, 0.0], below=[0.0, 2.0, 1.0]).double()
    rng = np.random.default_rng(7)
    x = torch.from_numpy(rng.normal(size=(5_000, 2)))
    with pytest.raises(FitError, match="effective number of 1000"):
        module.fit(x[:1000], torch.ones(1000), name="D")
    module.fit(x, torch.from_numpy(rng.choice([1.0, -0.2], p=[0.9, 0.1], size=len(x))), name="D").eval()
    features = [Feature("a", "", -5.0, 5.0), Feature("m", "", -5.0, 5.0)]
    write_onnx(
        module,
        tmp_path / "D.onnx",
        features=features,
        numerators=["S", "B", "q"],
        reference="equal mixture",
        estimator="classifier",
        reference_rows=x.numpy(),
    )
    with torch.no_grad():
        expected = module(x).numpy()
    np.testing.assert_allclose(OnnxRatio(tmp_path / "D.onnx")(x.numpy()), expected, atol=1e-4)
    assert np.exp(expected).mean(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"variables": ["m"]}, "add m to `features`"),
        ({"variables": ["v", "m"]}, "for one observable"),
        ({"variables": ["v"], "strength": 2.0}, "leave `strength` out"),
        ({"variables": ["v"], "hidden": [8]}, "leave `hidden` out"),
    ],
)
def test_what_quantiles_cannot_do_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassifierConfig(features=("v",), numerator=["S"], denominator=["B"], decorrelate={"method": "quantiles", **section})
    three = {name: [name] for name in ("S", "B", "q")}
    with pytest.raises(ValueError, match="there are 3 classes"):
        ClassifierConfig(features=("v",), classes=three, decorrelate={"method": "quantiles", "variables": ["v"]})


def test_a_background_event_without_the_observable_is_refused(tmp_path: Path) -> None:
    sample = toy(2000, 3)
    config = ClassifierConfig(features=("v",), numerator=["S"], denominator=["B"], folds=2, decorrelate={"variables": ["m"]})
    sample.observables["m"][10] = np.nan  # an event of the signal, which does not matter
    fold = assign_fold(sample.event_id, n_folds=2, salt="toy")
    sample.observables["m"][1500] = np.nan
    with pytest.raises(PhysicsDomainError, match=r"feature m\n.*row 1500"):
        train_classifier(sample, config=config, fold=fold, folder=tmp_path)
