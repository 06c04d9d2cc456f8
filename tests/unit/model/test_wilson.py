"""The rotation of Wilson coefficients to mass eigenstates, alone and inside a process; limits on the scale of new physics."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError
from toolkit.expressions import Expression
from toolkit.model import Model, ModelParameter, Process, mass_eigenstate_couplings, scale_limits

WARSAW = {"cHW": 0.7, "cHB": -0.4, "cHWB": 0.3, "cHWtil": 0.2, "cHBtil": 0.5, "cHWBtil": -0.6}


def test_the_six_equations_are_a_rotation_by_the_weak_mixing_angle() -> None:
    """cHW and cHB on the diagonal, cHWB/2 beside it: the rotated matrix has ZZ and gamma gamma on its diagonal, minus Z gamma beside it."""
    s2, scale = 0.2312, 2.0
    c, s = np.sqrt(1.0 - s2), np.sqrt(s2)
    found = {name: Expression.parse(text).value(WARSAW) for name, text in mass_eigenstate_couplings(lambda_tev=scale).items()}
    for order, tail in (("g2", ""), ("g4", "til")):
        w, b, wb = (WARSAW[name + tail] for name in ("cHW", "cHB", "cHWB"))
        turn = np.array([[c, s], [-s, c]])
        matrix = -2.0 * (0.24622 / scale) ** 2 * turn @ np.array([[w, wb / 2.0], [wb / 2.0, b]]) @ turn.T
        assert found[f"{order}_ZZ"] == pytest.approx(matrix[0, 0], rel=1e-12)
        assert found[f"{order}_gg"] == pytest.approx(matrix[1, 1], rel=1e-12)
        assert found[f"{order}_Zg"] == pytest.approx(-matrix[0, 1], rel=1e-12)
    with pytest.raises(PhysicsDomainError, match="positive scale"):
        mass_eigenstate_couplings(lambda_tev=0.0)


def test_a_process_takes_the_rotated_couplings_as_sums() -> None:
    """The coefficients of the learned densities at a point of the Warsaw basis are those at the rotated couplings."""
    rotation = {n: t for n, t in mass_eigenstate_couplings(lambda_tev=0.3).items() if n in ("g2_ZZ", "g4_ZZ")}
    benchmarks = {"SM": [1, 0, 0], "a": [1, 1, 0], "b": [0, 1, 0], "c": [1, 0, 1], "d": [0, 0, 1], "e": [0, 1, 1]}
    amplitudes = {"SM": "1", "even": "g2_ZZ", "odd": "g4_ZZ"}
    warsaw = tuple(ModelParameter(n, range=(-2.0, 2.0), truth=0.0, start=0.0) for n in WARSAW)
    model = Model(warsaw, (Process.build("ZH", amplitudes, benchmarks),), derived=tuple(rotation.items()))
    direct = tuple(ModelParameter(n, range=(-2.0, 2.0), truth=0.0, start=0.0) for n in rotation)
    simple = Model(direct, (Process.build("ZH", amplitudes, benchmarks),))
    at = {n: Expression.parse(t).value(WARSAW) for n, t in rotation.items()}
    ours = model.coefficients().values(np.array([[WARSAW[n] for n in model.parameter_names]]))
    theirs = simple.coefficients().values(np.array([[at[n] for n in simple.parameter_names]]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    a = np.array([1.0, at["g2_ZZ"], at["g4_ZZ"]])
    amplitude = np.array([0.9, -0.4, 0.3])  # one event with real amplitudes: every density is a square
    densities = [(np.array(benchmarks[name]) @ amplitude) ** 2 for name in simple.densities]
    assert (theirs @ densities)[0] == pytest.approx((a @ amplitude) ** 2, rel=1e-12)


def test_scales_of_new_physics() -> None:
    assert scale_limits(-0.01, 0.04, lambda_tev=1.0) == pytest.approx({1: 5.0, -1: 10.0})
    assert scale_limits(0.2, 0.04, lambda_tev=2.0) == pytest.approx({1: 10.0})
