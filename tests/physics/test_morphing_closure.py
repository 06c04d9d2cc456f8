"""Morphing of events with known amplitudes: exact at every mu, event by event and in total."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.weights import basis, n_eff

N = 20_000
MU = (0.01, 0.3, 1.0, 1.7, 4.0, 10.0)


@pytest.fixture(scope="module")
def amplitudes():
    """Signal and background amplitudes with destructive interference on average, shape (N,) complex."""
    rng = np.random.default_rng(101)
    signal = 0.5 * (rng.normal(size=N) + 1j * rng.normal(size=N)) + 0.4
    background = rng.normal(size=N) + 1j * rng.normal(size=N) - 0.8
    return signal, background


def squared(amplitudes, mu):
    signal, background = amplitudes
    return np.abs(np.sqrt(mu) * signal + background) ** 2


@pytest.fixture(scope="module")
def ggf(amplitudes):
    signal, _ = amplitudes
    return np.stack([np.abs(signal) ** 2, squared(amplitudes, 1.0), squared(amplitudes, 0.0)], axis=-1)


@pytest.fixture(scope="module")
def electroweak(amplitudes):
    return np.stack([squared(amplitudes, mu) for mu in (0.0, 1.0, 10.0)], axis=-1)


@pytest.mark.parametrize("mu", [0.0, *MU])
def test_gluon_fusion_closes_event_by_event(amplitudes, ggf, mu):
    np.testing.assert_allclose(basis("ggF").weights(ggf, mu), squared(amplitudes, mu), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mu", [0.0, *MU])
def test_electroweak_closes_event_by_event(amplitudes, electroweak, mu):
    np.testing.assert_allclose(basis("EW").weights(electroweak, mu), squared(amplitudes, mu), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0, 1.35, 2.0])
def test_coupling_of_production_and_decay_closes_event_by_event(amplitudes, kappa):
    w = np.stack([squared(amplitudes, k**4) for k in (0.0, 0.8, 1.0, 1.2, 1.5)], axis=-1)
    np.testing.assert_allclose(basis("kappa").weights(w, kappa), squared(amplitudes, kappa**4), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mu", MU)
def test_score_is_the_derivative_of_the_normalised_log_density(amplitudes, ggf, mu):
    def log_density(mu):
        w = squared(amplitudes, mu)
        return np.log(w / w.sum())

    h = 1e-6 * mu
    numeric = (log_density(mu + h) - log_density(mu - h)) / (2 * h)
    score = basis("ggF").score(ggf, mu)[:, 0]
    np.testing.assert_allclose(score, numeric, rtol=1e-5, atol=1e-4)
    assert np.average(score, weights=squared(amplitudes, mu)) == pytest.approx(0.0, abs=1e-12)


def test_destructive_interference_gives_equal_yields_at_two_values_of_mu(ggf):
    yields = ggf.sum(axis=0)
    signal, interference = yields[0], yields[1] - yields[0] - yields[2]
    assert interference < 0
    lowest = (interference / (2 * signal)) ** 2
    morphing = basis("ggF")
    assert yields @ morphing.gradient(lowest)[0] == pytest.approx(0.0, abs=1e-9 * yields[1])
    left, right = (np.sqrt(lowest) - 0.2) ** 2, (np.sqrt(lowest) + 0.2) ** 2
    assert yields @ morphing.coefficients(left) == pytest.approx(yields @ morphing.coefficients(right), rel=1e-12)


def test_both_bases_give_the_same_weights(ggf, electroweak):
    for mu in MU:
        np.testing.assert_allclose(basis("ggF").weights(ggf, mu), basis("EW").weights(electroweak, mu), rtol=1e-9, atol=1e-10)


def test_events_of_one_benchmark_serve_others_less(amplitudes, ggf):
    # Events generated under SBI: own weight 1, weights elsewhere relative to it.
    relative = ggf / ggf[:, [1]]
    keep = np.random.default_rng(102).uniform(size=N) < ggf[:, 1] / ggf[:, 1].max()
    w = relative[keep]
    assert n_eff(basis("ggF").weights(w, 1.0)) == pytest.approx(keep.sum())
    for mu in (0.0, 5.0, 16.0):
        assert n_eff(basis("ggF").weights(w, mu)) < 0.8 * keep.sum(), mu
