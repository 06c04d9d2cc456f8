from __future__ import annotations

import numpy as np
import pytest

from toolkit.plots import plot_cutflow, png_bytes

FLOWS = {
    "ggF_S": {"all": {"events": 100, "sumw": 50.0, "sumw2": 25.0}, "m4l": {"events": 40, "sumw": 30.0, "sumw2": 16.0}},
    "qqZZ": {"all": {"events": 1000, "sumw": 900.0, "sumw2": 900.0}, "m4l": {"events": 0, "sumw": 0.0, "sumw2": 0.0}},
}


def test_the_plot_shows_weighted_sums_and_unweighted_fractions() -> None:
    figure = plot_cutflow(FLOWS)
    top, bottom = figure.axes
    weighted = [line for container in top.containers for line in container[:1]]
    assert [line.get_ydata().tolist() for line in weighted] == [[50.0, 30.0], [900.0]]
    bars = [container[2][0].get_segments() for container in top.containers]
    assert (bars[0][1][1, 1] - bars[0][1][0, 1]) / 2 == pytest.approx(4.0)
    np.testing.assert_allclose([line.get_ydata() for line in bottom.get_lines()], [[1.0, 0.4], [1.0, 0.0]])
    assert [t.get_text() for t in bottom.get_xticklabels()] == ["all events", r"$m_{4\ell}$"]
    assert figure.numbers["samples"] == FLOWS
    span = np.log(top.get_ylim())
    assert (np.log(900.0) - span[0]) / (span[1] - span[0]) < 0.85, "the legend has room above the curves"
    assert png_bytes(figure)[:4] == b"\x89PNG"
