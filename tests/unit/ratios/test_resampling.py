"""Positive weights from signed ones: a mixture with 20 % negative weights whose cancellation is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.ratios.toy import MODEL, exact_log_ratios, toy
from toolkit.config import RatioConfig
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.ratios.resampling import Resampled, ResamplingSettings, fit_resampling, resample_process, sign_loss
from toolkit.ratios.resampling_closure import resampling_closure
from toolkit.ratios.signed_calibration import directions, fit_signed_calibration
from toolkit.ratios.trainer import TrainingSettings
from toolkit.weights import SimulatedEvents, n_eff

N = 16_000
QUICK = ResamplingSettings(hidden=(24, 24), members=3, training=TrainingSettings(epochs=8, batch_size=512, patience=8, learning_rate=1e-2))


def known_share(a, b):
    return 0.6 + 0.35 * np.tanh(a) * b


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(3)
    a, b, other = rng.normal(size=N), rng.uniform(-1.0, 1.0, N), rng.normal(size=N)
    share = known_share(a, b)
    w = rng.exponential(1.0, N) * np.where(rng.uniform(size=N) < 0.5 * (1.0 - share), -1.0, 1.0)
    return a, b, other, w


@pytest.fixture(scope="module")
def resampled(sample) -> Resampled:
    a, b, _, w = sample
    return fit_resampling(np.stack([a, b], axis=1), w, features=("a", "b"), event_id=np.arange(N), settings=QUICK)


def test_the_share_is_the_known_one(sample, resampled):
    a, b, _, w = sample
    assert np.mean(w < 0) == pytest.approx(0.2, abs=0.01)
    assert np.all((resampled.share > 0) & (resampled.share < 1))
    error = np.sqrt(np.mean((resampled.share - known_share(a, b)) ** 2))
    assert error < 0.07
    flat = np.sqrt(np.mean((w.sum() / np.abs(w).sum() - known_share(a, b)) ** 2))
    assert error < 0.6 * flat


def test_expectations_of_observables_are_kept(sample, resampled):
    """Inputs, a function of both, and an observable that no network saw."""
    a, b, other, w = sample
    assert resampled.weights.min() > 0
    assert resampled.weights.sum() == pytest.approx(w.sum(), rel=1e-5)
    for name, values in {"a": a, "b": b, "a*b": a * b, "other": other}.items():
        closure = resampling_closure(resampled, values, observable=name, edges=np.linspace(-1.0, 1.0, 9))
        assert closure.p_value > 1e-3, name
        assert np.max(np.abs(closure.pulls)) < 4.0, name
        assert np.all(closure.network_error >= 0)
    flat = np.abs(w) * w.sum() / np.abs(w).sum()  # one share for all events does not close
    wrong = Resampled(resampled.model, ("a", "b"), w, flat / np.abs(w), np.stack([flat / np.abs(w)] * 3))
    assert resampling_closure(wrong, a * b, observable="a*b", edges=np.linspace(-1.0, 1.0, 9)).p_value < 1e-6


def test_the_closure_equals_the_loop(sample, resampled):
    a, _, _, w = sample
    values = np.where(a > 1.5, np.nan, a)
    closure = resampling_closure(resampled, values, observable="a", edges=np.array([-1.0, 0.0, 1.0]))
    signed, positive, square = np.zeros(2), np.zeros(2), np.zeros(2)
    for i in range(N):
        if not np.isnan(values[i]):
            k = int(values[i] >= 0)
            signed[k] += w[i]
            positive[k] += abs(w[i]) * resampled.share[i]
            square[k] += (abs(w[i]) * resampled.share[i] - w[i]) ** 2
    np.testing.assert_allclose([closure.signed, closure.positive], [signed, positive], rtol=1e-9)
    np.testing.assert_allclose(np.diag(closure.covariance), square + closure.network_error**2, rtol=1e-9)
    assert closure.to_json()["pulls"] == closure.pulls.tolist()
    with pytest.raises(ShapeError, match="shape"):
        resampling_closure(resampled, a[:5], observable="a", edges=np.array([0.0, 1.0]))
    with pytest.raises(SchemaError, match="edges"):
        resampling_closure(resampled, a, observable="a", edges=np.array([1.0, 0.0]))


def test_thinned_weights_keep_the_statistical_errors(sample, resampled):
    a, _, _, w = sample
    draws = np.array([resampled.thinned(seed=s) for s in range(30)])
    assert np.all(draws >= 0)
    for mask in (np.ones(N, dtype=bool), a > 0.5):
        sums, squares = draws[:, mask].sum(axis=1), np.square(draws[:, mask]).sum(axis=1)
        expected = np.sum(w[mask] ** 2)
        assert squares.mean() == pytest.approx(expected, rel=0.02)
        assert abs(sums.mean() - resampled.weights[mask].sum()) < 5.0 * np.sqrt(expected / 30)
    assert np.mean([n_eff(d) for d in draws]) == pytest.approx(n_eff(w), rel=0.05)
    assert n_eff(resampled.weights) > 2.0 * n_eff(w)  # why |w| g is not for errors
    np.testing.assert_array_equal(draws[0], resampled.thinned(seed=0))


def test_the_spread_covers_the_error_of_the_networks(sample, resampled):
    """The mean share over halves of the sample is uncertain by what the members say, within a factor of two and a half."""
    a, b, _, _ = sample
    spread = resampled.member_shares.std(axis=0, ddof=1).mean()
    error = np.sqrt(np.mean((resampled.share - known_share(a, b)) ** 2))
    assert spread / 2.5 < error < 2.5 * spread
    assert resampled.spread.shape == (N,)


def test_new_events_and_reproducibility(sample, resampled):
    a, b, _, w = sample
    x = np.stack([a, b], axis=1)
    with torch.no_grad():
        share, spread = resampled.model(torch.from_numpy(x[:500]))
    assert share.shape == spread.shape == (500, 1)
    np.testing.assert_allclose(share[:, 0].numpy(), resampled.share[:500], atol=0.12)
    small = ResamplingSettings(hidden=(4,), members=2, training=TrainingSettings(epochs=1, batch_size=512))
    runs = [fit_resampling(x, w, features=("a", "b"), event_id=np.arange(N), settings=small).share for _ in range(2)]
    np.testing.assert_array_equal(*runs)


def test_one_process_of_simulated_events(sample):
    a, b, _, w = sample
    weights = np.stack([np.ones(N), np.where(np.arange(N) % 2, w, 0.0)], axis=1)
    ids = np.arange(N, dtype=np.uint64)
    events = SimulatedEvents(("S", "qq"), ids, np.zeros(N, dtype=np.int64), ("all",), {"a": a, "b": b}, weights)
    small = ResamplingSettings(hidden=(8,), members=2, training=TrainingSettings(epochs=2, batch_size=512))
    positive, found = resample_process(events, process="qq", features=("a", "b"), settings=small)
    assert np.all(positive.weights[:, 1] >= 0)
    np.testing.assert_array_equal(positive.weights[:, 0], weights[:, 0])
    np.testing.assert_array_equal(positive.weights[::2, 1], 0.0)
    assert positive.yields[1] == pytest.approx(events.yields[1], rel=1e-5)
    assert len(found.share) == N // 2
    with pytest.raises(SchemaError, match="'S', 'qq'"):
        resample_process(events, process="gg", features=("a",))


def test_the_mixture_learns_from_a_background_with_negative_weights(tmp_path):
    """Signs that cancel as a function of x leave the density of the background as it was."""
    training = toy(8000, seed=5)
    x, b = training.observables["x"], training.weights[:, 3]
    share = 0.75 - 0.25 * np.tanh(x)  # E[w] / E[|w|], 0.5 to 1
    signs = np.where(np.random.default_rng(6).uniform(size=len(training)) < 0.5 * (1.0 + share), 1.0, -1.0)
    signed = replace(training, weights=np.column_stack([training.weights[:, :3], b / share * signs]))
    assert 0.08 < np.mean(signed.weights[8000:, 3] < 0) < 0.2
    config = RatioConfig(
        features=("x", "y"),
        fold_beam_axis=False,
        hidden=(24,),
        epochs=6,
        composition_epochs=6,
        batch_size=512,
        learning_rate=1e-2,
        seed=3,
    )
    with pytest.raises(PhysicsDomainError, match="negative_weights: resample"):
        fit_ratios(signed, config=config, model=MODEL, folder=tmp_path / "refused")
    resampling = config.model_copy(update={"negative_weights": "resample"})
    trained = fit_ratios(signed, config=resampling, model=MODEL, folder=tmp_path / "resampled")
    fresh = toy(3000, seed=7)
    rows = np.abs(fresh.observables["x"]) < 1.0
    estimated = trained.log_ratio(feature_matrix(fresh.observables, ("x", "y")))[rows]
    exact = exact_log_ratios(fresh.observables["x"][rows])
    difference = (estimated[:, 3] - estimated[:, 2]) - (exact[:, 3] - exact[:, 2])
    assert np.median(np.abs(difference)) < 0.12
    naive = np.log(share.mean() / (0.75 - 0.25 * np.tanh(fresh.observables["x"][rows])))  # |w| in place of w would be off by this
    assert np.median(np.abs(naive)) > 0.12


def test_the_loss_is_smallest_at_the_true_share():
    """With P(+) = (1 + g) / 2 the weighted cross-entropy has its minimum where sigmoid(z) = g."""
    positive = torch.tensor([1.0] * 8 + [0.0] * 2)  # g = 0.6
    values = torch.linspace(-2.0, 3.0, 501)
    batch = (torch.zeros(10, 1), positive, torch.full((10,), 2.0))
    losses = [sign_loss(lambda x, z=z: torch.full((len(x), 1), float(z)), batch).item() for z in values]
    assert torch.sigmoid(values[int(np.argmin(losses))]).item() == pytest.approx(0.6, abs=0.005)


def test_the_calibration_solves_its_equations():
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    w = torch.where(torch.rand(4000, generator=generator) < 0.2 + 0.1 * torch.tanh(inputs[:, 0]), -1.0, 1.0).double()
    logit = torch.zeros(4000, dtype=torch.float64) + 0.3 * inputs[:, 1]
    theta = fit_signed_calibration(logit, inputs, w)
    phi = directions(logit, inputs)
    g = torch.sigmoid(logit + phi @ theta)
    np.testing.assert_allclose((phi.T @ (w.abs() * g - w)).numpy(), 0.0, atol=0.05)
    assert abs(float(theta[2])) > 0.2  # the slope in the first input is found


def test_wrong_input(sample):
    a, b, _, w = sample
    x, ids = np.stack([a, b], axis=1), np.arange(N)

    def fit(weights=w, observables=x, settings=QUICK, event_id=ids):
        return fit_resampling(observables, weights, features=("a", "b"), event_id=event_id, settings=settings)

    with pytest.raises(PhysicsDomainError, match="no negative weight"):
        fit(np.abs(w))
    with pytest.raises(PhysicsDomainError, match="sum of weights of -"):
        fit(-w)
    with pytest.raises(ShapeError, match="observables"):
        fit(observables=x[:, :1])
    with pytest.raises(SchemaError, match="at least 2"):
        fit(settings=ResamplingSettings(members=1))
    with pytest.raises(SchemaError, match="3 events for 6 parameters"):
        fit(np.array([1.0, 1.0, -0.5]), x[:3], event_id=ids[:3])
    with pytest.raises(PhysicsDomainError, match="feature b"):
        fit(observables=np.stack([a, np.ones(N)], axis=1))
