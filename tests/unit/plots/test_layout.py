"""Panels stand where their labels fit, and where matplotlib's own layout puts them."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from toolkit.plots.layout import FRAME, GridLayout


def panels(engine, *, rows=1, columns=1, ratios=None, wide_labels=False):
    """Return the positions of the panels, and the box of all that is drawn, in fractions of the figure."""
    figure = Figure(figsize=(6.4, 5.0), layout=engine)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, sharex=ratios is not None, squeeze=False, height_ratios=ratios)
    for k, ax in enumerate(axes.flat):
        ax.plot([0, 10], [0, 10.0 ** (k + 1)])
        ax.set_xlabel("x")
        ax.set_ylabel("y")
        if wide_labels:
            ax.set_yticks([0, 10], ["a label that is long", "another label that is longer still"])
    canvas.draw()
    drawn = [ax.get_tightbbox().transformed(figure.transFigure.inverted()) for ax in axes.flat]
    return np.array([ax.get_position().extents for ax in axes.flat]), np.array([box.extents for box in drawn])


@pytest.mark.parametrize("shape", [{}, {"rows": 2, "ratios": (3.0, 1.2)}, {"rows": 2, "columns": 3}, {"wide_labels": True}])
def test_panels_are_where_constrained_layout_puts_them(shape):
    ours, drawn = panels(GridLayout(), **shape)
    theirs, _ = panels(ConstrainedLayoutEngine(w_pad=0.0, h_pad=0.0, wspace=0.0, hspace=0.0, rect=FRAME), **shape)
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    low, high = FRAME[0], FRAME[0] + FRAME[2]
    assert drawn.min() >= low - 0.01
    assert drawn.max() <= high + 0.01


def test_labels_of_neighbours_do_not_meet_and_padding_parts_them():
    _, drawn = panels(GridLayout(pad=(0.1, 0.1)), rows=2, columns=2)
    (upper_left, upper_right), (lower_left, _) = drawn.reshape(2, 2, 4)
    assert upper_right[0] - upper_left[2] >= 0.2 / 6.4 - 0.01
    assert upper_left[1] - lower_left[3] >= 0.2 / 5.0 - 0.01
