"""Joint ratio and joint score at many points against loops, and their laws."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.weights import basis, joint_ratio, joint_score, smeft

GGF = basis("ggF")


@pytest.fixture
def w():
    """Weights of 60 events under S, SBI, B from random complex amplitudes."""
    s, b = np.random.default_rng(91).normal(size=(2, 60, 2)) @ np.array([1.0, 1j])
    return np.stack([abs(s) ** 2, abs(s + b) ** 2, abs(b) ** 2], axis=-1)


def slow_ratio(w, top, below, total):
    f, g = GGF.coefficients(top), GGF.coefficients(below)
    return [sum(f * row) / sum(g * row) * (g @ total) / (f @ total) for row in w]


@pytest.mark.parametrize("yields", [None, np.array([3.0, 2.5, 4.0])])
def test_ratio_equals_the_loop(w, yields):
    total = w.sum(axis=0) if yields is None else yields
    thetas = [0.3, 1.7, 4.0]
    ratio = joint_ratio(GGF, w, numerators=thetas, denominators=[1.0], yields=yields)
    np.testing.assert_allclose(ratio, np.transpose([slow_ratio(w, t, 1.0, total) for t in thetas]), rtol=1e-11)
    each = joint_ratio(GGF, w, numerators=thetas, denominators=[0.5, 1.0, 2.0], yields=yields)
    np.testing.assert_allclose(each[:, 2], slow_ratio(w, 4.0, 2.0, total), rtol=1e-11)


def test_one_point_per_event_is_the_diagonal(w):
    thetas = np.random.default_rng(92).uniform(0.2, 5.0, len(w))
    ratio = joint_ratio(GGF, w, numerators=thetas, denominators=[1.0], paired=True)
    np.testing.assert_allclose(ratio, np.diag(joint_ratio(GGF, w, numerators=thetas, denominators=[1.0])), rtol=1e-12)
    score = joint_score(GGF, w, thetas, paired=True)
    full = joint_score(GGF, w, thetas)
    np.testing.assert_allclose(score, [full[i, i] for i in range(len(w))], rtol=1e-10, atol=1e-12)


def test_score_equals_that_of_one_point(w):
    thetas = [0.4, 1.0, 2.5]
    score = joint_score(GGF, w, thetas)
    for k, theta in enumerate(thetas):
        np.testing.assert_allclose(score[:, k], GGF.score(w, theta), rtol=1e-10, atol=1e-12)


def test_score_is_the_derivative_of_the_log_ratio():
    rng = np.random.default_rng(93)
    eft = smeft(["a", "b"])
    amplitudes = rng.normal(size=(40, 3)) + 1j * rng.normal(size=(40, 3))
    points = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]])
    w = np.abs(amplitudes[:, [0]] + amplitudes[:, 1:] @ points.T) ** 2
    theta, h = np.array([0.3, -0.2]), 1e-6
    for p, step in enumerate(h * np.eye(2)):
        up = joint_ratio(eft, w, numerators=[theta + step], denominators=[theta - step])[:, 0]
        np.testing.assert_allclose(np.log(up) / (2 * h), joint_score(eft, w, [theta])[:, 0, p], rtol=1e-6, atol=1e-7)


def test_expectations(w):
    """E[r] = 1 and E[t] = 0 under the density below the line."""
    below = GGF.weights(w, 0.7)
    ratio = joint_ratio(GGF, w, numerators=[0.2, 3.0], denominators=[0.7])
    np.testing.assert_allclose(below @ ratio / below.sum(), 1.0, rtol=1e-12)
    score = joint_score(GGF, w, [0.7])[:, 0]
    np.testing.assert_allclose(below @ score / below.sum(), 0.0, atol=1e-12)
    there = joint_ratio(GGF, w, numerators=[3.0], denominators=[0.7])
    back = joint_ratio(GGF, w, numerators=[0.7], denominators=[3.0])
    np.testing.assert_allclose(there * back, 1.0, rtol=1e-11)


def test_a_density_that_is_not_positive(w):
    w[5] = [1.0, 0.0, 0.0]
    with pytest.raises(PhysicsDomainError, match=r"event 5 at theta = 0.25"):
        joint_ratio(GGF, w, numerators=[1.0], denominators=[0.25])
    with pytest.raises(PhysicsDomainError, match=r"event 5 at theta = 0.25"):
        joint_score(GGF, w, [4.0, 0.25])
    marked = joint_ratio(GGF, w, numerators=[1.0, 2.0], denominators=[0.25], nonpositive="nan")
    assert np.flatnonzero(np.isnan(marked).all(axis=1)).tolist() == [5]
    with pytest.raises(PhysicsDomainError, match="total yield"):
        joint_score(GGF, w, [0.25], yields=[1.0, 0.0, 0.0], nonpositive="nan")


def test_wrong_shapes(w):
    with pytest.raises(ShapeError, match="one per event"):
        joint_score(GGF, w, [1.0, 2.0], paired=True)
    with pytest.raises(ShapeError, match="denominators"):
        joint_ratio(GGF, w, numerators=[1.0, 2.0, 3.0], denominators=[1.0, 2.0])
    with pytest.raises(ShapeError, match="yields"):
        joint_score(GGF, w, [1.0], yields=[1.0])
