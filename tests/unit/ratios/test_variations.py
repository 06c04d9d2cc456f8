"""Learned variations against closed forms: event by event, in a fit, for weights and for noise; and what a stopped training keeps."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit.config import RatioConfig, VariationRatioConfig
from toolkit.errors import ArtifactMismatchError, FitError
from toolkit.likelihood import Constraint, Parameter, ShapeReference, Shapes, UnbinnedLikelihood
from toolkit.ratios import feature_matrix
from toolkit.ratios.variation_network import VariationNetwork, output_scale, pair_loss
from toolkit.ratios.variations import TrainedVariation, load_variation, train_variation, variation_key
from toolkit.typing import FloatArray
from toolkit.weights.pairs import EventPairs

FEATURES = ("u", "v", "noise")
COMMON = RatioConfig(features=FEATURES, fold_beam_axis=False)
QUICK = VariationRatioConfig(hidden=(16,), epochs=8, batch_size=512)
SHIFT, STRETCH = 0.03, 1.02
YIELDS = np.array([400.0, 1600.0])
"""Expected events of the signal, exponential in u, and of the background, Gaussian in u; both Gaussian in v."""


def simulate(n: int, seed: int) -> tuple[dict[str, FloatArray], FloatArray]:
    """Half signal, half background: observables and weights (n, 2)."""
    rng = np.random.default_rng(seed)
    signal = np.arange(n) < n // 2
    u = np.where(signal, rng.exponential(size=n) + 1.0, 2.0 + 0.5 * rng.normal(size=n))
    x = {"u": u, "v": rng.normal(size=n), "noise": rng.normal(size=n)}
    return x, np.stack([signal, ~signal], axis=1) * (YIELDS / (n // 2))


def shifted(n: int, seed: int) -> EventPairs:
    """The same events with v moved by a constant, and u of the background stretched about its mean."""
    x, w = simulate(n, seed)
    moved = {**x, "v": x["v"] + SHIFT, "u": np.where(w[:, 1] > 0, 2.0 + STRETCH * (x["u"] - 2.0), x["u"])}
    return EventPairs(("signal", "background"), np.arange(n, dtype=np.uint64), x, moved, w, w)


def exact(x: dict[str, FloatArray]) -> FloatArray:
    """ln(varied/nominal density) of both processes, (n, 2)."""
    move = SHIFT * x["v"] - 0.5 * SHIFT**2
    z = (x["u"] - 2.0) / 0.5
    return np.stack([move, move + 0.5 * z**2 * (1.0 - STRETCH**-2) - np.log(STRETCH)], axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("variation")
    return made


@pytest.fixture(scope="module")
def trained(folder: Path) -> TrainedVariation:
    found = train_variation(shifted(30_000, 1), config=QUICK, common=COMMON, folder=folder)
    assert found is not None
    return found


def test_the_learned_ratio_is_the_exact_one_event_by_event(trained: TrainedVariation) -> None:
    x, weights = simulate(20_000, 2)
    learned, truth = trained.log_ratio(feature_matrix(x, FEATURES)), exact(x)
    for j in range(2):
        own = weights[:, j] > 0
        size, error = np.std(truth[own, j]), np.std(learned[own, j] - truth[own, j])
        assert error < 0.25 * size
        assert np.corrcoef(learned[own, j], truth[own, j])[0, 1] > 0.97
        assert np.mean(np.exp(learned[own, j])) == pytest.approx(1.0, abs=2e-3)
    assert [c.slope for c in trained.calibrations] == pytest.approx([1.0, 1.0], abs=0.15)


def test_fits_with_learned_and_with_exact_ratios_agree(trained: TrainedVariation) -> None:
    """The same uncertainty of mu, and the same constraint on the nuisance parameter, within a few per cent."""
    fits = []
    (data, w), (reference, wr) = simulate(30_000, 3), simulate(30_000, 4)
    for values in (exact, lambda x: trained.log_ratio(feature_matrix(x, FEATURES))):
        shapes = [Shapes.of([{"alpha": (f[:, j], -f[:, j])} for j in range(2)], n_events=len(f)) for f in (values(data), values(reference))]
        fits.append(fit(data, w, shapes[0], ShapeReference(wr, shapes[1])))
    plain, learned = fits
    assert learned[1] == pytest.approx(plain[1], rel=0.03)
    assert learned[2] == pytest.approx(plain[2], rel=0.08)
    assert plain[2] < 0.75  # the data do constrain it
    assert abs(learned[0] - plain[0]) < 0.05 * plain[1]


def fit(x: dict[str, FloatArray], weights: FloatArray, shapes: Shapes, reference: ShapeReference) -> tuple[float, float, float]:
    """Fit an Asimov set: best mu, its error, the error of alpha."""
    u = x["u"]
    logs = np.stack([np.where(u > 1.0, 1.0 - u, -50.0), -0.5 * ((u - 2.0) / 0.5) ** 2 - np.log(0.5 * np.sqrt(2 * np.pi))], axis=1)
    likelihood = UnbinnedLikelihood(
        log_ratios=logs,
        weights=weights.sum(axis=1),
        yields=YIELDS,
        coefficients=("mu", "1"),
        parameters=(Parameter("mu", init=1.0, low=0.0, high=5.0), Parameter("alpha", init=0.0, low=-5.0, high=5.0)),
        shapes=shapes,
        reference=reference,
        constraints=[Constraint("alpha")],
    )
    found = likelihood.fit()
    return found.parameters["mu"], found.errors["mu"], found.errors["alpha"]


def test_a_weight_ratio_is_learned_as_its_mean(tmp_path: Path) -> None:
    """Weights 1 + 0.2 v times noise of mean 1 that no feature knows: exp f = 1 + 0.2 v, whatever the noise."""
    x, w = simulate(30_000, 5)
    v = np.clip(x["v"], -3.0, 3.0)
    ratio = (1.0 + 0.2 * v) * np.random.default_rng(6).choice([0.5, 1.5], len(v))
    pairs = EventPairs(("signal", "background"), np.arange(len(v), dtype=np.uint64), x, x, w, w * [1.0, 1.0] * ratio[:, None])
    found = train_variation(pairs, config=QUICK, common=COMMON, folder=tmp_path)
    assert found is not None
    x, w = simulate(10_000, 7)
    learned = found.log_ratio(feature_matrix(x, FEATURES))
    truth = np.log(1.0 + 0.2 * np.clip(x["v"], -3.0, 3.0))
    for j in range(2):
        own = w[:, j] > 0
        assert np.std((learned[:, j] - truth)[own]) < 0.3 * np.std(truth[own])


def test_processes_that_nothing_happens_to_are_left_out(tmp_path: Path) -> None:
    pairs = shifted(4_000, 8)
    assert train_variation(replace(pairs, varied=pairs.nominal), config=QUICK, common=COMMON, folder=tmp_path / "none") is None
    still = pairs.nominal_weights[:, 0] > 0
    moved = {name: np.where(still, pairs.nominal[name], values) for name, values in pairs.varied.items()}
    found = train_variation(replace(pairs, varied=moved), config=QUICK, common=COMMON, folder=tmp_path / "one")
    assert found is not None
    assert found.processes == ("background",)


def test_noise_is_scaled_down(tmp_path: Path) -> None:
    """Every event moves at random and the density stays: what the networks make of it is no more than its error."""
    n = 4_000
    x, w = simulate(n, 9)
    other, _ = simulate(n, 10)
    long = VariationRatioConfig(hidden=(32, 32), epochs=12, batch_size=128)
    found = train_variation(
        EventPairs(("signal", "background"), np.arange(n, dtype=np.uint64), x, other, w, w), config=long, common=COMMON, folder=tmp_path
    )
    assert found is not None
    assert all(c.significance < 3.0 for c in found.calibrations)
    test, weights = simulate(20_000, 11)
    learned = found.log_ratio(feature_matrix(test, FEATURES))
    claimed = [float(np.sqrt(YIELDS[j]) * np.std(learned[weights[:, j] > 0, j])) for j in range(2)]
    assert max(claimed) < 1.0


def test_a_finished_training_is_read_and_a_stopped_one_goes_on(trained: TrainedVariation, folder: Path, tmp_path: Path) -> None:
    pairs = shifted(30_000, 1)
    key = variation_key(pairs, config=QUICK, common=COMMON)
    x = feature_matrix(simulate(100, 3)[0], FEATURES)
    again = load_variation(folder, key=key)
    np.testing.assert_array_equal(again.log_ratio(x), trained.log_ratio(x))
    assert again.calibrations == trained.calibrations
    assert again.processes == trained.processes
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("member_*.pt")}
    lost = sorted(before)[2]
    (folder / lost).unlink()
    seen: list[float] = []
    resumed = train_variation(pairs, config=QUICK, common=COMMON, folder=folder, progress=lambda _label, done, _total: seen.append(done))
    assert resumed is not None
    np.testing.assert_array_equal(resumed.log_ratio(x), trained.log_ratio(x))
    changed = {path.name for path in folder.glob("member_*.pt") if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {lost}
    with pytest.raises(ArtifactMismatchError, match="other events or settings"):
        load_variation(folder, key=variation_key(pairs, config=replace_epochs(QUICK), common=COMMON))
    with pytest.raises(ArtifactMismatchError, match=r"variation\.pt"):
        load_variation(tmp_path)


def replace_epochs(config: VariationRatioConfig) -> VariationRatioConfig:
    return config.model_copy(update={"epochs": config.epochs + 1})


def test_the_default_size_of_batches_shrinks_to_few_events_and_a_size_that_was_given_does_not(tmp_path: Path) -> None:
    pairs = shifted(400, 4)
    found = train_variation(pairs, config=VariationRatioConfig(hidden=(8,), epochs=1), common=COMMON, folder=tmp_path)
    assert found is not None
    warnings = [history.warnings[0] for member in found.history for history in member]
    assert all(re.fullmatch(r"only \d+ training events: batches of \d+ instead of 512", text) for text in warnings)
    with pytest.raises(FitError, match="2 batches of 512"):
        train_variation(pairs, config=QUICK, common=COMMON, folder=tmp_path / "given")


def test_thresholds_of_pruning_do_not_train_again() -> None:
    pairs = shifted(100, 1)
    pruned = QUICK.model_copy(update={"prune": QUICK.prune.model_copy(update={"separation": 0.5})})
    assert variation_key(pairs, config=pruned, common=COMMON) == variation_key(pairs, config=QUICK, common=COMMON)


def test_a_process_without_events_is_refused(tmp_path: Path) -> None:
    pairs = shifted(1_000, 1)
    gone = replace(pairs, varied_weights=pairs.varied_weights * [0.0, 1.0])
    with pytest.raises(FitError, match="variation of signal"):
        train_variation(gone, config=QUICK, common=COMMON, folder=tmp_path)


def slow_loss(network: VariationNetwork, z0: torch.Tensor, z1: torch.Tensor, w0: torch.Tensor, w1: torch.Tensor) -> float:
    total = 0.0
    for i in range(len(z0)):
        f0, f1 = (network(z[i : i + 1])[0].tolist() for z in (z0, z1))
        for j, scale in enumerate(network.scale.tolist()):
            one = float(w0[i, j]) * (np.log1p(np.exp(f0[j])) - np.log(2.0)) + float(w1[i, j]) * (np.log1p(np.exp(-f1[j])) - np.log(2.0))
            total += one / scale**2
    return total / (len(z0) * len(network.scale))


def test_the_loss_is_that_of_a_classifier() -> None:
    generator = torch.Generator().manual_seed(1)
    scale = torch.tensor([0.01, 0.5], dtype=torch.float64)
    network = VariationNetwork(3, hidden=(4,), scale=scale, generator=generator).double()
    tensors = [torch.randn(20, k, generator=generator, dtype=torch.float64).abs() for k in (3, 3, 2, 2)]
    with torch.no_grad():
        assert float(pair_loss(network, tuple(tensors))) == pytest.approx(slow_loss(network, *tensors), rel=1e-10)
        shared = (tensors[0], *tensors[2:])
        assert float(pair_loss(network, shared)) == pytest.approx(slow_loss(network, tensors[0], *shared), rel=1e-10)


def test_the_scale_is_the_size_of_the_ratio() -> None:
    """A Gaussian that moves by a and stretches by 1 + b: ln r has standard deviation sqrt(a^2 + 2 b^2)."""
    z = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    moved = torch.stack([z[:, 0] + 0.03, z[:, 1] * 1.02], dim=1)
    ones = torch.ones(len(z), 1, dtype=torch.float64)
    assert float(output_scale(z, moved, ones, ones)[0]) == pytest.approx(np.hypot(0.03, 0.02 * 2**0.5), rel=0.05)
    assert float(output_scale(z, z, ones, ones)[0]) == pytest.approx(1e-4)
