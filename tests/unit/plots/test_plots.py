"""Every plot shows the numbers that are saved beside it, in the style asked for, without touching global state."""

from __future__ import annotations

import json
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from toolkit.diagnostics import TrainingCurve, closure_verdicts
from toolkit.errors import SchemaError
from toolkit.likelihood import Contour
from toolkit.likelihood.results import ClosurePoint
from toolkit.plots import (
    PlotStyle,
    plot_calibration,
    plot_closure,
    plot_contours,
    plot_effective_size,
    plot_negative_weights,
    plot_reweighting,
    plot_reweighting_overview,
    plot_scans,
    plot_spectrum,
    plot_training,
    plot_yields,
    png_bytes,
)
from toolkit.plots.names import estimate_symbol, is_readable, truth_symbol
from toolkit.plots.style import method_look
from toolkit.weights import generation_curves, negative_profile


def texts(figure):
    found = [t.get_text() for ax in figure.axes for t in ax.texts]
    found += [t.get_text() for ax in figure.axes if ax.get_legend() for t in ax.get_legend().get_texts()]
    return found + [ax.get_xlabel() for ax in figure.axes] + [ax.get_ylabel() for ax in figure.axes]


def bars(ax):
    """Points and vertical half lengths of all error bars of an axes that have points."""
    out = []
    for container in ax.containers:
        line, _, collections = container
        if len(line.get_xdata()):
            segments = np.array(collections[-1].get_segments())
            out.append((line.get_xdata(), line.get_ydata(), (segments[:, 1, 1] - segments[:, 0, 1]) / 2))
    return out


def test_scans(results, verdicts):
    figure = plot_scans(results, verdicts=verdicts)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    starts = {"rate": "total", "m4l": "$m_", "score": "score", "nsbi": "NSBI"}
    for result in results:
        line = next(v for k, v in lines.items() if k.startswith(starts[result.method]))
        scan, (x, y) = figure.numbers["methods"][result.method]["scan"], line.get_data()
        np.testing.assert_allclose(np.interp(scan["mu"], x, y), scan["twice_delta_nll"], atol=1e-12)
        assert np.interp(result.mu_hat, x, y) == pytest.approx(0.0, abs=1e-12), "a curve touches 0 at the best fit"
        assert len(x) > 3 * len(scan["mu"]), "smooth between points"
    assert "NSBI (unbinned) (biased)" in lines
    assert {line.get_ydata()[0] for line in figure.axes[0].get_lines() if len(set(line.get_ydata())) == 1} == {1.0, 3.841458820694124}
    top = figure.axes[0].get_ylim()[1]
    assert top > 3.84
    figure.canvas.draw()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert all(line.get_clip_box().y1 <= legend.y0 + 1.0 for line in figure.axes[0].get_lines()), "curves end below the legend"
    assert figure.axes[0].get_xlabel() == r"$\mu$"


def test_scans_of_a_strength_with_interference_are_wide_near_zero(results):
    figure = plot_scans(results, style=PlotStyle(roots=frozenset({"mu"})))
    png_bytes(figure)
    axes = figure.axes[0]
    high = axes.get_xlim()[1]
    where = axes.transData.transform([(0.0, 0.0), (high / 4.0, 0.0), (high, 0.0)])[:, 0]
    assert (where[1] - where[0]) / (where[2] - where[0]) == pytest.approx(0.5)
    scan = results[0].scan
    drawn = dict(zip(*axes.get_lines()[0].get_data(), strict=True))
    for value, height in zip(scan.values, scan.twice_delta_nll, strict=True):
        near = min(drawn, key=lambda x: abs(x - value))
        assert (near, drawn[near]) == pytest.approx((value, height), abs=1e-9)


def test_spectrum(spectrum_m4l):
    figure = plot_spectrum(spectrum_m4l)
    top, low = figure.axes
    widths = np.array(figure.numbers["divided_by"])
    np.testing.assert_array_equal(widths, [80.0, 100.0, 200.0, 600.0])
    stairs = [p for p in top.patches if hasattr(p, "get_data")]
    drawn = [np.asarray(p.get_data().values) for p in stairs]
    total = np.array(figure.numbers["total"])
    for m in range(3):
        assert any(d.shape == (4,) and np.allclose(d, total[m] / widths) for d in drawn), figure.numbers["values"][m]
    assert any(np.allclose(d, np.array(figure.numbers["expected"][0]) / widths) for d in drawn), "signal alone"
    signal, both, background = (np.array(row) for row in figure.numbers["expected"][:3])
    alone = (both - signal - background) / widths
    np.testing.assert_allclose(np.array(figure.numbers["interference"]) / widths, alone)
    shown = [np.nan_to_num(d) for d in drawn if d.shape == (4,)]
    assert any(np.allclose(d, part) for d in shown for part in (alone, np.where(alone < 0, -alone, 0.0))), "negative parts upside down"
    ratios = [np.asarray(p.get_data().values) for p in low.patches if hasattr(p, "get_data")]
    for row in figure.numbers["ratio"]:
        assert any(np.allclose(r, row) for r in ratios)
    assert top.get_ylabel() == "events / GeV"
    assert low.get_xlabel() == r"$m_{4\ell}$ [GeV]"


def test_data_events_are_points_beside_the_expectation(spectrum_m4l):
    counts = np.array([700.0, 500.0, 0.0, 90.0])
    figure = plot_spectrum(spectrum_m4l, data=counts)
    top, low = figure.axes
    base = spectrum_m4l.total[spectrum_m4l.denominator]
    np.testing.assert_allclose(bars(top)[0][1], counts / np.diff(spectrum_m4l.edges))
    np.testing.assert_allclose(bars(low)[0][1], counts / base)
    assert low.get_ylim()[0] == 0.0, "the empty bin is in the frame"
    assert low.get_ylim()[1] > (counts / base).max()
    assert figure.numbers["data"] == counts.tolist()
    assert "Data" in texts(figure)
    assert "data" not in plot_spectrum(spectrum_m4l).numbers


def test_spectrum_stack_adds_up(spectrum_m4l):
    top = plot_spectrum(spectrum_m4l, log_y=False).axes[0]
    widths = np.diff(spectrum_m4l.edges)
    filled = [p.get_data() for p in top.patches if hasattr(p, "get_data") and p.get_label() in ("q$\\bar{\\mathrm{q}}$ $\\to$ ZZ",)]
    np.testing.assert_allclose(filled[0].values - np.broadcast_to(filled[0].baseline, 4), spectrum_m4l.expected[3] / widths)
    assert top.get_yscale() == "linear"


def test_calibration(calibration):
    figure = plot_calibration(calibration)
    top, low = figure.axes
    x, y, error = bars(top)[0]
    used = calibration.used
    np.testing.assert_allclose(x, np.array(figure.numbers["predicted"])[used])
    np.testing.assert_allclose(y, np.array(figure.numbers["fraction"])[used])
    np.testing.assert_allclose(error, np.array(figure.numbers["fraction_error"])[used])
    np.testing.assert_allclose(bars(low)[0][1], np.array(figure.numbers["residual"])[used])
    np.testing.assert_allclose(bars(low)[0][2], np.array(figure.numbers["residual_error"])[used])
    assert f"{calibration.test.chi2:.1f}/8" in " ".join(texts(figure))


def test_reweighting(closures):
    figure = plot_reweighting(closures[0])
    top, low = figure.axes
    divided = np.array(figure.numbers["divided_by"])
    _, y, error = bars(top)[0]
    np.testing.assert_allclose(y, closures[0].reweighted / divided)
    np.testing.assert_allclose(error, closures[0].reweighted_error / divided)
    _, y, error = bars(low)[0]
    np.testing.assert_allclose(y, figure.numbers["ratio"])
    np.testing.assert_allclose(error, closures[0].difference_error / closures[0].target)
    words = " ".join(texts(figure))
    assert "trained on" in words
    assert "not trained on" not in words
    assert "not trained on" in " ".join(texts(plot_reweighting(closures[1])))


def test_reweighting_overview(closures):
    figure = plot_reweighting_overview(closures)
    assert len(figure.numbers["observables"]) == len(closures)
    drawn = [bars(ax)[0] for ax in figure.axes if bars(ax)]
    assert len(drawn) == len(closures)
    for (_, y, _), closure in zip(drawn, closures, strict=True):
        np.testing.assert_allclose(y, closure.reweighted / closure.target)
    labels = [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]
    assert sum(r"\star" in label for label in labels) == sum(not c.trained_on for c in closures)


def test_yields(yield_curves):
    figure = plot_yields(yield_curves)
    lines = figure.axes[0].get_lines()
    for line, numbers in zip(lines, figure.numbers["curves"], strict=False):
        np.testing.assert_array_equal(line.get_ydata(), numbers["change"])
    assert figure.numbers["counting_error"] == pytest.approx(np.sqrt(figure.numbers["at_reference"][0]))
    assert figure.numbers["at_reference"][0] == pytest.approx(float(np.interp(1.0, yield_curves[0].values, yield_curves[0].expected)))


def test_effective_size(yield_curves):
    figure = plot_effective_size(yield_curves)
    lines = figure.axes[0].get_lines()
    np.testing.assert_array_equal(lines[0].get_ydata(), figure.numbers["curves"][0]["n_eff_kish"])
    np.testing.assert_array_equal(lines[1].get_ydata(), figure.numbers["curves"][0]["n_eff_max"])
    assert any("6\u2009000 simulated" in t for t in texts(figure))


def test_effective_size_of_every_sample(events):
    values = np.linspace(0.5, 4, 8)
    root = np.sqrt(values)
    f = np.stack([values - root, root, 1 - root, np.ones_like(root)], axis=1)
    shared = replace(events[0], share=np.full(len(events[0]), 0.5))
    curves = generation_curves(shared, values, f, benchmarks=("ggF_S", "ggF_SBI", "ggF_B"))
    figure = plot_effective_size(curves)
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_ydata(), curves[0].n_eff_kish)
    assert figure.numbers["curves"][0]["name"] == "all samples"


def test_negative_weights(events):
    w = events[0].weights.copy()
    w[::7, 3] *= -1
    profile = negative_profile(replace(events[0], weights=w), process="qqZZ", observable="m4l", edges=[220.0, 400.0, 1200.0])
    figure = plot_negative_weights([profile])
    assert figure.numbers["profiles"][0]["fraction"] == pytest.approx(profile.fraction)
    assert 0.1 < profile.fraction[0] < 0.2
    assert figure.axes[0].get_ylim()[1] > profile.fraction.max()
    assert plot_negative_weights([]).numbers == {"profiles": []}


def test_closure(verdicts):
    figure = plot_closure(verdicts)
    assert len(figure.axes) == len(verdicts)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1, "one scale for all methods"
    for ax, verdict in zip(figure.axes, verdicts, strict=True):
        x, y, error = (np.concatenate([drawn[k] for drawn in bars(ax)]) for k in range(3))
        order = [c for fails in (False, True) for c in verdict.checks if c.fails is fails]
        np.testing.assert_allclose(x, [c.mu for c in order], err_msg="every point stands at its true value")
        np.testing.assert_allclose(y, [c.mu_hat - c.mu for c in order])
        np.testing.assert_allclose(error, [c.standard_error for c in order])
    hollow = [[c[0].get_markerfacecolor() == "white" for c in ax.containers if len(c[0].get_xdata())] for ax in figure.axes]
    assert [any(own) for own in hollow] == [any(c.fails for c in v.checks) for v in verdicts]


def test_a_method_that_is_far_off_leaves_the_scale_of_the_others():
    """The frame is that of the compatible methods; what lies beyond has an arrow with its number, and no point."""
    points = [ClosurePoint(mu, mu + 0.02, 0.1, name) for name in ("m4l", "score", "nsbi") for mu in (0.5, 1.0)]
    far = [ClosurePoint(0.5, 5.5, 0.4, "rate"), ClosurePoint(1.0, 1.05, 0.4, "rate")]
    verdicts = closure_verdicts([*points, *far], methods=["rate", "m4l", "score", "nsbi"])
    assert [v.word for v in verdicts] == ["biased", "compatible", "compatible", "compatible"]
    figure = plot_closure(verdicts)
    assert figure.numbers["reach"] == pytest.approx(1.45 * 0.12)
    assert {ax.get_ylim() for ax in figure.axes} == {(-figure.numbers["reach"], figure.numbers["reach"])}
    assert "+5" in [text.get_text() for text in figure.axes[0].texts]
    assert [text.get_text() for ax in figure.axes[1:] for text in ax.texts if text.get_text()[0] in "+-\N{MINUS SIGN}"] == []
    np.testing.assert_allclose(np.concatenate([drawn[0] for drawn in bars(figure.axes[0])]), [1.0])
    near = [ClosurePoint(0.5, 0.75, 0.05, "rate"), ClosurePoint(1.0, 1.05, 0.05, "rate")]
    one = plot_closure(closure_verdicts([*points, *near], methods=["rate", "m4l", "score", "nsbi"]))
    assert one.numbers["reach"] == pytest.approx(1.45 * 0.3), "what fits beside the others needs no arrow"


def test_training(training_curves):
    figure = plot_training(training_curves)
    lines = figure.axes[0].get_lines()
    np.testing.assert_array_equal(lines[1].get_ydata(), figure.numbers["members"][0]["validation_loss"])
    kept = lines[2]
    assert kept.get_xdata()[0] == training_curves[0].best_epoch + 1
    assert kept.get_ydata()[0] == training_curves[0].validation_loss[training_curves[0].best_epoch]


def test_no_curve_runs_under_the_legend_of_the_training():
    flat = [TrainingCurve(str(m), "classes", (0.7 + m, 0.69 + m), (0.71 + m, 0.7 + m), 1) for m in range(3)]
    low, high = plot_training(flat).axes[0].get_ylim()
    assert (2.71 - low) / (high - low) < 0.75


def test_ratios_beyond_the_frame_have_an_arrow(closures):
    far = replace(closures[0], reweighted=np.where(np.arange(closures[0].target.size) == 2, 4.0, 1.0) * closures[0].target)
    ax = plot_reweighting_overview([far]).axes[0]
    arrows = [line for line in ax.get_lines() if line.get_marker() == "^"]
    assert [line.get_xdata().tolist() for line in arrows] == [[(far.edges[2] + far.edges[3]) / 2]]
    assert ax.get_ylim()[0] < arrows[0].get_ydata()[0] < ax.get_ylim()[1] < 4.0


@pytest.fixture
def all_figures(  # noqa: PLR0917
    results, verdicts, spectrum_m4l, calibration, closures, yield_curves, training_curves
):
    def make(style):
        return [
            plot_scans(results, verdicts=verdicts, style=style),
            plot_closure(verdicts, style=style),
            plot_spectrum(spectrum_m4l, style=style),
            plot_calibration(calibration, style=style),
            plot_reweighting(closures[0], style=style),
            plot_reweighting_overview(closures, style=style),
            plot_yields(yield_curves, style=style),
            plot_effective_size(yield_curves, style=style),
            plot_training(training_curves, style=style),
        ]

    return make


@pytest.mark.parametrize("experiment", ["plain", "ATLAS", "CMS"])
def test_styles_draw_and_leave_no_trace(all_figures, experiment):
    before = dict(mpl.rcParams)
    figures = all_figures(PlotStyle(experiment, status="Internal", luminosity_ifb=140.0))
    for figure in figures:
        json.dumps(figure.numbers, allow_nan=False)
        assert any("140 fb" in t for t in texts(figure))
        assert ("Internal" in texts(figure)) == (experiment != "plain")
        assert (experiment in texts(figure)) == (experiment != "plain")
    for i, figure in enumerate(figures):
        if i > 1 and experiment != "plain":
            continue  # drawing is slow, and differs between styles in the same way for all plots
        assert png_bytes(figure, dpi=40)[:8] == b"\x89PNG\r\n\x1a\n"
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_the_session_style_does_not_matter(results):
    plain = png_bytes(plot_scans(results), dpi=40)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "yellow"}):
        assert png_bytes(plot_scans(results), dpi=40) == plain


def test_nothing_to_show():
    for plot in (plot_scans, plot_closure, plot_training, plot_yields, plot_effective_size, plot_reweighting_overview):
        assert png_bytes(plot([]), dpi=30)


def test_unknown_style():
    with pytest.raises(SchemaError, match="CDF"):
        plot_scans([], style=PlotStyle("CDF"))


def test_scan_range_shows_a_high_t0(results):
    low = plot_scans(results[:2]).axes[0].get_ylim()[1]
    assert low == pytest.approx(7.0 / (1 - 0.075)), "one row of legend above 7"
    from dataclasses import replace

    high = plot_scans([replace(results[0], twice_nll_at_0=9.0)]).axes[0].get_ylim()[1]
    assert high == pytest.approx(1.4 * 9.0 / (1 - 0.075))


def test_symbols_of_parameters_with_subscripts_are_readable():
    for name in ("mu", "mu_EW", "c_W", "kappa", "my parameter"):
        assert is_readable(estimate_symbol(name))
        assert is_readable(truth_symbol(name))


def test_open_contours_end_at_the_frame():
    line = ((0.0, 1.0), (2.0, 0.5), (3.0, 4.0), (2.5, 6.0))
    figure = plot_contours({"nsbi": (Contour(("a", "b"), 0.68, 1.0, (line,), (1.0, 1.0)),)})
    (ax,) = figure.axes
    assert ax.get_xlim()[0] == 0.0
    assert ax.get_xlim()[1] > 3.0, "not cut there"
    assert ax.get_ylim()[0] < 0.5
    assert any(np.array_equal(drawn.get_ydata(), [6.0, 6.0]) for drawn in ax.get_lines()), "the legend stands above the edge"


def test_methods_of_several_runs_can_be_told_apart():
    """Colour and line together, in a list of known and of unknown names; more than eight unknown ones begin again."""
    names = ["rate", "m4l", "score_a", "score_b", "score_c", "nsbi_a", "nsbi_b", "nsbi_c", "nsbi", "score", "score_2d", "d_me"]
    looks = [method_look(name, k) for k, name in enumerate(names)]
    assert len({look[:2] for look in looks}) == len(names)
    assert len({look[2] for look in looks}) >= len(names) - 1
