"""Production angles against a slow twin that follows the definition word by word."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit.errors import ShapeError
from toolkit.kinematics import vbf_angles
from toolkit.kinematics.vbf import incoming_partons, massless_jets

NAMES = ("cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "q2_v1", "q2_v2")


def random_events(n, seed):
    """Four light leptons and two jets with masses of some GeV, forward and backward."""
    rng = np.random.default_rng(seed)
    leptons = rng.normal(scale=45.0, size=(4, n, 3))
    jets = np.stack([rng.normal(scale=60.0, size=(2, n)), rng.normal(scale=60.0, size=(2, n)), rng.normal(scale=400.0, size=(2, n))], -1)
    momenta = np.concatenate([leptons, jets])
    mass = np.concatenate([np.full((4, n, 1), 0.1057), rng.uniform(0.0, 20.0, size=(2, n, 1))])
    return list(np.concatenate([momenta, np.sqrt(np.sum(momenta**2, axis=-1, keepdims=True) + mass**2)], axis=-1))


def boost_matrix(beta):
    beta = np.asarray(beta)
    beta2 = float(beta @ beta)
    gamma = 1.0 / math.sqrt(1.0 - beta2)
    matrix = np.eye(4)
    matrix[:3, :3] += (gamma - 1.0) * np.outer(beta, beta) / beta2
    matrix[:3, 3] = matrix[3, :3] = gamma * beta
    matrix[3, 3] = gamma
    return matrix


def unit(v):
    return v / math.sqrt(v @ v)


def signed_angle(sine, cosine):
    return math.copysign(1.0, sine) * math.acos(min(1.0, max(-1.0, cosine)))


def massless_twin(j1, j2):
    """In the dijet frame: back to back along the old axis, half of the mass each."""
    total = j1 + j2
    into = boost_matrix(-total[:3] / total[3])
    half = 0.5 * (into @ total)[3]
    axis = half * unit((into @ j1)[:3])
    back = np.linalg.inv(into)
    return back @ np.append(axis, half), back @ np.append(-axis, half)


def partons_twin(total):
    """Transverse boost, then boost to rest, partons along z there, and both boosts back."""
    first = boost_matrix([-total[0] / total[3], -total[1] / total[3], 0.0])
    flat = first @ total
    second = boost_matrix([0.0, 0.0, -flat[2] / flat[3]])
    half = 0.5 * (second @ flat)[3]
    back = np.linalg.inv(second @ first)
    return back @ np.array([0, 0, half, half]), back @ np.array([0, 0, -half, half])


def vbf_twin(a1, b1, a2, b2, j1, j2):  # noqa: PLR0917
    x, z2 = a1 + b1 + a2 + b2, a2 + b2
    j1, j2 = massless_twin(j1, j2)
    if j1[2] < j2[2]:
        j1, j2 = j2, j1
    p1, p2 = partons_twin(x + j1 + j2)
    into = boost_matrix(-x[:3] / x[3])
    z2, j1, j2, p1, p2 = (into @ p for p in (z2, j1, j2, p1, p2))
    v1, v2 = j1 - p1, j2 - p2
    q2_v1, q2_v2 = (-(v[3] ** 2 - v[:3] @ v[:3]) for v in (v1, v2))
    z2, j1, j2, p1, p2, v1, v2 = (p[:3] for p in (z2, j1, j2, p1, p2, v1, v2))
    m1, m2, m3 = unit(np.cross(j1, -p1)), unit(np.cross(j2, -p2)), unit(np.cross(z2, v1))
    return (
        unit(v1) @ unit(z2),
        unit(v1) @ unit(j1),
        unit(v2) @ unit(j2),
        signed_angle(np.cross(m1, m2) @ v1, -m1 @ m2),
        signed_angle(np.cross(m1, m3) @ v1, m1 @ m3),
        q2_v1,
        q2_v2,
    )


def test_equals_the_slow_twin():
    events = random_events(1000, seed=21)
    fast = vbf_angles(*events)
    slow = np.array([vbf_twin(*event) for event in zip(*events, strict=True)])
    for k, name in enumerate(NAMES):
        relative = 1e-9 if name.startswith("q2") else 0.0
        np.testing.assert_allclose(getattr(fast, name), slow[:, k], rtol=relative, atol=1e-9, err_msg=name)


def test_massless_jets_keep_their_sum():
    *_, j1, j2 = random_events(1000, seed=22)
    m1, m2 = massless_jets(j1.T, j2.T)
    np.testing.assert_allclose(m1 + m2, (j1 + j2).T, rtol=1e-12, atol=1e-9)
    for jet in (m1, m2):
        np.testing.assert_allclose((jet[3] ** 2 - np.sum(jet[:3] ** 2, axis=0)) / jet[3] ** 2, 0.0, atol=1e-12)
        assert np.all(jet[3] > 0)


def test_massless_jets_stay_as_they_are():
    j1, j2 = np.array([[30.0, 0.0, 40.0, 50.0]]).T, np.array([[0.0, -30.0, -40.0, 50.0]]).T
    m1, m2 = massless_jets(j1, j2)
    np.testing.assert_allclose(m1, j1, atol=1e-12)
    np.testing.assert_allclose(m2, j2, atol=1e-12)


def test_partons_are_massless_and_sum_to_the_whole():
    total = sum(random_events(1000, seed=23)).T
    p1, p2 = incoming_partons(total)
    np.testing.assert_allclose(p1 + p2, total, rtol=1e-11, atol=1e-8)
    for parton in (p1, p2):
        np.testing.assert_allclose((parton[3] ** 2 - np.sum(parton[:3] ** 2, axis=0)) / parton[3] ** 2, 0.0, atol=1e-11)


def test_missing_jet_gives_nan_in_its_event():
    events = random_events(3, seed=24)
    whole = vbf_angles(*events)
    events[5] = events[5].copy()
    events[5][1] = np.nan
    angles = vbf_angles(*events)
    for name in NAMES:
        assert np.isnan(getattr(angles, name)[1])
        np.testing.assert_array_equal(getattr(angles, name)[[0, 2]], getattr(whole, name)[[0, 2]])


def test_lengths_must_agree():
    events = random_events(3, seed=25)
    with pytest.raises(ShapeError, match="equal lengths"):
        vbf_angles(*events[:5], events[5][:2])
