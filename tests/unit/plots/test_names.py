"""Labels of every registered observable and of the usual processes can be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from toolkit.kinematics import OBSERVABLES
from toolkit.plots.names import events_label, method_label, observable_label, p_value_text, parameter_symbol, process_label
from toolkit.plots.style import PlotStyle, style_context


@pytest.mark.parametrize("name", [*OBSERVABLES])
def test_observable_labels_are_valid_tex_with_the_unit(name):
    label = observable_label(name)
    unit = OBSERVABLES[name].unit
    assert label.endswith(f"[{unit}]") if unit else "[" not in label
    with style_context(PlotStyle()):
        MathTextParser("path").parse(label)


def test_other_labels_are_valid_tex():
    with style_context(PlotStyle()):
        for label in (*map(process_label, ("ggF_S", "qqZZ", "ttZ")), method_label("m4l"), parameter_symbol("mu_ggF"), p_value_text(1e-5)):
            MathTextParser("path").parse(label)


def test_unknown_names_stand_for_themselves():
    assert observable_label("my_score") == "my_score"
    assert process_label("ttH") == "ttH"


def test_events_label():
    label, divisor = events_label("m4l", np.array([20.0, 20.0, 40.0]))
    assert label == "events / GeV"
    assert divisor.tolist() == [20.0, 20.0, 40.0]
    label, divisor = events_label("cos_theta_1", np.full(3, 0.2))
    assert label == "events / 0.2"
    assert divisor.tolist() == [1.0, 1.0, 1.0]
    assert events_label("phi", np.full(2, 0.5))[0] == "events / 0.5 rad"
