"""Pairing, decay angles and production angles against the reference file; see README.md for its source."""

from __future__ import annotations

import csv
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from toolkit.kinematics import compute_observables, decay_angles, pair_leptons, take_quadruplet, vbf_angles

COLUMNS = {"cos_theta_star": "costhetastar", "cos_theta_1": "costheta1", "cos_theta_2": "costheta2", "phi": "Phi", "phi_1": "Phi1"}
TOLERANCE = {"cos_theta_star": 1e-6, "cos_theta_1": 1e-6, "cos_theta_2": 1e-6, "phi": 1e-4, "phi_1": 1e-4}
CARTESIAN = ("px", "py", "pz", "E")


class Reference:
    def __init__(self):
        with Path(__file__).with_name("angles.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}

    def __getitem__(self, name):
        return self.columns[name]

    def momenta(self, name):
        return np.stack([self[f"{name}_{c}"] for c in CARTESIAN], axis=-1)

    def leptons(self):
        momenta = np.stack([self.momenta(f"l{i}") for i in (1, 2, 3, 4)], axis=1)
        pdg_id = np.stack([self[f"l{i}_id"] for i in (1, 2, 3, 4)], axis=1).astype(int)
        fields = {c: momenta[..., k] for k, c in enumerate(CARTESIAN)} | {"pdg_id": pdg_id}
        return ak.from_regular(ak.zip({name: ak.Array(values) for name, values in fields.items()}))

    def paired(self):
        momenta = np.stack([self.momenta(f"l{i}") for i in (1, 2, 3, 4)], axis=1)
        rows = np.arange(len(momenta))
        return [momenta[rows, self[column].astype(int) - 1] for column in ("Z1_lep1", "Z1_lep2", "Z2_lep1", "Z2_lep2")]


@pytest.fixture(scope="module")
def reference():
    return Reference()


def test_the_file_is_complete(reference):
    assert len(reference["event"]) == 120
    assert np.sum(~np.isnan(reference["vbf_Phi"])) == 50


def test_pairing_is_that_of_the_reference(reference):
    quadruplets = pair_leptons(reference.leptons())
    for role, column in zip(("a1", "b1", "a2", "b2"), ("Z1_lep1", "Z1_lep2", "Z2_lep1", "Z2_lep2"), strict=True):
        np.testing.assert_array_equal(ak.to_numpy(quadruplets[role]) + 1, reference[column].astype(int))


@pytest.mark.parametrize(("recoil", "prefix"), [("none", "plain"), ("transverse", "transverse")])
def test_decay_angles(reference, recoil, prefix):
    angles = decay_angles(*reference.paired(), recoil=recoil)
    assert angles.n_undefined == 0
    for name, column in COLUMNS.items():
        np.testing.assert_allclose(getattr(angles, name), reference[f"{prefix}_{column}"], rtol=0, atol=TOLERANCE[name], err_msg=name)


def test_the_two_conventions_differ_in_the_file(reference):
    for name in ("costhetastar", "Phi1"):
        assert np.max(np.abs(reference[f"plain_{name}"] - reference[f"transverse_{name}"])) > 0.01


def test_production_angles(reference):
    angles = vbf_angles(*reference.paired(), reference.momenta("j1"), reference.momenta("j2"))
    with_jets = ~np.isnan(reference["vbf_Phi"])
    for name, column in COLUMNS.items():
        expected = reference[f"vbf_{column}"][with_jets]
        np.testing.assert_allclose(getattr(angles, name)[with_jets], expected, rtol=0, atol=TOLERANCE[name], err_msg=name)
    for name, column in (("q2_v1", "Q2V1"), ("q2_v2", "Q2V2")):
        np.testing.assert_allclose(getattr(angles, name)[with_jets], reference[f"vbf_{column}"][with_jets], rtol=1e-6, err_msg=name)
    assert np.all(np.isnan(angles.phi[~with_jets]))


def test_chain_from_jagged_leptons_to_observables(reference):
    leptons = reference.leptons()
    quadruplet = take_quadruplet(leptons, pair_leptons(leptons))
    observables = compute_observables(quadruplet.a1, quadruplet.b1, quadruplet.a2, quadruplet.b2)
    for name, column in (("m4l", "m4l"), ("m_z1", "mZ1"), ("m_z2", "mZ2")):
        np.testing.assert_allclose(observables[name], reference[column], rtol=1e-6, err_msg=name)
    for name, column in COLUMNS.items():
        np.testing.assert_allclose(observables[name], reference[f"plain_{column}"], rtol=0, atol=TOLERANCE[name], err_msg=name)
