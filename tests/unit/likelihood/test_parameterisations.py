"""Signal strengths of every parameterisation against the couplings; on-shell and off-shell channels together; Wilson coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.expressions import Expression
from toolkit.likelihood import Workspace, make_document, morphing_expressions, parameterisation, wilson_expressions
from toolkit.likelihood.parameters import Parameter


@pytest.mark.parametrize(("kg", "kv", "gamma"), [(1.0, 1.0, 1.0), (1.2, 0.9, 1.7), (0.8, 1.1, 0.6)])
def test_the_width_follows_from_the_couplings(kg: float, kv: float, gamma: float) -> None:
    """Same couplings on and off shell: on-shell rates fall with the width, off-shell rates do not know it."""
    at = {"mu_ggF_on": kg**2 * kv**2 / gamma, "mu_EW_on": kv**4 / gamma, "gamma": gamma}
    mu = parameterisation("width")
    assert Expression.parse(mu.ggf_off).value(at) == pytest.approx(kg**2 * kv**2)
    assert Expression.parse(mu.ew_off).value(at) == pytest.approx(kv**4)
    assert Expression.parse(mu.ggf_on).value(at) == pytest.approx(kg**2 * kv**2 / gamma)


def test_ratios_of_couplings() -> None:
    """Standard Model width; couplings run between on and off shell by R_gg and R_VV."""
    kg, kv, r_gg, r_vv = 1.1, 0.95, 1.3, 0.8
    at = {"mu_ggF_on": kg**2 * kv**2, "mu_EW_on": kv**4, "R_gg": r_gg, "R_VV": r_vv}
    mu = parameterisation("R_gg")
    assert Expression.parse(mu.ggf_off).value(at) == pytest.approx(kg**2 * r_gg * kv**2 * r_vv)
    assert Expression.parse(mu.ew_off).value(at) == pytest.approx((kv**2 * r_vv) ** 2)
    with pytest.raises(SchemaError, match="mu_off"):
        parameterisation("kappa")


def test_off_shell_and_on_shell_channels_measure_the_width() -> None:
    """A morphing channel and an on-shell counting channel in one workspace: Asimov data at gamma = 1.6 give it back."""
    mu = parameterisation("width")
    off = morphing_expressions(parameter=f"({mu.ggf_off})", n_backgrounds=1)
    truth = {"mu_ggF_on": 1.1, "gamma": 1.6}
    templates = np.array([[30.0, 60.0], [300.0, 200.0], [330.0, 120.0], [400.0, 90.0]])
    f = [Expression.parse(e).value(truth) for e in off]
    samples = [
        {"name": f"p{j}", "data": row.tolist(), "modifiers": [{"name": f"f{j}", "type": "morphing", "data": {"coefficient": off[j]}}]}
        for j, row in enumerate(templates)
    ]
    on = {"name": "signal", "data": [2000.0], "modifiers": [{"name": "on", "type": "morphing", "data": {"coefficient": mu.ggf_on}}]}
    channels = [
        ({"name": "off_shell", "samples": samples}, (np.array(f) @ templates).tolist()),
        ({"name": "on_shell", "samples": [on, {"name": "b", "data": [500.0], "modifiers": []}]}, [2000.0 * 1.1 + 500.0]),
    ]
    parameters = [Parameter("gamma", init=1.0, low=0.0, high=10.0), Parameter("mu_ggF_on", init=1.0, low=0.1, high=3.0)]
    likelihood = Workspace(make_document(parameters=parameters, channels=channels)).likelihood()
    assert set(likelihood.parameter_names) == {"gamma", "mu_ggF_on"}
    fit = likelihood.fit()
    assert fit.parameters["gamma"] == pytest.approx(1.6, abs=1e-5)
    assert fit.parameters["mu_ggF_on"] == pytest.approx(1.1, abs=1e-5)
    surface = likelihood.surface(("gamma", "mu_ggF_on"), ([0.8, 1.6, 3.0], [1.0, 1.1]), fit=fit)
    assert surface.shape == (3, 2)
    assert surface[1, 1] == pytest.approx(0.0, abs=1e-6)
    point = likelihood.twice_nll({"gamma": 3.0, "mu_ggF_on": 1.0}) - fit.twice_nll
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
