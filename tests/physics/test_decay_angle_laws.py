"""Laws that decay and production angles obey: frames, reflections, exchanges. 10^4 seeded events each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toolkit.kinematics import decay_angles, vbf_angles
from toolkit.kinematics.fourvectors import boost_transverse

N = 12_000
DECAY = ("cos_theta_1", "cos_theta_2", "phi")
ALL = ("cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1")
VBF = ("cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "q2_v1", "q2_v2")


def massive(momenta, mass):
    return np.concatenate([momenta, np.sqrt(np.sum(momenta**2, axis=-1, keepdims=True) + mass**2)], axis=-1)


@pytest.fixture(scope="module")
def leptons():
    """X -> Z1 Z2 with recoil in all directions; shape (4, N, 4)."""
    rng = np.random.default_rng(71)
    momenta = rng.normal(scale=45.0, size=(4, N, 3)) + rng.normal(scale=30.0, size=(1, N, 3))
    return massive(momenta, rng.choice([0.000511, 0.1057], size=(4, N, 1)))


@pytest.fixture(scope="module")
def balanced(leptons):
    """The same without transverse momentum of X."""
    x = leptons.sum(axis=0).T
    return np.stack([boost_transverse(p.T, x).T for p in leptons])


@pytest.fixture(scope="module")
def jets():
    rng = np.random.default_rng(72)
    momenta = rng.normal(scale=[60.0, 60.0, 300.0], size=(2, N, 3))
    momenta[..., 2] += np.array([[500.0], [-500.0]])  # apart, so that boosts along z do not change which pz is larger
    return massive(momenta, rng.uniform(0.0, 15.0, size=(2, N, 1)))


def rotated(momenta, rotation):
    """Rotate each event by its own rotation."""
    return np.stack([np.concatenate([rotation.apply(p[:, :3]), p[:, 3:]], axis=1) for p in momenta])


def boosted(momenta, beta):
    """Boost each event by its own velocity (N, 3)."""
    beta2 = np.sum(beta**2, axis=1, keepdims=True)
    gamma = 1.0 / np.sqrt(1.0 - beta2)
    along = np.sum(beta * momenta[..., :3], axis=-1, keepdims=True)
    shift = (gamma**2 / (1.0 + gamma) * along + gamma * momenta[..., 3:]) * beta
    return np.concatenate([momenta[..., :3] + shift, gamma * (momenta[..., 3:] + along)], axis=-1)


def about_z(rng):
    return Rotation.from_rotvec(rng.uniform(-np.pi, np.pi, (N, 1)) * np.array([[0.0, 0.0, 1.0]]))


def along_z(rng):
    beta = np.zeros((N, 3))
    beta[:, 2] = rng.uniform(-0.9, 0.9, N)
    return beta


def assert_equal(one, other, names, *, atol=1e-7, signs=None):
    """Compare angles; those in radians on the circle."""
    for name in names:
        left, right = getattr(one, name), getattr(other, name) * (signs or {}).get(name, 1.0)
        difference = np.angle(np.exp(1j * (left - right))) if name.startswith("phi") else left - right
        scale = np.maximum(np.abs(left), 1.0) if name.startswith("q2") else 1.0
        assert np.all(np.isfinite(difference)), name
        assert np.max(np.abs(difference) / scale) < atol, name


def shifted_by_pi(angles):
    return np.angle(np.exp(1j * (angles + np.pi)))


def test_angles_fill_their_ranges(leptons):
    angles = decay_angles(*leptons)
    assert angles.n_undefined == 0
    for name in ALL:
        values, edge = getattr(angles, name), np.pi if name.startswith("phi") else 1.0
        assert np.all(np.abs(values) <= edge)
        assert np.quantile(values, 0.02) < -0.85 * edge
        assert np.quantile(values, 0.98) > 0.85 * edge


def test_decay_angles_do_not_depend_on_the_frame(leptons):
    rng = np.random.default_rng(73)
    direction = rng.normal(size=(N, 3))
    beta = direction / np.linalg.norm(direction, axis=1, keepdims=True) * rng.uniform(0.0, 0.9, (N, 1))
    moved = boosted(rotated(leptons, Rotation.random(N, random_state=74)), beta)
    assert_equal(decay_angles(*leptons), decay_angles(*moved), DECAY)


def test_production_angles_do_not_depend_on_boosts_and_rotations_along_z(balanced):
    rng = np.random.default_rng(75)
    turned = rotated(balanced, about_z(rng))
    assert_equal(decay_angles(*balanced), decay_angles(*boosted(turned, along_z(rng))), ALL)


def test_with_recoil_only_rotations_about_z_are_free(leptons):
    rng = np.random.default_rng(76)
    plain = decay_angles(*leptons)
    assert_equal(plain, decay_angles(*rotated(leptons, about_z(rng))), ALL)
    moved = decay_angles(*boosted(leptons, along_z(rng)))
    assert np.max(np.abs(moved.cos_theta_star - plain.cos_theta_star)) > 0.1


def test_a_turn_of_the_beam_reverses_cos_theta_star(leptons):
    plain, turned = decay_angles(*leptons), decay_angles(*rotated(leptons, Rotation.from_euler("x", np.pi)))
    assert_equal(plain, turned, (*DECAY, "cos_theta_star"), signs={"cos_theta_star": -1.0})
    np.testing.assert_allclose(np.exp(1j * turned.phi_1), np.exp(1j * shifted_by_pi(plain.phi_1)), atol=1e-7)


def test_parity_reverses_the_plane_angles_only(leptons):
    # Every three-momentum changes sign, those of the beams too. The function holds the beam at +z, so the event is
    # turned back by pi about x: together a reflection at the yz plane.
    mirrored = leptons * np.array([-1.0, 1.0, 1.0, 1.0])
    assert_equal(decay_angles(*leptons), decay_angles(*mirrored), ALL, signs={"phi": -1.0, "phi_1": -1.0})


def test_parity_of_the_leptons_alone_also_turns_the_beam(leptons):
    plain, inverted = decay_angles(*leptons), decay_angles(*(leptons * np.array([-1.0, -1.0, -1.0, 1.0])))
    assert_equal(plain, inverted, (*DECAY, "cos_theta_star"), signs={"phi": -1.0, "cos_theta_star": -1.0})
    np.testing.assert_allclose(np.exp(1j * inverted.phi_1), np.exp(1j * shifted_by_pi(-plain.phi_1)), atol=1e-7)


def test_exchange_of_particles_and_antiparticles_reverses_both_decay_cosines(leptons):
    a1, b1, a2, b2 = leptons
    plain, exchanged = decay_angles(a1, b1, a2, b2), decay_angles(b1, a1, b2, a2)
    assert_equal(plain, exchanged, ("cos_theta_star", *DECAY), signs={"cos_theta_1": -1.0, "cos_theta_2": -1.0})
    np.testing.assert_allclose(np.exp(1j * exchanged.phi_1), np.exp(1j * shifted_by_pi(plain.phi_1)), atol=1e-7)


def test_exchange_of_the_z_bosons(leptons):
    a1, b1, a2, b2 = leptons
    plain, exchanged = decay_angles(a1, b1, a2, b2), decay_angles(a2, b2, a1, b1)
    assert_equal(plain, exchanged, ("cos_theta_star", "phi"), signs={"cos_theta_star": -1.0})
    np.testing.assert_allclose(exchanged.cos_theta_1, plain.cos_theta_2, atol=1e-9)
    np.testing.assert_allclose(exchanged.cos_theta_2, plain.cos_theta_1, atol=1e-9)


def test_transverse_recoil_changes_the_production_angles_only(leptons, balanced):
    plain, transverse = decay_angles(*leptons), decay_angles(*leptons, recoil="transverse")
    assert_equal(plain, transverse, DECAY)
    assert np.std(plain.cos_theta_star - transverse.cos_theta_star) > 0.01
    assert_equal(decay_angles(*balanced), transverse, ALL)
    assert_equal(decay_angles(*balanced), decay_angles(*balanced, recoil="transverse"), ALL)


def test_vbf_order_of_the_jets_does_not_matter(leptons, jets):
    j1, j2 = jets
    assert_equal(vbf_angles(*leptons, j1, j2), vbf_angles(*leptons, j2, j1), VBF, atol=1e-9)


def test_vbf_virtualities_are_spacelike_and_planes_fill_their_range(leptons, jets):
    angles = vbf_angles(*leptons, *jets)
    assert np.all(angles.q2_v1 > 0)
    assert np.all(angles.q2_v2 > 0)
    for phi in (angles.phi, angles.phi_1):
        assert np.all(np.abs(phi) <= np.pi)
        assert np.quantile(phi, 0.02) < -2.5
        assert np.quantile(phi, 0.98) > 2.5


def test_vbf_rotation_about_the_beam_and_reflection(leptons, jets):
    everything = np.concatenate([leptons, jets])
    plain = vbf_angles(*everything)
    turned = rotated(everything, about_z(np.random.default_rng(77)))
    assert_equal(plain, vbf_angles(*turned), VBF)
    mirrored = everything * np.array([-1.0, 1.0, 1.0, 1.0])
    assert_equal(plain, vbf_angles(*mirrored), VBF, signs={"phi": -1.0, "phi_1": -1.0})


def test_vbf_boosts_along_the_beam_are_free_without_total_transverse_momentum(leptons, jets):
    everything = np.concatenate([leptons, jets])
    total = everything.sum(axis=0).T
    flat = np.stack([boost_transverse(p.T, total).T for p in everything])
    moved = boosted(flat, along_z(np.random.default_rng(78)))
    ordered = [momenta[4, :, 2] > momenta[5, :, 2] for momenta in (flat, moved)]
    same = ordered[0] == ordered[1]
    assert np.mean(same) > 0.95
    assert_equal(vbf_angles(*flat[:, same]), vbf_angles(*moved[:, same]), VBF)


def test_vbf_exchange_of_the_z_bosons_turns_its_axis(leptons, jets):
    a1, b1, a2, b2 = leptons
    plain, exchanged = vbf_angles(a1, b1, a2, b2, *jets), vbf_angles(a2, b2, a1, b1, *jets)
    assert_equal(plain, exchanged, ("cos_theta_star", "cos_theta_1", "cos_theta_2", "phi"), signs={"cos_theta_star": -1.0})
    np.testing.assert_allclose(np.exp(1j * exchanged.phi_1), np.exp(1j * shifted_by_pi(plain.phi_1)), atol=1e-7)
