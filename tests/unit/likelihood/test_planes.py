"""Histograms of two observables: cells in order, bins that expect enough, every event in its bin."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.planes import Plane, poor_bins

NAMES = ("m4l", "cos_theta_star")
EDGES = ([200.0, 300.0, 500.0, 900.0], [-1.0, 0.0, 0.5, 1.0])


@pytest.fixture
def plane():
    return Plane.of(NAMES, EDGES)


def test_events_find_their_cells(plane):
    """Against a loop over events and cells."""
    generator = np.random.default_rng(1)
    x, y = generator.uniform(200.0, 900.0, 200), generator.uniform(-1.0, 1.0, 200)
    slow = []
    for a, b in zip(x, y, strict=True):
        for i in range(3):
            for j in range(3):
                if EDGES[0][i] <= a < EDGES[0][i + 1] and EDGES[1][j] <= b < EDGES[1][j + 1]:
                    slow.append(3 * i + j)
    np.testing.assert_array_equal(plane.index(x, y), slow)
    assert plane.index([900.0], [1.0]).tolist() == [8]
    assert plane.labels[5] == "m4l 300 ... 500, cos_theta_star 0.5 ... 1"


def test_events_outside_are_refused_dropped_or_clipped(plane):
    with pytest.raises(PhysicsDomainError):
        plane.index([100.0], [0.2])
    assert plane.index([100.0, 250.0], [0.2, np.nan], outside="drop").tolist() == [-1, -1]
    assert plane.index([100.0, 1000.0], [0.2, -3.0], outside="clip").tolist() == [1, 6]


def test_merging_keeps_all_events_and_fills_every_bin(plane):
    """Interference makes the last cells negative at some value; the merged bins expect enough at every value."""
    signal = np.array([1.0, 2.0, 1.0, 3.0, 2.0, 1.0, 4.0, 0.5, 0.2])
    background = np.array([50.0, 40.0, 30.0, 9.0, 0.4, 2.0, 1.0, 0.1, -0.3])
    coefficients = np.array([[0.0, 1.0], [1.0, 1.0], [-0.5, 1.0]])
    templates = np.stack([signal, background])
    merged = plane.merged(templates, coefficients, least=1.5)
    assert merged.n_bins < plane.n_bins
    filled = np.stack([np.bincount(merged.groups.ravel(), weights=row) for row in templates])
    assert (coefficients @ filled).min() >= 1.5
    np.testing.assert_allclose(filled.sum(axis=1), templates.sum(axis=1))
    assert set(merged.groups.ravel().tolist()) == set(range(merged.n_bins))
    assert merged.groups[0, 0] == 0
    for bin_ in range(merged.n_bins):  # every bin hangs together
        cells = {tuple(c) for c in np.argwhere(merged.groups == bin_).tolist()}
        reached, todo = set(), [min(cells)]
        while todo:
            i, j = todo.pop()
            if (i, j) in cells - reached:
                reached.add((i, j))
                todo += [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
        assert reached == cells
    content = np.arange(merged.n_bins, dtype=float)
    np.testing.assert_array_equal(merged.spread(content), merged.groups)


def test_enough_events_are_left_alone(plane):
    merged = plane.merged(np.full((1, 9), 3.0), np.ones((1, 1)), least=2.0)
    np.testing.assert_array_equal(merged.groups, plane.groups)


def test_wrong_input_is_refused(plane):
    with pytest.raises(PhysicsDomainError, match="all bins together"):
        plane.merged(np.full((1, 9), 0.1), np.ones((1, 1)), least=2.0)
    with pytest.raises(ShapeError):
        plane.merged(np.full((1, 4), 1.0), np.ones((1, 1)), least=1.0)
    with pytest.raises(SchemaError):
        Plane.of(NAMES, ([1.0, 1.0], EDGES[1]))
    assert poor_bins([[1.0, 0.0]], [[1.0], [2.0]], ("a", "b")) == ("b",)


def test_the_form_in_a_file_is_the_same_plane(plane):
    again = Plane.from_json(json.loads(json.dumps(plane.to_json())))
    np.testing.assert_array_equal(again.groups, plane.groups)
    assert again.observables == NAMES
    np.testing.assert_array_equal(again.edges[1], EDGES[1])
