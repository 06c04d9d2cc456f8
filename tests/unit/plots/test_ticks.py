"""Minor ticks look as matplotlib draws them."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import NullLocator

from toolkit.plots.style import PlotStyle, StyledFigure, style_context
from toolkit.plots.ticks import lighten_minor_ticks


def pixels(scale, limits, *, light, side=None):
    style = PlotStyle()
    with style_context(style):
        figure = StyledFigure(figsize=(3.2, 2.5), dpi=160)
        figure.style, figure.numbers = style, {}
        ax = figure.subplots()
        ax.set_xscale(scale)
        ax.set_yscale(scale)
        ax.set_xlim(*limits)
        ax.set_ylim(*limits)
        if side is not None:
            ax.tick_params(which="minor", **{side: False})
        if light:
            lighten_minor_ticks(figure)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba()).copy(), ax


@pytest.mark.parametrize(("scale", "limits"), [("linear", (0.0, 10.0)), ("linear", (3.0, -1.0)), ("log", (1.0, 1e4)), ("log", (2.0, 5.0))])
def test_pictures_are_the_same(scale, limits):
    before, _ = pixels(scale, limits, light=False)
    after, _ = pixels(scale, limits, light=True)
    np.testing.assert_array_equal(after, before)


def test_a_side_without_ticks_stays_without():
    before, _ = pixels("linear", (0.0, 10.0), light=False, side="top")
    after, _ = pixels("linear", (0.0, 10.0), light=True, side="top")
    np.testing.assert_array_equal(after, before)
    assert not np.array_equal(after, pixels("linear", (0.0, 10.0), light=True)[0])


def test_only_ticks_without_labels_are_replaced():
    assert isinstance(pixels("linear", (0.0, 10.0), light=True)[1].xaxis.get_minor_locator(), NullLocator)
    assert not isinstance(pixels("log", (2.0, 5.0), light=True)[1].xaxis.get_minor_locator(), NullLocator)
