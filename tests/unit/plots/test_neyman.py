from __future__ import annotations

import numpy as np
import pytest

from toolkit.likelihood.critical import critical_curve
from toolkit.likelihood.neyman import NeymanBands, NeymanInterval, NeymanResult
from toolkit.likelihood.scans import Interval, Scan
from toolkit.plots import plot_critical_values, save_figure


@pytest.fixture(scope="module")
def result():
    generator, mu = np.random.default_rng(1), np.linspace(0.0, 4.0, 9)
    samples = generator.chisquare(1, size=(9, 300))
    curves = {name: critical_curve(mu, samples, level=level) for name, level in (("68", 0.6827), ("95", 0.95))}
    scan = Scan(values=mu, twice_delta_nll=(mu - 1.0) ** 2)
    piece, plain = (NeymanInterval(0.0, 2.0, True, 0.0, 0.1),), (Interval(0.0, 2.0, True),)
    return NeymanResult(1.0, {"68": piece, "95": piece}, {"68": plain, "95": plain}, scan, NeymanBands("mu", curves, 300, 1))


def test_lines_are_the_chi_square_values(result, tmp_path):
    figure = plot_critical_values(result)
    flat = [line.get_ydata() for line in figure.axes[0].lines if len(set(np.atleast_1d(line.get_ydata()).tolist())) == 1]
    assert sorted(float(y[0]) for y in flat) == pytest.approx([1.0, 3.841459], abs=1e-4)
    saved = save_figure(figure, tmp_path, "critical")
    assert saved.png.stat().st_size > 10_000


def test_numbers_hold_curves_and_intervals(result):
    numbers = plot_critical_values(result).numbers
    shown = numbers["curves"]["95"]
    np.testing.assert_allclose(shown["critical"], result.bands.curves["95"](np.array(shown["x"])))
    assert numbers["interval_68"] == [[0.0, 2.0]]
    assert (shown["x"][0], shown["x"][-1]) == (0.0, 4.0)
