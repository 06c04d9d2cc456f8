"""The ranking plot shows the impacts and pulls that it is given."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.likelihood.uncertainties import Impact, Pull
from toolkit.plots import PlotStyle, plot_impacts, png_bytes

IMPACTS = (
    Impact("qq_scale", 0.30, -0.25),
    Impact("norm_qqZZ", -0.12, 0.10),
    Impact("lumi", 0.02, -0.02),
    Impact("stuck", float("nan"), 0.01),
)
PULLS = (Pull("lumi", 0.1, 0.99), Pull("qq_scale", -1.4, 0.6), Pull("stuck", float("nan"), float("nan")))


def test_bars_and_points():
    figure = plot_impacts(IMPACTS, PULLS)
    left, right = figure.axes
    np.testing.assert_allclose([p.get_width() for p in left.patches], [0.30, -0.25, -0.12, 0.10, 0.02, -0.02, 0.0, 0.01])
    labels = {tick: text.get_text() for tick, text in zip(left.get_yticks(), left.get_yticklabels(), strict=True)}
    container = next(c for c in right.containers if hasattr(c, "has_xerr"))
    x, y = container[0].get_data()
    assert {labels[b]: a for a, b in zip(x, y, strict=True) if np.isfinite(a)} == {"qq_scale": -1.4, "lumi": 0.1}
    lengths = {labels[s[0, 1]]: s[1, 0] - s[0, 0] for s in container[2][0].get_segments() if np.isfinite(s).all() and len(s)}
    assert lengths == pytest.approx({"qq_scale": 1.2, "lumi": 1.98})
    assert labels[3] == "qq_scale", "the largest on top"


def test_the_file_holds_all_and_the_picture_the_largest():
    figure = plot_impacts(IMPACTS, PULLS, most=2, poi="mu_ggF")
    assert figure.numbers["drawn"] == 2
    assert len(figure.axes[0].patches) == 4
    document = json.loads(json.dumps(figure.numbers, allow_nan=False))
    assert [i["parameter"] for i in document["impacts"]] == [i.parameter for i in IMPACTS]
    assert document["impacts"][3]["up"] is None
    assert "ggF" in figure.axes[0].get_xlabel()


def test_draws_with_nothing_and_in_style():
    assert png_bytes(plot_impacts(()), dpi=30)
    assert png_bytes(plot_impacts(IMPACTS, style=PlotStyle("ATLAS", status="Internal")), dpi=30)


def test_impacts_before_the_fit_and_of_the_measurements_lie_in_the_rows_of_their_parameters():
    before, auxiliary = (Impact("qq_scale", 0.5, -0.4),), (Impact("lumi", 0.015, -0.01), Impact("elsewhere", 3.0, -3.0))
    figure = plot_impacts(IMPACTS, PULLS, before=before, auxiliary=auxiliary)
    left = figure.axes[0]
    rows = {text.get_text(): tick for tick, text in zip(left.get_yticks(), left.get_yticklabels(), strict=True)}
    frames = [p for p in left.patches if p.get_height() == pytest.approx(0.86)]
    assert [(p.get_width(), p.get_y() + 0.43) for p in frames] == [
        (0.5, pytest.approx(rows["qq_scale"])),
        (-0.4, pytest.approx(rows["qq_scale"])),
    ]
    diamonds = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in left.lines if line.get_marker() == "D"]
    assert diamonds == [(0.015, rows["lumi"]), (-0.01, rows["lumi"])]
    assert left.get_xlim()[1] == pytest.approx(1.12 * 0.5), "what belongs to no row does not stretch the axis"
    assert figure.numbers["impacts_auxiliary"][1]["parameter"] == "elsewhere"
