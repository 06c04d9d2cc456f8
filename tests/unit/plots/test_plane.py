"""The plane shows the contents of its bins in every cell."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import ShapeError
from toolkit.likelihood.planes import Plane
from toolkit.plots import png_bytes
from toolkit.plots.plane import plot_plane

PLANE = Plane(("m4l", "cos_theta_star"), (np.array([220.0, 400.0, 2000.0]), np.array([-1.0, 0.0, 1.0])), np.array([[0, 1], [2, 2]]))


def test_panels_hold_expectation_and_change():
    figure = plot_plane(PLANE, [100.0, 81.0, 16.0], [110.0, 81.0, 12.0], values=(1.0, 0.0))
    left, right = figure.axes[:2]
    np.testing.assert_allclose(np.asarray(left.collections[0].get_array()).reshape(2, 2), [[100.0, 16.0], [81.0, 16.0]])
    np.testing.assert_allclose(np.asarray(right.collections[0].get_array()).reshape(2, 2), [[1.0, -1.0], [0.0, -1.0]])
    assert figure.numbers["change"] == [1.0, 0.0, -1.0]
    assert len(left.lines) == 3  # no line inside the merged bin
    assert png_bytes(figure)[:4] == b"\x89PNG"


def test_a_wrong_number_of_bins_is_refused():
    with pytest.raises(ShapeError):
        plot_plane(PLANE, [1.0, 2.0], [1.0, 2.0], values=(1.0, 0.0))
