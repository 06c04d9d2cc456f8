"""Histogram fits before and after the fit: closed forms of one bin, and what the report shows of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyhf
import pytest

from toolkit.analysis.fitted_histograms import read_fitted_histograms
from toolkit.diagnostics.fitted_histograms import FittedHistograms, fitted_channels
from toolkit.likelihood import Interval, PyhfLikelihood, Results, Workspace, upper_limit
from toolkit.plots import PlotStyle
from toolkit.report.fitted_histograms import post_fit_jobs, post_fit_section, significance_table

COUNT = 63.0


@pytest.fixture(scope="module")
def likelihood() -> PyhfLikelihood:
    """10 mu signal events over 50 +- 7 of background, 63 counted."""
    model = pyhf.simplemodels.uncorrelated_background([10.0], [50.0], [7.0], validate=False)
    return PyhfLikelihood(model, [COUNT, *model.config.auxdata])


def test_one_bin_has_the_errors_of_the_closed_form(likelihood: PyhfLikelihood) -> None:
    [channel] = fitted_channels(likelihood, likelihood.fit(), method="rate", nominal={"mu": 1.0}, observed=True)
    assert (channel.before[0], channel.before_error[0]) == (pytest.approx(60.0), pytest.approx(7.0))
    assert channel.after[0] == pytest.approx(COUNT, rel=1e-5), "a free rate takes the count"
    assert channel.after_error[0] == pytest.approx(COUNT**0.5, rel=1e-3), "whose error is that of the count, whatever the background"
    assert channel.sums[1] == (pytest.approx(COUNT, rel=1e-5), pytest.approx(COUNT**0.5, rel=1e-3))


def test_sums_of_bins_know_the_correlations() -> None:
    """One scale moves both bins, so that errors add up linearly before the fit; after it the sum is known as well as both counts."""
    modifiers = [{"name": "mu", "type": "normfactor", "data": None}, {"name": "size", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}]
    channel = {"name": "two", "samples": [{"name": "s", "data": [100.0, 300.0], "modifiers": modifiers}]}
    model = pyhf.Model({"channels": [channel]}, poi_name="mu", validate=False)
    own = PyhfLikelihood(model, [100.0, 300.0, *model.config.auxdata])
    [found] = fitted_channels(own, own.fit(), method="two", nominal={"mu": 1.0}, observed=False)
    np.testing.assert_allclose(found.before_error, [10.0, 30.0], rtol=1e-3)
    assert found.sums[0][1] == pytest.approx(40.0, rel=1e-3)
    assert found.sums[1][1] == pytest.approx(20.0, rel=1e-2)
    np.testing.assert_allclose(found.after_error, [5.0, 15.0], rtol=1e-2)


def test_cls_of_a_run_is_that_of_the_likelihood(likelihood: PyhfLikelihood, results: Results, tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    document = {
        "channels": likelihood.model.spec["channels"],
        "observations": [{"name": "singlechannel", "data": [COUNT]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }
    Workspace(document).save(tmp_path / "workspace" / "rate.json")
    fitted = replace(results, methods={"rate": replace(results.methods["rate"], fit=likelihood.fit())})
    found = read_fitted_histograms(tmp_path, fitted)
    data, background = found.allowed["rate"]
    assert data[0].high == pytest.approx(upper_limit(likelihood, likelihood.asimov), rel=1e-3)
    assert background[0].high < data[0].high, "13 events more than expected weaken the limit"
    assert set(found.to_json()["cls_95"]["rate"]) == {"fitted", "background_only"}
    assert found.to_json()["post_fit"][0]["counts"] == [COUNT]


def test_the_report_shows_counts_beside_both_predictions(likelihood: PyhfLikelihood, results: Results) -> None:
    channels = fitted_channels(likelihood, likelihood.fit(), method="rate", nominal={"mu": 1.0}, observed=False)
    allowed = {"rate": ((Interval(0.0, 0.4), Interval(1.0, 6.0, at_boundary=True)), (Interval(0.0, 1.5),))}
    fitted = FittedHistograms(tuple(channels), allowed)
    section = post_fit_section(fitted, ())
    assert section is not None
    assert section.tables[0].rows == (("total rate, singlechannel", "63.0", "60.0 ± 7.0", "63.0 ± 7.9"),)
    table = significance_table(results, fitted)
    assert table is not None
    rows = {row[0]: row for row in table.rows}
    assert rows["total rate"][3:] == ("[0.00, 0.40]\n[1.00, 6.00]*", "[0.00, 1.50]")
    assert rows["NSBI, unbinned"][3:] == ("-", "-")
    assert list(post_fit_jobs(fitted, edges={}, style=PlotStyle())) == [], "one bin is no plot"


def test_bins_are_drawn_over_their_observable() -> None:
    model = pyhf.simplemodels.uncorrelated_background([10.0, 5.0], [50.0, 20.0], [7.0, 3.0], validate=False)
    own = PyhfLikelihood(model, [63.0, 24.0, *model.config.auxdata])
    fitted = FittedHistograms(tuple(fitted_channels(own, own.fit(), method="m4l", nominal={"mu": 1.0}, observed=True)), {})
    edges = {"m4l": ("m4l", np.array([200.0, 300.0, 500.0]))}
    [job] = post_fit_jobs(fitted, edges=edges, style=PlotStyle())
    figure = job.draw()
    top = figure.axes[0]
    assert top.get_xlim() == (200.0, 500.0)
    [points] = [c for c in top.containers if c.get_label() == "Data"]
    np.testing.assert_allclose(points[0].get_ydata(), [63.0 / 100.0, 24.0 / 200.0])
    assert figure.axes[1].get_xlabel() == r"$m_{4\ell}$ [GeV]"
