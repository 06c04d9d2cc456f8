"""Labels and colours of samples, and symbols of parameters, from the config, in the plots that name processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex

from toolkit.config import Config, load_config, parse_config
from toolkit.errors import SchemaError
from toolkit.pipeline.stages.provenance import config_hash
from toolkit.pipeline.stages.report import plot_style, root_parameters
from toolkit.plots import PlotStyle, ProcessLook, plot_cutflow
from toolkit.plots.names import estimate_symbol, parameter_label, parameter_symbol, process_label, truth_symbol
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
