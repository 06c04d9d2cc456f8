"""Conversions of every input form to (n, 4) Cartesian float64, and boosts."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest
import vector

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics import as_cartesian, cartesian_from_ptetaphim
from toolkit.kinematics.fourvectors import boost_to_rest, boost_transverse, mass_of, pseudorapidity, wrap_angle


@pytest.fixture
def columns():
    rng = np.random.default_rng(31)
    n = 500
    return {
        "pt": rng.exponential(40.0, n),
        "eta": rng.normal(scale=1.5, size=n),
        "phi": rng.uniform(-np.pi, np.pi, n),
        "mass": rng.choice([0.0, 0.1057, 5.0], n),
    }


def test_cartesian_equals_the_loop(columns):
    fast = cartesian_from_ptetaphim(**columns)
    for i, (pt, eta, phi, mass) in enumerate(zip(*columns.values(), strict=True)):
        px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)
        assert fast[i] == pytest.approx([px, py, pz, math.sqrt(px * px + py * py + pz * pz + mass * mass)], rel=1e-13, abs=1e-13)


def test_masses_survive_the_conversion(columns):
    np.testing.assert_allclose(mass_of(cartesian_from_ptetaphim(**columns).T), columns["mass"], atol=2e-5)


def test_numbers_are_broadcast():
    np.testing.assert_allclose(cartesian_from_ptetaphim([3.0, 4.0], 0.0, 0.0, 0.0), [[3, 0, 0, 3], [4, 0, 0, 4]])


def test_negative_mass_is_a_negative_square():
    assert cartesian_from_ptetaphim([5.0], [0.0], [0.0], [-3.0])[0, 3] == pytest.approx(4.0)


def test_every_form_of_momenta(columns):
    expected = cartesian_from_ptetaphim(**columns)
    px, py, pz, energy = expected.T
    renamed = {"rho": columns["pt"], "phi": columns["phi"], "eta": columns["eta"], "tau": columns["mass"]}
    forms = {
        "array": expected,
        "list": expected.tolist(),
        "vector, Cartesian": vector.array({"px": px, "py": py, "pz": pz, "E": energy}),
        "vector, collider": vector.array(columns),
        "awkward, Cartesian": ak.zip({"px": px, "py": py, "pz": pz, "energy": energy}),
        "awkward, collider, no behaviour": ak.zip(columns),
        "awkward, collider, more fields": ak.zip(columns | {"charge": np.ones(500, dtype=int)}),
        "awkward, Momentum4D": vector.zip(columns),
        "awkward, generic names": ak.zip(renamed),
    }
    for name, form in forms.items():
        converted = as_cartesian(form)
        assert converted.dtype == np.float64, name
        np.testing.assert_allclose(converted, expected, rtol=1e-12, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("form", ["vector", "awkward", "awkward_cartesian"])
def test_single_precision_is_widened_before_arithmetic(columns, form):
    narrow = {name: values.astype(np.float32) for name, values in columns.items()}
    exact = cartesian_from_ptetaphim(**{name: values.astype(np.float64) for name, values in narrow.items()})
    if form == "awkward_cartesian":
        narrow = {"px": exact[:, 0].astype(np.float32), "py": exact[:, 1].astype(np.float32), "pz": exact[:, 2].astype(np.float32)}
        narrow["mass"] = columns["mass"].astype(np.float32)
        p = np.stack([narrow[name].astype(np.float64) for name in ("px", "py", "pz")], axis=-1)
        energy = np.sqrt(np.sum(p**2, axis=-1) + narrow["mass"].astype(np.float64) ** 2)
        exact = np.concatenate([p, energy[:, None]], axis=-1)
    converted = as_cartesian(vector.array(narrow) if form == "vector" else ak.zip(narrow))
    np.testing.assert_allclose(converted, exact, rtol=1e-12, atol=1e-12)


def test_missing_records_become_nan(columns):
    momenta = ak.mask(ak.zip(columns), np.arange(500) != 7)
    converted = as_cartesian(momenta)
    assert np.all(np.isnan(converted[7]))
    assert np.sum(np.isnan(converted)) == 4


def test_wrong_forms_are_refused(columns):
    with pytest.raises(ShapeError, match="pick one object per event"):
        as_cartesian(ak.unflatten(ak.zip(columns), 2))
    with pytest.raises(SchemaError, match="px, py, pz, E or pt, eta, phi, mass"):
        as_cartesian(ak.zip({"pt": columns["pt"], "eta": columns["eta"]}))
    with pytest.raises(SchemaError, match="px, py, pz, E or pt, eta, phi, mass"):
        as_cartesian(vector.array({"px": columns["pt"], "py": columns["eta"], "pz": columns["eta"]}))
    with pytest.raises(ShapeError):
        as_cartesian(np.zeros((3, 5)))
    with pytest.raises(ShapeError):
        as_cartesian("momenta")
    with pytest.raises(ShapeError):
        cartesian_from_ptetaphim([[1.0]], 0.0, 0.0, 0.0)


def test_boost_to_rest_equals_vector(columns):
    p = cartesian_from_ptetaphim(**columns)
    frame = p[::-1] + p + [0, 0, 0, 10.0]
    boosted = boost_to_rest(p.T, frame.T, mass_of(frame.T))
    v, f = (vector.array({"px": q[:, 0], "py": q[:, 1], "pz": q[:, 2], "E": q[:, 3]}) for q in (p, frame))
    expected = v.boostCM_of_p4(f)
    for i, component in enumerate(("px", "py", "pz", "E")):
        np.testing.assert_allclose(boosted[i], getattr(expected, component), rtol=1e-9, atol=1e-9)


def test_transverse_boost_removes_the_transverse_momentum_and_returns(columns):
    p = cartesian_from_ptetaphim(**columns).T + np.array([[0.0], [0.0], [0.0], [1.0]])
    flat = boost_transverse(p, p)
    np.testing.assert_allclose(flat[:2], 0.0, atol=1e-9)
    np.testing.assert_allclose(flat[2], p[2])
    np.testing.assert_allclose(boost_transverse(flat, p, sign=1.0), p, rtol=1e-9, atol=1e-9)


def test_pseudorapidity_is_undefined_along_the_beam():
    p = np.array([[3.0, 0.0], [4.0, 0.0], [5.0 * math.sinh(1.2), 5.0], [50.0, 5.0]])
    eta = pseudorapidity(p)
    assert eta[0] == pytest.approx(1.2)
    assert np.isnan(eta[1])


def test_wrapped_angles_are_equivalent_and_in_range():
    angle = np.random.default_rng(32).uniform(-20, 20, 2000)
    wrapped = wrap_angle(angle)
    assert np.all((wrapped > -np.pi) & (wrapped <= np.pi))
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angle), atol=1e-13)
