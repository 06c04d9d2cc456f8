"""Seven benchmarks of three amplitudes, c_t A_loop + c_g A_point + c_B A_box, event by event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.model import Process, density_transform, learned_densities, solve_matrices
from toolkit.typing import FloatArray

NAMES = ("B", "S_t", "S_g", "S_tg", "SBI", "SBI_g", "SBI_half")
VECTORS = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1), (0.5, 0.5, 1))
ROUNDING = 2.0**-24
"""Half a unit in the last place of a stored float32 number."""


@pytest.fixture(scope="module")
def weights() -> FloatArray:
    return np.loadtxt(Path(__file__).with_name("eft_weights.csv"), delimiter=",", skiprows=1)[:, 1:]


@pytest.fixture
def process() -> Process:
    return Process.build("gg", {"t": "c_t", "g": "c_g", "box": "1"}, dict(zip(NAMES, VECTORS, strict=True)))


def test_points_give_the_same_vectors(process: Process) -> None:
    points = {"B": {"c_t": 0, "c_g": 0}, "SBI": {"c_t": 1, "c_g": 0}, "SBI_half": {"c_t": 0.5, "c_g": 0.5}}
    made = Process.build("gg", {"t": "c_t", "g": "c_g", "box": "1"}, points)
    assert made.benchmarks == process.pick(tuple(points))


def test_the_matrix_from_six_benchmarks_predicts_the_seventh(process: Process, weights: FloatArray) -> None:
    m = solve_matrices(process, weights[:, :6], names=NAMES[:6])
    v = np.array(VECTORS[6])
    predicted = np.einsum("k,nkl,l->n", v, m, v)
    by_hand = weights[:, :6] @ [0.0, -0.5, -0.5, 0.25, 0.5, 0.5]
    np.testing.assert_allclose(predicted, by_hand, rtol=1e-10)
    np.testing.assert_array_less(np.abs(predicted / weights[:, 6] - 1.0), 6 * ROUNDING)


def test_the_matrix_is_positive_up_to_the_rounding_of_the_weights(process: Process, weights: FloatArray) -> None:
    lowest = np.linalg.eigvalsh(solve_matrices(process, weights))[:, 0]
    assert np.min(lowest / weights.max(axis=1)) > -10 * ROUNDING


def test_variances_decide_between_more_benchmarks_than_needed(process: Process, weights: FloatArray) -> None:
    noisy = np.array(weights)
    noisy[:, 6] *= 1.01
    trusted = solve_matrices(process, noisy, variances=[1, 1, 1, 1, 1, 1, 1e8])
    np.testing.assert_allclose(trusted, solve_matrices(process, weights[:, :6], names=NAMES[:6]), atol=1e-8)
    equal = solve_matrices(process, noisy)
    assert np.max(np.abs(equal - trusted)) > 1e-3


def test_learned_densities_are_the_six_positive_ones(process: Process, weights: FloatArray) -> None:
    assert [d.name for d in learned_densities(process)] == ["S_t", "S_tg", "SBI", "S_g", "SBI_g", "B"]
    found = weights[:, :6] @ density_transform(process, names=NAMES[:6])
    np.testing.assert_array_equal(found, weights[:, [1, 3, 4, 2, 5, 0]])
