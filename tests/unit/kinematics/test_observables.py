"""Observables against loops in elementary formulas and against vector; jets; the registry."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest
import vector

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics import (
    OBSERVABLES,
    LeadingJets,
    cartesian_from_ptetaphim,
    compute_observables,
    decay_angles,
    leading_jets,
    observable,
    registry,
    vbf_angles,
)
from toolkit.kinematics.fourvectors import CHUNK, transverse_momentum

ATLAS = ("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l")
ATLAS_JETS = ("n_jets", "m_jj", "delta_eta_jj", "delta_phi_jj")


def random_leptons(n, seed):
    rng = np.random.default_rng(seed)
    return [cartesian_from_ptetaphim(rng.exponential(40.0, n), rng.normal(size=n), rng.uniform(-np.pi, np.pi, n), 0.1057) for _ in range(4)]


def random_jets(n, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, n)
    total = int(counts.sum())
    fields = {
        "pt": 30.0 + rng.exponential(40.0, total),
        "eta": rng.normal(scale=2.0, size=total),
        "phi": rng.uniform(-np.pi, np.pi, total),
        "mass": rng.uniform(0.0, 15.0, total),
    }
    return ak.unflatten(ak.zip(fields), counts)


def jets_twin(event):
    """The jet observables of one event, from pt, eta, phi, mass."""
    hard = sorted(event, key=lambda jet: -jet["pt"])[:2]
    values = {"n_jets": float(len(event)), "pt_j1": hard[0]["pt"] if hard else math.nan}
    if len(hard) < 2:
        return values | dict.fromkeys(("m_jj", "delta_eta_jj", "delta_phi_jj", "pt_j2"), math.nan)
    px, py, pz, energy = (
        sum(component(jet) for jet in hard)
        for component in (
            lambda jet: jet["pt"] * math.cos(jet["phi"]),
            lambda jet: jet["pt"] * math.sin(jet["phi"]),
            lambda jet: jet["pt"] * math.sinh(jet["eta"]),
            lambda jet: math.sqrt((jet["pt"] * math.cosh(jet["eta"])) ** 2 + jet["mass"] ** 2),
        )
    )
    delta_phi = hard[0]["phi"] - hard[1]["phi"]
    while delta_phi > math.pi:
        delta_phi -= 2 * math.pi
    while delta_phi <= -math.pi:
        delta_phi += 2 * math.pi
    return values | {
        "m_jj": math.sqrt(energy**2 - px**2 - py**2 - pz**2),
        "delta_eta_jj": abs(hard[0]["eta"] - hard[1]["eta"]),
        "delta_phi_jj": delta_phi,
        "pt_j2": hard[1]["pt"],
    }


EXTRA_JETS = ("eta_j1", "eta_j2", "pt4ljj", "m4lj", "delta_r_4l_j")
VBF = ("vbf_cos_theta_star", "vbf_cos_theta_1", "vbf_cos_theta_2", "vbf_phi", "vbf_phi_1", "q2_v1", "q2_v2")


def test_the_list_of_the_analysis_is_complete():
    assert {entry.name for entry in OBSERVABLES.values() if entry.group == "vbf"} == set(VBF)
    assert {entry.name for entry in OBSERVABLES.values() if entry.group == "jets"} == set(EXTRA_JETS)
    assert set(ATLAS + ATLAS_JETS + ("zeppenfeld_zz",)) <= set(OBSERVABLES)
    for name, entry in OBSERVABLES.items():
        assert entry.name == name
        assert entry.range[0] < entry.range[1]
        assert entry.unit in ("", "GeV", "GeV^2", "rad")
        assert entry.label.startswith("$")
        assert entry.function.__doc__
        if entry.group in ("standard", "leptons"):
            assert entry.needs == ("jets" if "j" in name or name == "zeppenfeld_zz" else "leptons")
        else:
            others = {"jets": "jets", "vbf": "jets", "matrix_element": "leptons", "angular": "leptons", "columns": "column"}
            assert entry.needs == others[entry.group]


def test_masses_momenta_and_rapidity_equal_vector():
    leptons = random_leptons(1000, seed=51)
    values = compute_observables(*leptons)
    a1, b1, a2, b2 = (vector.array({"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]}) for p in leptons)
    x = a1 + b1 + a2 + b2
    expected = {"m4l": x.mass, "m_z1": (a1 + b1).mass, "m_z2": (a2 + b2).mass, "pt4l": x.pt, "y4l": x.rapidity}
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("recoil", ["none", "transverse"])
def test_angles_are_those_of_decay_angles(recoil):
    leptons = random_leptons(1000, seed=52)
    values, angles = compute_observables(*leptons, recoil=recoil), decay_angles(*leptons, recoil=recoil)
    for name in ("cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1"):
        np.testing.assert_array_equal(values[name], getattr(angles, name))


def test_lepton_momenta_are_sorted():
    leptons = random_leptons(1000, seed=53)
    values = compute_observables(*leptons, names=["pt_l1", "pt_l2", "pt_l3", "pt_l4"])
    expected = -np.sort([-np.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2) for p in leptons], axis=0)
    np.testing.assert_array_equal(np.stack(list(values.values())), expected)


def test_jet_observables_equal_the_loop():
    leptons, jets = random_leptons(600, seed=54), random_jets(600, seed=55)
    values = compute_observables(*leptons, jets=jets)
    twins = [jets_twin(event) for event in jets.tolist()]
    for name in twins[0]:
        np.testing.assert_allclose(values[name], [twin[name] for twin in twins], rtol=1e-10, atol=1e-10, err_msg=name)
    two = ak.to_numpy(ak.num(jets) >= 2)
    assert np.all(np.isnan(values["m_jj"]) == ~two)
    assert 100 < two.sum() < 500


def test_zeppenfeld_variable():
    leptons, jets = random_leptons(400, seed=56), random_jets(400, seed=57)
    values = compute_observables(*leptons, jets=jets, names=["zeppenfeld_zz"])["zeppenfeld_zz"]
    for i, event in enumerate(jets.tolist()):
        x = sum(p[i] for p in leptons)
        eta = math.atanh(x[2] / math.sqrt(x[:3] @ x[:3]))
        hard = sorted(event, key=lambda jet: -jet["pt"])[:2]
        expected = abs(eta - (hard[0]["eta"] + hard[1]["eta"]) / 2) if len(hard) == 2 else math.nan
        assert values[i] == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_vbf_observables_are_those_of_vbf_angles():
    leptons, jets = random_leptons(600, seed=70), random_jets(600, seed=71)
    values, leading = compute_observables(*leptons, jets=jets, names=VBF), leading_jets(jets)
    angles = vbf_angles(*leptons, leading.j1, leading.j2)
    two = leading.n_jets >= 2
    for name in VBF:
        np.testing.assert_array_equal(values[name], getattr(angles, name.removeprefix("vbf_")))
        np.testing.assert_array_equal(np.isfinite(values[name]), two)
    assert 100 < two.sum() < 500


def test_leptons_of_each_z_and_systems_with_jets_equal_vector():
    leptons, jets = random_leptons(400, seed=72), random_jets(400, seed=73)
    values, leading = compute_observables(*leptons, jets=jets), leading_jets(jets)
    a1, b1, a2, b2, j1, j2 = (
        vector.array({"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]}) for p in (*leptons, leading.j1, leading.j2)
    )
    x = a1 + b1 + a2 + b2
    for lepton, name in ((a1, "z1_lep1"), (b1, "z1_lep2"), (a2, "z2_lep1"), (b2, "z2_lep2")):
        np.testing.assert_allclose(values[f"pt_{name}"], lepton.pt, rtol=1e-12)
        np.testing.assert_allclose(values[f"eta_{name}"], lepton.eta, rtol=1e-9, atol=1e-9)
    delta_r = np.hypot(x.eta - j1.eta, x.deltaphi(j1))
    expected = {"eta_j1": j1.eta, "eta_j2": j2.eta, "pt4ljj": (x + j1 + j2).pt, "m4lj": (x + j1).mass, "delta_r_4l_j": delta_r}
    missing = {1: leading.n_jets < 1, 2: leading.n_jets < 2}
    for name, needed in (("eta_j1", 1), ("eta_j2", 2), ("pt4ljj", 2), ("m4lj", 1), ("delta_r_4l_j", 1)):
        np.testing.assert_array_equal(np.isnan(values[name]), missing[needed], err_msg=name)
        there = ~missing[needed]
        np.testing.assert_allclose(values[name][there], expected[name][there], rtol=1e-9, atol=1e-9, err_msg=name)


def test_columns_of_the_ntuple_pass_through():
    leptons, met = random_leptons(5, seed=74), np.array([1.0, np.nan, 3.0, 4.0, 5.0])
    values = compute_observables(*leptons, columns={"met": met, "mine": met + 1})
    np.testing.assert_array_equal(values["met"], met)
    np.testing.assert_array_equal(values["mine"], met + 1)
    own = np.arange(5.0)
    np.testing.assert_array_equal(compute_observables(*leptons, columns={"d_me": own}, names=["d_me"])["d_me"], own)
    values["met"][0] = 9.0
    assert met[0] == 1.0
    with pytest.raises(SchemaError, match="pass columns="):
        compute_observables(*leptons, names=["met"])
    with pytest.raises(ShapeError, match="column met"):
        compute_observables(*leptons, columns={"met": met[:2]})


def test_jets_at_the_edge_of_phi_are_close():
    jets = ak.zip({"pt": [[50.0, 40.0]], "eta": [[0.0, 1.0]], "phi": [[3.1, -3.1]], "mass": [[0.0, 0.0]]})
    value = compute_observables(*random_leptons(1, seed=58), jets=jets, names=["delta_phi_jj"])["delta_phi_jj"]
    assert value[0] == pytest.approx(6.2 - 2 * math.pi)


def test_back_to_back_jets_are_at_plus_pi():
    jets = LeadingJets(np.array([2.0]), np.array([[-50.0, 0.0, 0.0, 50.0]]), np.array([[50.0, 0.0, 0.0, 50.0]]))
    for pair in (jets, LeadingJets(jets.n_jets, jets.j2, jets.j1)):
        assert compute_observables(*random_leptons(1, seed=58), jets=pair)["delta_phi_jj"][0] == np.pi


def test_leading_jets_of_jagged_input():
    jets = random_jets(300, seed=59)
    leading = leading_jets(jets)
    np.testing.assert_array_equal(leading.n_jets, ak.to_numpy(ak.num(jets)))
    order = ak.argsort(jets["pt"], axis=1, ascending=False)
    for k, jet in enumerate((leading.j1, leading.j2)):
        expected = ak.to_numpy(ak.fill_none(ak.pad_none(jets["pt"][order], 2)[:, k], np.nan))
        np.testing.assert_allclose(transverse_momentum(jet.T), expected, rtol=1e-12)


def test_events_without_any_jet():
    jets = random_jets(20, seed=60)
    jets = jets[ak.num(jets) == 0]
    values = compute_observables(*random_leptons(len(jets), seed=61), jets=jets)
    assert np.all(values["n_jets"] == 0)
    assert np.all(np.isnan(values["pt_j1"]))


def test_missing_leptons_give_nan_and_no_warning():
    leptons = random_leptons(3, seed=62)
    leptons[0][1] = np.nan
    values = compute_observables(*leptons)
    for name in ATLAS:
        np.testing.assert_array_equal(np.isnan(values[name]), [False, name != "m_z2", False], err_msg=name)


def test_results_do_not_depend_on_chunks():
    n = CHUNK + 3
    leptons, jets = random_leptons(n, seed=63), random_jets(n, seed=64)
    whole = compute_observables(*leptons, jets=jets)
    tail = compute_observables(*(p[CHUNK - 2 :] for p in leptons), jets=jets[CHUNK - 2 :])
    for name, values in whole.items():
        np.testing.assert_array_equal(values[CHUNK - 2 :], tail[name], err_msg=name)


def test_names_choose_and_order_the_result():
    values = compute_observables(*random_leptons(4, seed=65), names=("y4l", "m4l", "y4l"))
    assert list(values) == ["y4l", "m4l"]


def test_without_jets_the_default_is_what_needs_none():
    assert set(compute_observables(*random_leptons(4, seed=66))) == {n for n, o in OBSERVABLES.items() if o.needs == "leptons"}


def test_wrong_requests_are_refused():
    leptons, jets = random_leptons(4, seed=67), random_jets(4, seed=68)
    with pytest.raises(SchemaError, match="did you mean 'm_z1'"):
        compute_observables(*leptons, names=["mz1"])
    with pytest.raises(SchemaError, match="pass jets="):
        compute_observables(*leptons, names=["m_jj"])
    with pytest.raises(ShapeError, match="as many as leptons"):
        compute_observables(*leptons, jets=jets[:2])
    with pytest.raises(ShapeError, match="jagged"):
        compute_observables(*leptons, jets=ak.flatten(jets))
    with pytest.raises(ShapeError, match="j2"):
        LeadingJets(np.zeros(2), np.zeros((2, 4)), np.zeros((1, 4)))


@pytest.fixture
def pt_z1():
    @observable("pt_z1_of_test", unit="GeV", label="$p$", range=(0.0, 500.0))
    def _pt_z1(event):
        return transverse_momentum(event.z1)

    yield OBSERVABLES["pt_z1_of_test"]
    del registry._REGISTERED["pt_z1_of_test"]


def test_a_registered_observable_is_computed(pt_z1):
    leptons = random_leptons(5, seed=69)
    z1 = leptons[0] + leptons[1]
    np.testing.assert_allclose(compute_observables(*leptons)["pt_z1_of_test"], np.hypot(z1[:, 0], z1[:, 1]))
    assert pt_z1.axis_label == "$p$ [GeV]"


def test_a_name_is_registered_once():
    with pytest.raises(SchemaError, match="m4l"):
        observable("m4l", unit="GeV", label="$m$", range=(0.0, 1.0))(lambda event: event.masses[0])
    assert OBSERVABLES["cos_theta_1"].axis_label == OBSERVABLES["cos_theta_1"].label
    with pytest.raises(TypeError):
        OBSERVABLES["m4l"] = None
