"""Nine angular functions: a loop twin, their overlaps by quadrature, moments, and the observables of Z1."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.kinematics.test_observables import random_leptons
from toolkit.diagnostics import angular_moments
from toolkit.errors import ShapeError
from toolkit.kinematics import OBSERVABLES, angular_functions, angular_overlaps, compute_observables

NAMES = [f"f_{k}" for k in range(1, 10)]


def twin(c1: float, c2: float, phi: float) -> list[float]:
    s1, s2 = math.sin(math.acos(c1)), math.sin(math.acos(c2))
    f4, f6 = math.cos(phi) * s1 * s2, math.sin(phi) * s1 * s2
    head = [s1**2 * s2**2, c1 * c2, (1 + c1**2) * (1 + c2**2), f4, f4 * c1 * c2, f6, f6 * c1 * c2]
    return [*head, math.cos(2 * phi) * s1**2 * s2**2, math.sin(2 * phi) * s1**2 * s2**2]


def random_angles(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), rng.uniform(-np.pi, np.pi, n)


def test_functions_equal_the_loop() -> None:
    angles = random_angles(200, seed=1)
    expected = np.array([twin(*event) for event in zip(*angles, strict=True)]).T
    np.testing.assert_allclose(angular_functions(*angles), expected, atol=1e-12)


def test_overlaps_are_the_integrals() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    phi = np.arange(16) * 2 * np.pi / 16
    c1, c2, azimuth = (a.ravel() for a in np.meshgrid(nodes, nodes, phi, indexing="ij"))
    w = (weights[:, None, None] * weights[None, :, None] * np.full(16, 2 * np.pi / 16)).ravel()
    f = angular_functions(c1, c2, azimuth)
    np.testing.assert_allclose((f * w) @ f.T, angular_overlaps(), atol=1e-12)


def test_moments_give_back_the_coefficients() -> None:
    true = np.array([1.0, 0.3, 0.4, 0.2, -0.3, 0.1, 0.2, 0.25, -0.15])
    f = angular_functions(*random_angles(200_000, seed=2))
    density = true @ f
    assert density.min() > 0.0
    moments = angular_moments(f, density)
    expected = true / (8 * np.pi * true @ [4 / 9, 0, 16 / 9, 0, 0, 0, 0, 0, 0])  # over the integral of the density
    pulls = (moments.coefficients - expected) / moments.coefficient_errors
    assert np.all(np.abs(pulls) < 4.0), pulls
    assert np.all(moments.coefficient_errors < 0.05 * expected[0])
    assert moments.to_json()["means"] == moments.means.tolist()


def test_errors_of_moments_are_the_spread_of_repetitions() -> None:
    means, errors = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = angular_moments(angular_functions(*random_angles(300, seed=1000 + seed)), rng.normal(1.0, 0.5, 300))
        means.append(found.means)
        errors.append(found.errors)
    np.testing.assert_allclose(np.std(means, axis=0), np.mean(errors, axis=0), rtol=0.2)


def test_undefined_events_are_counted_and_wrong_input_is_refused() -> None:
    f = angular_functions(np.array([0.1, np.nan]), np.array([0.2, 0.3]), np.array([0.4, 0.5]))
    found = angular_moments(f)
    assert (found.n_events, found.n_undefined) == (1, 1)
    np.testing.assert_allclose(found.means, f[:, 0])
    with pytest.raises(ShapeError, match=r"\(9, n\)"):
        angular_moments(f[:4])
    with pytest.raises(ShapeError, match="one per event"):
        angular_moments(f, np.ones(3))
    with pytest.raises(ShapeError, match="positive number"):
        angular_moments(f, -np.ones(2))


def test_observables_are_the_functions_of_z1_and_turn_with_the_beams() -> None:
    leptons = random_leptons(500, seed=3)
    angles = compute_observables(*leptons, names=["cos_theta_star", "cos_theta_1", "phi_1"])
    values = compute_observables(*leptons, names=NAMES)
    np.testing.assert_array_equal(np.stack(list(values.values())), angular_functions(*angles.values()))
    turned = compute_observables(*(p * [1.0, -1.0, -1.0, 1.0] for p in leptons), names=NAMES)
    for name in NAMES:
        sign = {"even": 1.0, "odd": -1.0}[str(OBSERVABLES[name].beam_swap)]
        np.testing.assert_allclose(turned[name], sign * values[name], atol=1e-9, err_msg=name)
