"""Calibration curves: the exact curve is found, signs of weights do not matter, normalisation holds, torch and ONNX agree."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from torch import nn

from exports import Feature, write_onnx
from toolkit.diagnostics import calibration_from_weights
from toolkit.errors import FitError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import OnnxRatio
from toolkit.ratios.curves import RatioCurve, fit_curve, fit_mixture_curves
from toolkit.ratios.curves_module import CalibratedRatio, CurvesModule

METHODS = ("spline", "isotonic", "binned")


def distort(log_ratio):
    """A monotone distortion: too confident, and shifted."""
    return 1.4 * log_ratio + 0.3 + 0.2 * np.tanh(log_ratio)


def sample(n, seed, *, negative=0.15):
    """p(x) = 3 x^2 against p_ref(x) = 1 on 0.1 < x < 1, weights with latent noise of either sign."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 1, size=n)
    exact = np.log(3 * x**2 / (1 - 0.1**3) * 0.9)
    sign = np.where(rng.uniform(size=n) < negative, -1.0, 1.0) / (1 - 2 * negative)
    return exact, np.exp(exact) * sign, sign


@pytest.mark.parametrize("method", METHODS)
def test_finds_the_exact_ratio(method):
    exact, a, b = sample(60_000, 1)
    curve = fit_curve(distort(exact), numerator_weights=a, reference_weights=b, method=method, bins=40)
    fresh, a, b = sample(60_000, 2)
    before = calibration_from_weights(distort(fresh), numerator_weights=a, denominator_weights=b, numerator="p", denominator="ref")
    after = calibration_from_weights(curve(distort(fresh)), numerator_weights=a, denominator_weights=b, numerator="p", denominator="ref")
    assert before.test.p_value < 1e-6
    assert after.mean_residual < 0.012
    assert np.median(np.abs(curve(distort(fresh)) - fresh)) < (0.03 if method == "spline" else 0.06)
    inner = np.linspace(*np.quantile(distort(fresh), [0.02, 0.98]), 500)
    if method != "binned":
        assert (np.diff(curve(inner)) >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_normalisation_holds(method):
    exact, a, b = sample(20_000, 3)
    raw = distort(exact)
    curve = fit_curve(raw, numerator_weights=a, reference_weights=b, method=method)
    assert curve.mean_before == pytest.approx(np.average(np.exp(raw), weights=b))
    assert curve.mean_after == pytest.approx(1.0, abs=1e-12)
    assert np.average(np.exp(curve(raw)), weights=b) == pytest.approx(1.0, abs=1e-12)
    fresh, _, b = sample(40_000, 4)
    assert np.average(np.exp(curve(distort(fresh))), weights=b) == pytest.approx(1.0, abs=0.03)


def test_steps_against_loop():
    """Binned: the quotient of the sums in each bin, up to the common normalisation."""
    exact, a, b = sample(3000, 5)
    raw = distort(exact)
    curve = fit_curve(raw, numerator_weights=a, reference_weights=b, method="binned", bins=6, min_effective=1.0)
    edges = [-np.inf, *curve.thresholds, np.inf]
    means = []
    for low, high in itertools.pairwise(edges):
        top = sum(w for v, w in zip(raw, a, strict=True) if low <= v < high) / sum(a)
        below = sum(w for v, w in zip(raw, b, strict=True) if low <= v < high) / sum(b)
        means.append(top / below)
    middles = [curve.thresholds[0] - 1, *((curve.thresholds[1:] + curve.thresholds[:-1]) / 2), curve.thresholds[-1] + 1]
    np.testing.assert_allclose(np.exp(curve(middles)), means, rtol=1e-9)


def test_cancelling_weights_change_nothing():
    """An event split into a heavier one and a negative one is the same event, but for the effective size."""
    exact, a, b = sample(5000, 6, negative=0.0)
    raw = distort(exact)
    one = fit_curve(raw, numerator_weights=a, reference_weights=b, min_effective=1.0)
    times = np.concatenate([np.full(5000, 1.8), np.full(5000, -0.8)])
    two = fit_curve(np.tile(raw, 2), numerator_weights=np.tile(a, 2) * times, reference_weights=np.tile(b, 2) * times, min_effective=1.0)
    np.testing.assert_allclose(one(raw), two(raw), atol=1e-9)


def test_violators_are_pooled():
    """A ratio that falls with the estimate becomes a single block: the calibrated ratio is 1 up to a shift."""
    x = np.linspace(-1, 1, 4000)
    for method in ("isotonic", "spline"):
        curve = fit_curve(x, numerator_weights=np.exp(-x), reference_weights=np.ones(4000), method=method)
        assert curve.thresholds.size == 0
        assert curve.knots.size <= 1
        assert np.exp(curve(x)).mean() == pytest.approx(1.0)


def test_beyond_the_ends_the_correction_is_constant():
    exact, a, b = sample(20_000, 7)
    curve = fit_curve(distort(exact), numerator_weights=a, reference_weights=b)
    low, high = curve.knots[0], curve.knots[-1]
    assert curve([low - 3.0])[0] == pytest.approx(curve([low])[0] - 3.0)
    assert curve([high + 2.0])[0] == pytest.approx(curve([high])[0] + 2.0)


def test_json_round_trip():
    exact, a, b = sample(5000, 8)
    for method in METHODS:
        curve = fit_curve(distort(exact), numerator_weights=a, reference_weights=b, method=method)
        again = RatioCurve.from_json(json.loads(json.dumps(curve.to_json())))
        np.testing.assert_array_equal(again(exact), curve(exact))


@pytest.fixture(scope="module")
def mixture():
    """Three densities on 0 < x < 1, the reference a mixture of two of them; distorted ratios."""
    rng = np.random.default_rng(9)
    x = rng.uniform(size=40_000)
    p = np.stack([3 * x**2, 0.6 + 0.8 * x, 2 * (1 - x) * 0.98 + 0.02], axis=1)
    pi = np.array([0.5, 0.0, 0.5])
    exact = np.log(p) - np.log(p @ pi)[:, None]
    raw = 1.3 * exact + 0.1 * np.sin(3 * exact) + np.array([0.2, -0.1, 0.0])
    weights = p * (1 + 0.8 * rng.normal(size=40_000))[:, None]
    return exact, raw, weights, pi


@pytest.mark.parametrize("method", METHODS)
def test_mixture_is_consistent(mixture, method):
    exact, raw, weights, pi = mixture
    curves = fit_mixture_curves(raw, weights=weights, processes=("S", "SBI", "qq"), reference=2 * pi, method=method)
    calibrated = curves(raw)
    np.testing.assert_allclose(np.exp(calibrated) @ pi, 1.0, rtol=1e-12)
    w_ref = (weights / weights.sum(axis=0)) @ pi
    np.testing.assert_allclose(w_ref @ np.exp(calibrated), 1.0, atol=1e-11)
    assert np.median(np.abs(calibrated - exact)) < 0.3 * np.median(np.abs(raw - exact))


@pytest.mark.parametrize("method", METHODS)
def test_torch_equals_numpy(mixture, method):
    _, raw, weights, pi = mixture
    curves = fit_mixture_curves(raw, weights=weights, processes=("S", "SBI", "qq"), reference=pi, method=method)
    rows = np.concatenate([raw[:2000], 4 * raw[:50]])
    ours = CurvesModule(curves)(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(ours, curves(rows), atol=1e-12)


class _Network(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.register_buffer("matrix", torch.randn(2, 3, generator=generator, dtype=torch.float64))

    def forward(self, x):
        return x @ self.matrix


def test_onnx_holds_the_curves(mixture, tmp_path):
    _, raw, weights, pi = mixture
    curves = fit_mixture_curves(raw, weights=weights, processes=("S", "SBI", "qq"), reference=pi)
    network = _Network()
    x = np.random.default_rng(3).normal(size=(200, 2))
    write_onnx(
        CalibratedRatio(network, curves),
        tmp_path / "calibrated.onnx",
        features=[Feature("a", "", -5, 5), Feature("b", "", -5, 5)],
        numerators=("S", "SBI", "qq"),
        reference="mixture",
        estimator="test",
        reference_rows=x,
    )
    rows = x.astype(np.float32).astype(np.float64)
    expected = curves(rows @ network.matrix.numpy())
    np.testing.assert_allclose(OnnxRatio(tmp_path / "calibrated.onnx", threads=1)(rows), expected, atol=2e-5)


def test_bad_input():
    x = np.linspace(-1, 1, 500)
    ones = np.ones(500)
    with pytest.raises(SchemaError, match="method"):
        fit_curve(x, numerator_weights=ones, reference_weights=ones, method="linear")
    with pytest.raises(ShapeError):
        fit_curve(x, numerator_weights=ones[:-1], reference_weights=ones)
    with pytest.raises(PhysicsDomainError, match="reference weights"):
        fit_curve(x, numerator_weights=ones, reference_weights=-ones)
    with pytest.raises(PhysicsDomainError, match="finite"):
        fit_curve(np.where(x > 0.5, np.nan, x), numerator_weights=ones, reference_weights=ones)
    with pytest.raises(FitError, match="effective"):
        fit_curve(x, numerator_weights=ones, reference_weights=ones, min_effective=1e4)
    with pytest.raises(ShapeError):
        fit_mixture_curves(np.zeros((5, 2)), weights=np.ones((5, 3)), processes=("a", "b"), reference=np.ones(2))
