"""Plots of the review: every drawn number is in the file beside the picture; every style draws; nothing to show is no error."""

from __future__ import annotations

import json
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from toolkit.diagnostics import (
    Merit,
    WeightedSample,
    calibration_curve,
    coverage_curve,
    overlay,
    permutation_importance,
    pulls,
    spread_profile,
)
from toolkit.diagnostics.learning_curve import LearningCurve, LearningPoint
from toolkit.likelihood import Gain
from toolkit.plots import (
    PlotStyle,
    plot_calibration,
    plot_calibration_change,
    plot_coverage,
    plot_importance,
    plot_learning_curve,
    plot_overlay,
    plot_pulls,
    plot_spread,
    png_bytes,
)


def bars(ax):
    """x, y and half lengths of the error bars (vertical if there are any) of every errorbar with points."""
    return [container for container in ax.containers if hasattr(container, "has_yerr") and len(container[0].get_xdata())]


def words(figure):
    found = [t.get_text() for ax in figure.axes for t in ax.texts]
    for ax in figure.axes:
        legend = ax.get_legend()
        found += [t.get_text() for t in legend.get_texts()] + [legend.get_title().get_text()] if legend else []
        found += [ax.get_xlabel(), ax.get_ylabel()]
    return found


@pytest.fixture(scope="session")
def change(events):
    simulated, log_ratios = events
    curves = [calibration_curve(simulated, k * log_ratios, numerator="ggF_S", denominator="qqZZ", bins=8) for k in (1.3, 1.0)]
    return tuple(curves)


@pytest.fixture(scope="session")
def samples():
    rng = np.random.default_rng(1)
    make = {"test": 0.0, "trained on": 0.2, "out of bag": 0.0}
    return overlay(
        tuple(WeightedSample(name, rng.normal(shift, 1, size=800), np.ones(800)) for name, shift in make.items()),
        seed=1,
        title="ggF_S",
        bins=8,
        replicas=50,
    )


@pytest.fixture(scope="session")
def importances():
    x = np.random.default_rng(2).normal(size=(200, 3))

    def total(part):
        return lambda out: Merit(float(part * out.sum()), part * out / 10)

    metrics = {"t(0)": total(1.0), "AUC": total(0.01)}
    groups = {"m4l": ("m4l",), "angles": ("cos_theta_1", "phi"), "phi": ("phi",)}
    features = ("m4l", "cos_theta_1", "phi")
    return permutation_importance(lambda v: v[:, 0] * v[:, 1] + v[:, 2], x, features=features, metrics=metrics, seed=1, groups=groups)


@pytest.fixture(scope="session")
def spread(events):
    simulated, _ = events
    rng = np.random.default_rng(3)
    values = 0.05 * rng.exponential(size=simulated.weights.shape)
    return spread_profile(simulated, values, observable="m4l", edges=np.array([220.0, 400.0, 700.0, 1200.0]), n_members=6)


@pytest.fixture(scope="session")
def some_pulls():
    rng = np.random.default_rng(4)
    fitted = 1 + 0.2 * rng.normal(0.1, 1.2, size=300)
    fitted[:2] = np.nan
    fitted[2] = 40.0
    return pulls(fitted, true=1.0, error=np.full(300, 0.2))


@pytest.fixture(scope="session")
def coverages():
    truth = [0.0, 1.0, 2.0]
    return tuple(
        coverage_curve(truth, covered=k, trials=100, level=level, name=name)
        for name, level, k in (("asymptotic", 0.68, [60, 66, 70]), ("Neyman", 0.95, [95, 94, 96]))
    )


def test_calibration_change(change):
    top, low = plot_calibration_change(*change).axes
    for container, curve in zip(bars(top), change, strict=True):
        np.testing.assert_allclose(container[0].get_ydata(), curve.fraction[curve.used])
    for container, curve in zip(bars(low), change, strict=True):
        np.testing.assert_allclose(container[0].get_ydata(), curve.residual[curve.used])
    numbers = plot_calibration_change(*change).numbers
    assert numbers["after"]["chi2"] == change[1].test.chi2
    assert top.get_xlim()[0] >= 0


def test_a_bad_calibration_stays_in_the_frame(events):
    simulated, log_ratios = events
    flat = calibration_curve(simulated, 0.05 * log_ratios, numerator="ggF_S", denominator="qqZZ", bins=8)
    for top in (plot_calibration(flat).axes[0], plot_calibration_change(flat, flat).axes[0]):
        low, high = top.get_ylim()
        assert low < flat.fraction[flat.used].min() < flat.predicted[flat.used].min(), "true fractions reach beyond the predicted ones"
        assert high > flat.fraction[flat.used].max() > flat.predicted[flat.used].max()


def test_overlay(samples):
    figure = plot_overlay(samples)
    top, low = figure.axes
    np.testing.assert_allclose(bars(top)[0][0].get_ydata(), samples.content[0] / np.diff(samples.edges))
    drawn = [np.asarray(p.get_data().values) for p in low.patches if hasattr(p, "get_data")]
    for row in np.array(figure.numbers["ratio"])[1:]:
        assert any(np.allclose(d, row) for d in drawn)
    np.testing.assert_allclose(figure.numbers["ratio"][1], samples.content[1] / samples.content[0])
    texts = [t.get_text() for t in top.get_legend().get_texts()]
    assert texts[0] == "test"
    assert texts[1].startswith("trained on\n")
    assert f"{samples.chi2[0].chi2:.0f}/7" in texts[1]


def test_importance(importances):
    figure = plot_importance(importances)
    order = importances[0].order[::-1]
    for ax, result in zip(figure.axes, importances, strict=True):
        np.testing.assert_allclose([patch.get_width() for patch in ax.patches], result.loss[order])
        segments = np.array(bars(ax)[0][2][-1].get_segments())
        np.testing.assert_allclose((segments[:, 1, 0] - segments[:, 0, 0]) / 2, result.error[order])
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert "angles" in labels
    assert any("4" in text for text in labels), "single features have their symbol"
    assert figure.numbers["metrics"][0]["metric"] == "t(0)"
    assert "loss of t(0)" in figure.axes[0].get_xlabel()
    known = replace(importances[0], baseline=0.89834, baseline_error=0.0024)
    assert r"0.8983 $\pm$ 0.0024" in plot_importance([known]).axes[0].get_xlabel(), "decimals are those of the error"


def test_spread(spread):
    figure = plot_spread(spread)
    drawn = [np.asarray(p.get_data().values) for p in figure.axes[0].patches if hasattr(p, "get_data")]
    for j in range(4):
        for q in (1, 2):
            assert any(np.allclose(d, spread.binned[j, :, q]) for d in drawn)
    assert any("6 members" in text for text in words(figure))


def test_pulls(some_pulls):
    figure = plot_pulls(some_pulls)
    assert sum(figure.numbers["counts"]) == 298, "the pull beyond the window counts in the end bin"
    ax = figure.axes[0]
    curve = ax.get_lines()[-2] if ax.get_lines()[-2].get_label() == "fitted Gaussian" else ax.get_lines()[-1]
    x, y = curve.get_data()
    width = figure.numbers["edges"][1] - figure.numbers["edges"][0]
    assert np.trapezoid(y, x) / width == pytest.approx(297, rel=0.01)
    text = " ".join(words(figure))
    assert f"mean {some_pulls.mean:.2f}" in text
    assert "2 fits failed" in text
    assert "1 beyond" in text


def test_coverage(coverages):
    figure = plot_coverage(coverages)
    for container, curve in zip(bars(figure.axes[0]), coverages, strict=True):
        np.testing.assert_allclose(container[0].get_ydata(), curve.coverage)
        ends = np.array(container[2][-1].get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, np.stack([curve.low, curve.high], axis=1))
    flat = {line.get_ydata()[0] for line in figure.axes[0].get_lines() if len(set(line.get_ydata())) == 1}
    assert {0.68, 0.95} <= flat


def test_coverage_at_one_truth():
    curves = [coverage_curve([1.0], covered=[k], trials=100, level=0.68, name=name) for name, k in (("from toys", 68), ("asymptotic", 80))]
    ax = plot_coverage(curves).axes[0]
    assert (ax.get_xlim(), ax.get_xticks().tolist()) == ((0.5, 1.5), [1.0])


@pytest.fixture
def learning():
    points = (LearningPoint(0.5, 400, 1.2, 0.1, Gain(2.4, 0.2)), LearningPoint(1.0, 800, 1.5, 0.1, Gain(3.0, 0.2)))
    return LearningCurve({"mu": 1.0}, {"mu": 0.0}, "m4l", 0.5, 0.05, points)


def test_learning_curve(learning):
    figure = plot_learning_curve(learning)
    [bar] = bars(figure.axes[0])
    assert (bar[0].get_xdata().tolist(), bar[0].get_ydata().tolist()) == ([400.0, 800.0], [1.2, 1.5])
    ends = np.array(bar[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, [[1.1, 1.3], [1.4, 1.6]])
    assert figure.axes[0].get_lines()[-1].get_ydata() == [0.5, 0.5], "the histogram"
    assert figure.numbers["points"][0]["gain"] == {"value": 2.4, "error": 0.2}
    assert figure.axes[0].get_xscale() == "log"


@pytest.fixture
def all_figures(change, samples, importances, spread, some_pulls, coverages, learning):  # noqa: PLR0917
    def make(style):
        return [
            plot_calibration_change(*change, style=style),
            plot_overlay(samples, style=style),
            plot_importance(importances, style=style),
            plot_spread(spread, style=style),
            plot_pulls(some_pulls, style=style),
            plot_coverage(coverages, style=style),
            plot_learning_curve(learning, style=style),
        ]

    return make


@pytest.mark.parametrize("experiment", ["plain", "ATLAS", "CMS"])
def test_styles_draw_and_leave_no_trace(all_figures, experiment):
    before = dict(mpl.rcParams)
    figures = all_figures(PlotStyle(experiment, status="Internal", luminosity_ifb=140.0))
    for figure in figures:
        json.dumps(figure.numbers, allow_nan=False)
        assert any("140 fb" in text for text in words(figure))
        assert (experiment in words(figure)) == (experiment != "plain")
    for figure in figures if experiment == "plain" else figures[:1]:
        assert png_bytes(figure, dpi=40)[:8] == b"\x89PNG\r\n\x1a\n"
    assert dict(mpl.rcParams) == before


def test_nothing_to_show():
    for plot in (plot_importance, plot_coverage):
        assert png_bytes(plot([]), dpi=30)
