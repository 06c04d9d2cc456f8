"""On-shell and off-shell channels together measure the width; Wilson coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError
from toolkit.expressions import Expression
from toolkit.likelihood import Workspace, make_document, morphing_expressions, wilson_expressions
from toolkit.likelihood.parameters import Parameter
from toolkit.model import parameterisation


def test_off_shell_and_on_shell_channels_measure_the_width() -> None:
    """A morphing channel and an on-shell counting channel in one workspace: Asimov data at width = 1.6 give it back."""
    [(_, off_shell)] = parameterisation("width").on(["mu_ggF", "mu_ggF_on"]).express
    off = morphing_expressions(parameter=f"({off_shell})", n_backgrounds=1)
    truth = {"mu_ggF_on": 1.1, "width": 1.6}
    templates = np.array([[30.0, 60.0], [300.0, 200.0], [330.0, 120.0], [400.0, 90.0]])
    f = [Expression.parse(e).value(truth) for e in off]
    samples = [
        {"name": f"p{j}", "data": row.tolist(), "modifiers": [{"name": f"f{j}", "type": "morphing", "data": {"coefficient": off[j]}}]}
        for j, row in enumerate(templates)
    ]
    on = {"name": "signal", "data": [2000.0], "modifiers": [{"name": "on", "type": "morphing", "data": {"coefficient": "mu_ggF_on"}}]}
    channels = [
        ({"name": "off_shell", "samples": samples}, (np.array(f) @ templates).tolist()),
        ({"name": "on_shell", "samples": [on, {"name": "b", "data": [500.0], "modifiers": []}]}, [2000.0 * 1.1 + 500.0]),
    ]
    parameters = [Parameter("width", init=1.0, low=0.0, high=10.0), Parameter("mu_ggF_on", init=1.0, low=0.1, high=3.0)]
    likelihood = Workspace(make_document(parameters=parameters, channels=channels)).likelihood()
    assert set(likelihood.parameter_names) == {"width", "mu_ggF_on"}
    fit = likelihood.fit()
    assert fit.parameters["width"] == pytest.approx(1.6, abs=1e-5)
    assert fit.parameters["mu_ggF_on"] == pytest.approx(1.1, abs=1e-5)
    surface = likelihood.surface(("width", "mu_ggF_on"), ([0.8, 1.6, 3.0], [1.0, 1.1]), fit=fit)
    assert surface.shape == (3, 2)
    assert surface[1, 1] == pytest.approx(0.0, abs=1e-6)
    point = likelihood.twice_nll({"width": 3.0, "mu_ggF_on": 1.0}) - fit.twice_nll
    assert surface[2, 0] == pytest.approx(point, abs=1e-8)


def test_wilson_coefficients_morph_a_quadratic() -> None:
    points = [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 1.0]]
    expressions = wilson_expressions(("c_hg", "c_tg"), points)

    def rate(a: float, b: float) -> float:
        return 3.0 + 0.5 * a - 0.7 * b + 0.9 * a * a + 0.2 * a * b + 1.4 * b * b

    f = [Expression.parse(e).value({"c_hg": 0.37, "c_tg": -1.9}) for e in expressions]
    assert np.dot(f, [rate(*p) for p in points]) == pytest.approx(rate(0.37, -1.9), rel=1e-12)
    with pytest.raises(PhysicsDomainError, match="expected"):
        wilson_expressions(("c",), [[0.0], [1.0]])
    with pytest.raises(PhysicsDomainError, match="condition number"):
        wilson_expressions(("c",), [[0.0], [1.0], [1.0]])
