"""Decay angles against a slow twin that follows the definition word by word, and against vector."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest
import vector

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics import decay_angles
from toolkit.kinematics.fourvectors import CHUNK

NAMES = ("cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1")


def random_leptons(n, seed, *, boost_z=100.0):
    """Four leptons per event with realistic masses, thrown along z."""
    rng = np.random.default_rng(seed)
    momenta = rng.normal(scale=45.0, size=(4, n, 3))
    momenta[:, :, 2] += rng.normal(scale=boost_z, size=n)
    mass = rng.choice([0.0, 0.000511, 0.1057], size=(4, n, 1))
    return list(np.concatenate([momenta, np.sqrt(np.sum(momenta**2, axis=-1, keepdims=True) + mass**2)], axis=-1))


# ---- the slow twin: one event, one formula per line, no shortcut


def boost_matrix(beta):
    """The 4x4 matrix (px, py, pz, E) of a rotation-free boost by the velocity beta."""
    beta = np.asarray(beta)
    beta2 = float(beta @ beta)
    gamma = 1.0 / math.sqrt(1.0 - beta2)
    matrix = np.eye(4)
    if beta2 > 0:
        matrix[:3, :3] += (gamma - 1.0) * np.outer(beta, beta) / beta2
    matrix[:3, 3] = matrix[3, :3] = gamma * beta
    matrix[3, 3] = gamma
    return matrix


def to_rest_of(frame, *momenta):
    matrix = boost_matrix(-frame[:3] / frame[3])
    return [(matrix @ p)[:3] for p in momenta]


def unit(v):
    return v / math.sqrt(v @ v)


def sign(x):
    return math.copysign(1.0, x) if x != 0 else 0.0


def clipped_arccos(x):
    return math.acos(min(1.0, max(-1.0, x)))


def decay_angles_twin(a1, b1, a2, b2, recoil):
    if recoil == "transverse":
        x = a1 + b1 + a2 + b2
        matrix = boost_matrix([-x[0] / x[3], -x[1] / x[3], 0.0])
        a1, b1, a2, b2 = (matrix @ p for p in (a1, b1, a2, b2))
    z1, z2 = a1 + b1, a2 + b2
    beam = np.array([0.0, 0.0, 1.0])
    pa1, pb1, pa2, pb2, pz1 = to_rest_of(z1 + z2, a1, b1, a2, b2, z1)
    n1, n2, nsc, flight = unit(np.cross(pa1, pb1)), unit(np.cross(pa2, pb2)), unit(np.cross(beam, pz1)), unit(pz1)
    z2_in_1, a1_in_1 = to_rest_of(z1, z2, a1)
    z1_in_2, a2_in_2 = to_rest_of(z2, z1, a2)
    return (
        beam @ flight,
        -unit(z2_in_1) @ unit(a1_in_1),
        -unit(z1_in_2) @ unit(a2_in_2),
        sign(flight @ np.cross(n1, n2)) * clipped_arccos(-n1 @ n2),
        sign(flight @ np.cross(n1, nsc)) * clipped_arccos(n1 @ nsc),
    )


@pytest.mark.parametrize("recoil", ["none", "transverse"])
def test_equals_the_slow_twin(recoil):
    leptons = random_leptons(1500, seed=11)
    fast = decay_angles(*leptons, recoil=recoil)
    slow = np.array([decay_angles_twin(*event, recoil) for event in zip(*leptons, strict=True)])
    for k, name in enumerate(NAMES):
        np.testing.assert_allclose(getattr(fast, name), slow[:, k], rtol=0, atol=1e-10, err_msg=name)


def test_equals_vector():
    leptons = random_leptons(10_000, seed=12)
    a1, b1, a2, b2 = (vector.array({"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]}) for p in leptons)
    z1, z2 = a1 + b1, a2 + b2
    x = z1 + z2
    pa1, pb1, pa2, pb2, pz1 = (p.boostCM_of_p4(x).to_3D() for p in (a1, b1, a2, b2, z1))
    n1, n2 = pa1.cross(pb1).unit(), pa2.cross(pb2).unit()
    beam = vector.array({"px": np.zeros(10_000), "py": np.zeros(10_000), "pz": np.ones(10_000)})
    nsc, flight = beam.cross(pz1).unit(), pz1.unit()
    expected = {
        "cos_theta_star": flight.z,
        "cos_theta_1": -z2.boostCM_of_p4(z1).to_3D().unit().dot(a1.boostCM_of_p4(z1).to_3D().unit()),
        "cos_theta_2": -z1.boostCM_of_p4(z2).to_3D().unit().dot(a2.boostCM_of_p4(z2).to_3D().unit()),
        "phi": np.sign(flight.dot(n1.cross(n2))) * np.arccos(np.clip(-n1.dot(n2), -1, 1)),
        "phi_1": np.sign(flight.dot(n1.cross(nsc))) * np.arccos(np.clip(n1.dot(nsc), -1, 1)),
    }
    ours = decay_angles(*leptons)
    for name in NAMES:
        np.testing.assert_allclose(getattr(ours, name), expected[name], rtol=0, atol=1e-9, err_msg=name)


# ---- input forms


def test_vector_and_awkward_inputs_give_the_same_numbers():
    leptons = random_leptons(200, seed=13)
    plain = decay_angles(*leptons)
    fields = [{"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]} for p in leptons]
    for form in ([vector.array(f) for f in fields], [vector.zip(f) for f in fields], [ak.zip(f) for f in fields]):
        converted = decay_angles(*form)
        for name in NAMES:
            np.testing.assert_array_equal(getattr(converted, name), getattr(plain, name))


def test_results_do_not_depend_on_chunks():
    leptons = random_leptons(CHUNK + 5, seed=14)
    whole = decay_angles(*leptons)
    tail = decay_angles(*(p[CHUNK - 1 :] for p in leptons))
    for name in NAMES:
        np.testing.assert_array_equal(getattr(whole, name)[CHUNK - 1 :], getattr(tail, name))


def test_input_is_not_modified():
    leptons = random_leptons(10, seed=15)
    copies = [p.copy() for p in leptons]
    decay_angles(*leptons, recoil="transverse")
    for p, copy in zip(leptons, copies, strict=True):
        np.testing.assert_array_equal(p, copy)


def test_no_events():
    angles = decay_angles(*(np.empty((0, 4)) for _ in range(4)))
    assert angles.phi.shape == (0,)
    assert angles.n_undefined == 0


# ---- degenerate configurations: NaN, counted, no warning


def lepton(px, py, pz):
    return np.array([[px, py, pz, math.sqrt(px**2 + py**2 + pz**2)]])


def test_parallel_decay_has_no_plane_but_cosines():
    angles = decay_angles(lepton(40, 0, 0), lepton(-10, 0, 0), lepton(-15, 30, 0), lepton(-15, -30, 0))
    assert np.isnan(angles.phi[0])
    assert np.isnan(angles.phi_1[0])
    assert angles.cos_theta_1[0] == pytest.approx(1.0, abs=1e-12)
    assert angles.cos_theta_star[0] == pytest.approx(0.0, abs=1e-12)
    assert angles.n_undefined == 1


def test_flight_along_the_beam_has_no_scattering_plane():
    angles = decay_angles(lepton(30, 0, 20), lepton(-30, 0, 20), lepton(0, 30, -20), lepton(0, -30, -20))
    assert angles.cos_theta_star[0] == pytest.approx(1.0, abs=1e-15)
    assert angles.phi[0] == pytest.approx(math.pi / 2, abs=1e-12) or angles.phi[0] == pytest.approx(-math.pi / 2, abs=1e-12)
    assert np.isnan(angles.phi_1[0])


def test_z_at_rest_is_undefined():
    angles = decay_angles(lepton(45, 0, 0), lepton(-45, 0, 0), lepton(0, 45, 0), lepton(0, -45, 0))
    assert all(np.isnan(getattr(angles, name)[0]) for name in NAMES)


def test_massless_pair_has_no_decay_cosine():
    angles = decay_angles(lepton(40, 0, 0), lepton(20, 0, 0), lepton(-30, 30, 0), lepton(-30, -30, 0))
    assert np.isnan(angles.cos_theta_1[0])
    assert np.isfinite(angles.cos_theta_2[0])


def test_missing_momenta_touch_their_own_event_only():
    leptons = random_leptons(3, seed=16)
    whole = decay_angles(*leptons)
    leptons[2] = leptons[2].copy()
    leptons[2][1] = np.nan
    angles = decay_angles(*leptons)
    assert angles.n_undefined == 1
    assert np.isnan(angles.cos_theta_1[1])
    np.testing.assert_array_equal(angles.phi[[0, 2]], whole.phi[[0, 2]])


def test_coplanar_decays_have_sign_zero():
    # Both decay planes are the xy plane; a1 and a2 on the same side of the flight: -n1 . n2 = 1; opposite: -1, yet sign(0) = 0.
    same = decay_angles(lepton(20, 30, 0), lepton(20, -30, 0), lepton(-20, 30, 0), lepton(-20, -30, 0))
    opposite = decay_angles(lepton(20, 30, 0), lepton(20, -30, 0), lepton(-20, -30, 0), lepton(-20, 30, 0))
    assert same.phi[0] == 0.0
    assert opposite.phi[0] == 0.0


# ---- wrong input


def test_wrong_shapes_are_refused():
    a, b, c, d = random_leptons(5, seed=17)
    with pytest.raises(ShapeError, match=r"\(n, 4\)"):
        decay_angles(a[:, :3], b, c, d)
    with pytest.raises(ShapeError, match="equal lengths"):
        decay_angles(a[:4], b, c, d)
    with pytest.raises(ShapeError, match="newaxis"):
        decay_angles(a[0], b[0], c[0], d[0])


def test_unknown_recoil_is_refused():
    with pytest.raises(SchemaError, match="transverse"):
        decay_angles(*random_leptons(2, seed=18), recoil="full")
