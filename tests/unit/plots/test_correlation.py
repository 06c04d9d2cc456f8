"""The correlation matrix shows the numbers that it is given."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import ShapeError
from toolkit.plots import png_bytes
from toolkit.plots.correlation import plot_correlation

NAMES = ("lumi", "mu", "quiet", "qq_theory")
MATRIX = np.array([[1.0, -0.3, 0.01, 0.2], [-0.3, 1.0, 0.0, -0.8], [0.01, 0.0, 1.0, 0.0], [0.2, -0.8, 0.0, 1.0]])


def test_the_parameter_of_interest_comes_first():
    figure = plot_correlation(NAMES, MATRIX, least=0.05)
    ax = figure.axes[0]
    assert figure.numbers["drawn"] == ["mu", "lumi", "qq_theory"]
    assert [t.get_text() for t in ax.get_yticklabels()] == [r"$\mu$", "lumi", "qq_theory"]
    shown = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shown, MATRIX[np.ix_([1, 0, 3], [1, 0, 3])])
    assert "-0.80" in [t.get_text() for t in ax.texts]
    assert figure.numbers["correlation"] == MATRIX.tolist()
    assert png_bytes(figure)[:4] == b"\x89PNG"


def test_the_largest_correlations_stay():
    figure = plot_correlation(NAMES, MATRIX, most=2)
    assert figure.numbers["drawn"] == ["mu", "qq_theory"]


def test_a_wrong_shape_is_refused():
    with pytest.raises(ShapeError):
        plot_correlation(NAMES, MATRIX[:3])
