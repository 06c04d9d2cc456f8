"""Ratios of matrix elements against exact ones, and their symmetries. The source of the file is in README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.kinematics import OBSERVABLES, MatrixElementRatios, compute_observables, matrix_element_ratios
from toolkit.typing import FloatArray

FILE = Path(__file__).with_name("matrix_elements.csv")


@pytest.fixture(scope="module")
def events() -> tuple[list[FloatArray], FloatArray]:
    """Massless leptons a1, b1, a2, b2 as components (4, n), and exact densities of H, gg, q qbar and box, (n, 4)."""
    rows = np.loadtxt(FILE, delimiter=",", skiprows=1)
    three = rows[:, 1:13].reshape(-1, 4, 3)
    four = np.concatenate([three, np.linalg.norm(three, axis=2)[..., np.newaxis]], axis=2)
    return [np.ascontiguousarray(four[:, k].T) for k in range(4)], rows[:, 13:]


def test_quark_annihilation_over_higgs_is_exact(events: tuple[list[FloatArray], FloatArray]) -> None:
    leptons, density = events
    deviation = np.log(matrix_element_ratios(*leptons).annihilation * density[:, 0] / density[:, 2])
    assert abs(np.median(deviation)) < 5e-4
    assert np.std(deviation) < 5e-4
    assert np.quantile(np.abs(deviation), 0.99) < 1e-3, "rare events with soft pairs of leptons of one flavour are further off"


def test_gluons_over_higgs_are_those_of_the_network(events: tuple[list[FloatArray], FloatArray]) -> None:
    leptons, density = events
    deviation = np.abs(np.log(matrix_element_ratios(*leptons).gluons * density[:, 0] / density[:, 1]))
    assert np.all(np.isfinite(deviation))
    assert np.median(deviation) < 0.02
    assert np.quantile(deviation, 0.9) < 0.06


def test_the_box_over_higgs_is_that_of_its_network(events: tuple[list[FloatArray], FloatArray]) -> None:
    leptons, density = events
    deviation = np.abs(np.log(matrix_element_ratios(*leptons).box * density[:, 0] / density[:, 3]))
    assert np.all(np.isfinite(deviation))
    assert np.median(deviation) < 0.02
    assert np.quantile(deviation, 0.9) < 0.06


def test_the_observables_are_logarithms_of_the_ratios(events: tuple[list[FloatArray], FloatArray]) -> None:
    leptons, density = events
    names = ("me_gg", "me_qq", "me_box")
    found = compute_observables(*(p.T for p in leptons), names=names)
    for name, column in zip(names, (1, 2, 3), strict=True):
        exact = np.log(density[:, column] / density[:, 0])
        assert np.quantile(np.abs(found[name] - exact), 0.9) < 0.06
        assert OBSERVABLES[name].beam_swap == "even"


def test_the_discriminant_is_that_of_the_exact_densities(events: tuple[list[FloatArray], FloatArray]) -> None:
    leptons, density = events
    found = compute_observables(*(p.T for p in leptons), names=["d_me"])["d_me"]
    exact = np.log10(density[:, 0] / (density[:, 1] + 0.1 * density[:, 2]))
    assert np.quantile(np.abs(found - exact), 0.9) < 0.02
    assert OBSERVABLES["d_me"].beam_swap == "even"


@pytest.mark.parametrize("change", ["pairs", "beams", "turn", "boost"])
def test_symmetries(events: tuple[list[FloatArray], FloatArray], change: str) -> None:
    a1, b1, a2, b2 = events[0]
    if change == "pairs":
        other = [a2, b2, a1, b1]
    elif change == "beams":
        other = [p * np.array([[1.0], [-1.0], [-1.0], [1.0]]) for p in (a1, b1, a2, b2)]
    elif change == "turn":
        other = [np.stack([0.6 * p[0] - 0.8 * p[1], 0.8 * p[0] + 0.6 * p[1], p[2], p[3]]) for p in (a1, b1, a2, b2)]
    else:
        other = [np.stack([p[0], p[1], 1.25 * p[2] + 0.75 * p[3], 1.25 * p[3] + 0.75 * p[2]]) for p in (a1, b1, a2, b2)]
    before, after = matrix_element_ratios(a1, b1, a2, b2), matrix_element_ratios(*other)
    np.testing.assert_allclose(after.gluons, before.gluons, rtol=1e-3)
    np.testing.assert_allclose(after.box, before.box, rtol=1e-3)
    if change == "boost":  # parton densities know the laboratory
        assert not np.any(after.annihilation == before.annihilation)
    else:
        np.testing.assert_allclose(after.annihilation, before.annihilation, rtol=1e-6)


def test_charges_matter_for_quarks_only_beyond_a_common_exchange(events: tuple[list[FloatArray], FloatArray]) -> None:
    a1, b1, a2, b2 = events[0]
    before, after = matrix_element_ratios(a1, b1, a2, b2), matrix_element_ratios(b1, a1, a2, b2)
    assert np.median(np.abs(np.log(after.annihilation / before.annihilation))) > 0.01


def test_events_outside_the_range_of_the_network_have_no_value() -> None:
    a1, b1 = np.array([[5.0], [3.0], [0.0], [34**0.5]]), np.array([[-5.0], [3.0], [1.0], [35**0.5]])
    flipped = np.array([[1.0], [-1.0], [1.0], [1.0]])
    found = matrix_element_ratios(a1, b1, a2=a1 * flipped, b2=b1 * flipped)
    assert isinstance(found, MatrixElementRatios)
    assert np.isnan(found.gluons[0])
    assert np.isnan(found.box[0])
    assert found.annihilation[0] > 0.0
