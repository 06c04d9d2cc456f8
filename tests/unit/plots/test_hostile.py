"""Names of any kind stand in plots and pages as they are: no formula, no markup, no failure."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from tests.hostile import hostile_names
from toolkit.diagnostics import WeightedSample, overlay
from toolkit.plots import plot_overlay, plot_scans, png_bytes
from toolkit.plots.correlation import plot_correlation
from toolkit.plots.names import LONGEST, is_readable, math_or_plain, method_label, observable_label, parameter_symbol, plain, process_label
from toolkit.report.html import render_page
from toolkit.report.page import Page, PageSection, PageTable
from toolkit.text import visible

pytestmark = pytest.mark.filterwarnings("ignore:Glyph", "ignore:Matplotlib currently does not support", "ignore:constrained_layout")
NAMES = hostile_names(500)
LABELS = (plain, process_label, method_label, observable_label, parameter_symbol, math_or_plain)


def test_every_label_can_be_read() -> None:
    reader = MathTextParser("path")
    for name in NAMES:
        for label in LABELS:
            text = label(name)
            if is_math_text(text):  # else matplotlib shows it as it is
                reader.parse(text)
            assert visible(text) == text
            assert len(text) <= 4 * LONGEST  # dollars and underscores are written with a backslash


def test_a_dollar_begins_no_formula() -> None:
    for name in ("a$x$b", "$", "$$", r"$\frac{", "cost $ and $"):
        figure = Figure()
        text = figure.text(0, 0, method_label(name))
        shown, is_math = text._preprocess_math(text.get_text())
        assert (shown, is_math) == (name, False)


def test_parameters_with_several_underscores_have_a_symbol() -> None:
    MathTextParser("path").parse(parameter_symbol("mu_ggF_off_shell"))
    assert parameter_symbol("mu_ggF") == r"$\mu_{\mathrm{ggF}}$"
    assert parameter_symbol("mu_a_b") == r"$\mu_{\mathrm{a\_b}}$"


def test_plots_of_hostile_names_are_drawn(results) -> None:  # type: ignore[no-untyped-def]  # a fixture
    rng = np.random.default_rng(1)
    chosen = [NAMES[k] for k in rng.choice(len(NAMES), size=40, replace=False)]
    for k in range(0, 40, 10):
        names = chosen[k : k + 10]
        png_bytes(plot_correlation(names, np.eye(10), poi=names[0]), dpi=40)
    samples = tuple(WeightedSample(name, rng.normal(size=200), np.ones(200)) for name in chosen[:3])
    png_bytes(plot_overlay(overlay(samples, seed=1, title=chosen[3], score=r"$\frac{")), dpi=40)
    broken = plot_scans(results)
    broken.axes[0].set_title(r"a broken $\frac{ formula $")
    png_bytes(broken, dpi=40)


def test_a_page_shows_names_and_obeys_none() -> None:
    cells = tuple((name, "1") for name in NAMES)
    table = PageTable(NAMES[60], (NAMES[61], NAMES[62]), cells, note=NAMES[63])
    section = PageSection(NAMES[66], text=(NAMES[67],), tables=(table,), warnings=(NAMES[68],))
    text = render_page(Page(NAMES[64], NAMES[65], (section,), footer=NAMES[69]))
    one = PageTable("d", ("e", "f"), (("g", "h"),), note="i")
    plain_page = render_page(Page("t", "s", (PageSection("a", text=("b",), tables=(one,), warnings=("c",)),), footer="j"))
    tags = [re.findall(r"<(/?\w+)", page) for page in (text, plain_page)]
    assert set(tags[0]) == set(tags[1])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u200b\u2028\u202e\u2066]", text)


def test_texts_of_several_lines_are_read_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert is_readable("ratio to\n$\\mu$ = 1")
    assert not is_readable("ratio to\n$\\frac{$")
    assert caplog.records == []
