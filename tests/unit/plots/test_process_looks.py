"""Labels and colours of samples, and symbols of parameters, from the config, in the plots that name processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from toolkit.config import Config, load_config, parse_config
from toolkit.diagnostics.observables import Spectrum
from toolkit.errors import SchemaError
from toolkit.pipeline.stages.provenance import config_hash
from toolkit.pipeline.stages.report import plot_style, root_parameters
from toolkit.plots import PlotStyle, ProcessLook, plot_cutflow, plot_spectrum
from toolkit.plots.names import distinct_looks, estimate_symbol, parameter_label, parameter_symbol, process_label, truth_symbol
from toolkit.plots.style import style_context

FLOW = {"all": {"events": 10.0, "sumw": 5.0, "sumw2": 2.0}, "m4l": {"events": 5.0, "sumw": 2.0, "sumw2": 1.0}}
CONTINUUM = r"$q\bar{q}$ continuum"


def _config(**sample: Any) -> Config:
    section = {"name": "qqZZ", "files": ["a.root"], **sample}
    return parse_config({"luminosity_ifb": 140.0, "samples": [section]}, folder=Path())


def test_the_config_names_and_colours_a_sample() -> None:
    style = plot_style(_config(label=CONTINUUM, color="#123abc"))
    top = plot_cutflow({"qqZZ": FLOW, "ttZ": FLOW}, style=style).axes[0]
    legend = top.get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == CONTINUUM
    assert to_hex(top.lines[0].get_color()) == "#123abc"
    assert process_label("qqZZ") != CONTINUUM  # outside of the figure nothing has changed


def test_a_process_has_one_colour_in_all_plots(spectrum_m4l: Spectrum) -> None:
    """Whether it interferes with the parameter of the plot or lies below it, in the stack or as a line, among other names or alone."""
    names, totals = spectrum_m4l.processes, spectrum_m4l.interfering
    first = replace(spectrum_m4l, interfering=np.tile(spectrum_m4l.expected[1], (len(totals), 1)))
    second = replace(first, backgrounds=names[:3], interfering=np.tile(first.expected[3], (len(totals), 1)))
    style = plot_style(_config(name="x"))

    def filled(spectrum: Spectrum) -> dict[str, str]:
        patches = [p for p in plot_spectrum(spectrum, style=style).axes[0].patches if p.get_fill()]
        return {str(p.get_label()): to_hex(p.get_facecolor()) for p in patches}

    one, two = filled(first), filled(second)
    labels = {name: process_label(name) for name in ("ggF_SBI", "qqZZ")}
    assert [(found[labels["ggF_SBI"]], found[labels["qqZZ"]]) for found in (one, two)] == [("#e69f00", "#56b4e9")] * 2
    curves = [plot_cutflow(dict.fromkeys(order, FLOW), style=style).axes[0].lines for order in (("x", "qqZZ"), ("qqZZ", "ttZ", "x"))]
    assert [to_hex(lines[i].get_color()) for lines, i in zip(curves, (0, 2), strict=True)] == ["#44aa99"] * 2


def test_colours_of_a_report_differ() -> None:
    names = ["ggF_S", "ggF_SBI", "ggF_B", "EW_S", "EW_SBI", "EW_B", "qqZZ", "ggH", "VBFH", "VVV", "ttZ"]
    looks = distinct_looks(names, {"ttZ": ProcessLook(color="#E69F00"), "qqZZ": ProcessLook(label="continuum")})
    assert len({look.color.lower() for look in looks.values()}) == len(names)
    assert (looks["ttZ"].color, looks["qqZZ"].label) == ("#E69F00", "continuum")


def test_a_label_that_matplotlib_cannot_read_is_shown_as_it_is() -> None:
    figure = plot_cutflow({"x": FLOW}, style=PlotStyle(processes={"x": ProcessLook(r"$\frac{$")}))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == r"\$\frac{\$"


def test_looks_do_not_change_what_networks_depend_on() -> None:
    assert config_hash(_config(label="a", color="#000000")) == config_hash(_config())


def test_a_colour_is_a_number() -> None:
    with pytest.raises(SchemaError, match=r"samples\.qqZZ\.color"):
        _config(color="green-ish")


def test_luminosity_is_needed_where_something_is_scaled_to_it() -> None:
    data = {"name": "data", "kind": "data", "files": ["d.root"]}
    assert parse_config({"samples": [data]}, folder=Path()).luminosity_used is None
    with pytest.raises(SchemaError, match=r"luminosity_ifb: missing; the simulated samples \['qqZZ'\] are normalised"):
        parse_config({"samples": [data, {"name": "qqZZ", "files": ["a.root"]}]}, folder=Path())


def test_the_config_gives_symbols_to_parameters_of_all_fits() -> None:
    """They are for axes and lists; a hat stands on a letter alone."""
    style = PlotStyle(parameters={"mu_off": r"\mu_{off}", "width": r"\Gamma_H / \Gamma_{SM}", "bad": r"\frac{"})
    with style_context(style):
        assert parameter_symbol("mu_off") == parameter_label("mu_off") == r"$\mu_{off}$"
        assert (estimate_symbol("mu_off"), truth_symbol("mu_off")) == (r"$\hat{\mu}_{off}$", r"$\mu_{off}^{\,\mathrm{true}}$")
        assert (estimate_symbol("width"), truth_symbol("width")) == (r"$\Gamma_H / \Gamma_{SM}$", r"true $\Gamma_H / \Gamma_{SM}$")
        assert parameter_symbol("bad") == r"\$\frac{\$"
        assert parameter_label("jet_scale") == "jet_scale"
    assert parameter_symbol("width") == "$width$"
    example = load_config(Path(__file__).parents[3] / "examples" / "offshell.yaml", data=Path())
    assert plot_style(example).parameters["mu_on_shell"] == plot_style(example).parameters["mu_on"] == r"\mu_{\mathrm{on}}"
    assert root_parameters(example) == {"mu_ggF", "mu_EW", "mu", "width", "mu_on_shell"}, (
        "those that strengths under a root are written in, too"
    )
