"""Feature map: transforms, standardisation, the rotation that the two beams allow, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exports import Feature, write_onnx
from toolkit.config import RatioConfig
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.kinematics import OBSERVABLES, LeadingJets, compute_observables
from toolkit.likelihood import OnnxRatio
from toolkit.ratios import FeatureMap, feature_matrix
from toolkit.ratios.network import MixtureNetwork, builder
from toolkit.ratios.structure import EventClass, Mixture

NAMES = ("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l")


def momenta(n, seed):
    rng = np.random.default_rng(seed)
    p = rng.normal(scale=(40.0, 40.0, 120.0), size=(4, n, 3))
    return [np.concatenate([q, np.linalg.norm(q, axis=1, keepdims=True)], axis=1) for q in p]


def observe(leptons, names=NAMES):
    values = compute_observables(*leptons, names=names)
    return torch.from_numpy(feature_matrix(values, names))


def test_rotation_by_pi_about_x_changes_nothing_when_folded():
    leptons = momenta(10_000, seed=1)
    x = observe(leptons)
    rotated = observe([p * np.array([1.0, -1.0, -1.0, 1.0]) for p in leptons])
    folded = FeatureMap.fitted(NAMES, x, fold=True)
    torch.testing.assert_close(folded(rotated), folded(x), atol=1e-6, rtol=0)
    plain = FeatureMap.fitted(NAMES, x, fold=False)
    assert (plain(rotated) - plain(x)).abs().max() > 1.0


@pytest.mark.parametrize("harmonics", [True, False])
@pytest.mark.parametrize("exchange", [(1, 0, 2, 3), (0, 1, 3, 2), "cp"])
def test_charges_are_forgotten_when_folded(exchange: tuple[int, ...] | str, harmonics: bool) -> None:
    names = tuple(name for name in RatioConfig().features if name != "n_jets")
    leptons = momenta(10_000, seed=3)
    x = observe(leptons, names)
    if exchange == "cp":  # all momenta, all charges
        moved = observe([leptons[k] * np.array([-1.0, -1.0, -1.0, 1.0]) for k in (1, 0, 3, 2)], names)
    else:
        moved = observe([leptons[int(k)] for k in exchange], names)
    folded = FeatureMap.fitted(names, x, fold=True, fold_charges=True, harmonics=harmonics)
    wrapped = (folded(moved) - folded(x)).abs() * folded.std
    assert (torch.minimum(wrapped, (2.0 * np.pi - wrapped).abs()) if not harmonics else wrapped).max() < 1e-6
    plain = FeatureMap.fitted(names, x, fold=True)
    assert (plain(moved) - plain(x)).abs().max() > 1.0


def test_charges_are_folded_with_all_that_they_exchange_or_not_at_all() -> None:
    x = observe(momenta(100, seed=3))
    with pytest.raises(SchemaError, match="no \\['phi_1'\\]"):
        FeatureMap.fitted(NAMES[:7], x[:, :7], fold=True, fold_charges=True)
    with pytest.raises(SchemaError, match="no \\['pt_z1_lep2'\\]"):
        FeatureMap.fitted((*NAMES, "pt_z1_lep1"), torch.cat([x, x[:, :1]], dim=1), fold=True, fold_charges=True)


def test_inputs_have_mean_0_and_variance_1():
    x = observe(momenta(5_000, seed=2))
    fitted = FeatureMap.fitted(NAMES, x, fold=False)
    raw = fitted(x)
    assert raw.shape == (5_000, len(NAMES) + 2 * 3)
    torch.testing.assert_close(raw.mean(dim=0), torch.zeros(raw.shape[1], dtype=raw.dtype), atol=0.02, rtol=0)
    torch.testing.assert_close(raw.std(dim=0), torch.ones(raw.shape[1], dtype=raw.dtype), atol=0.05, rtol=0)


def test_angles_are_continuous_at_pi():
    fitted = FeatureMap(("phi",), fold=False, mean=torch.zeros(4), std=torch.ones(4))
    edge = torch.tensor([[np.pi - 1e-7], [-np.pi + 1e-7]], dtype=torch.float64)
    below, above = fitted(edge)
    torch.testing.assert_close(below, above, atol=1e-6, rtol=0)


def test_far_tails_are_clipped():
    fitted = FeatureMap(("x",), fold=False, mean=torch.zeros(1), std=torch.ones(1))
    assert fitted(torch.tensor([[50.0], [-50.0]])).tolist() == [[6.0], [-6.0]]


def test_constant_features_are_refused_by_name_with_the_list_that_remains():
    x = torch.rand((100, 4), dtype=torch.float64)
    x[:, 1], x[:, 3] = 2.5, 0.0
    expected = r"features flat, none[\s\S]*flat is 2.5, none is 0 in every event[\s\S]*features: \[x, y\]"
    with pytest.raises(PhysicsDomainError, match=expected):
        FeatureMap.fitted(("x", "flat", "y", "none"), x, fold=False)


@pytest.mark.parametrize(("values", "name"), [([1.0, np.nan], "m_jj"), ([300.0, -1.0], "m4l"), ([0.5, np.inf], "x")])
def test_values_that_a_network_cannot_take_are_refused(values, name):
    with pytest.raises(PhysicsDomainError, match=rf"feature {name}[\s\S]*row 1"):
        feature_matrix({name: np.array(values)}, (name,))


def test_missing_feature_is_refused():
    with pytest.raises(SchemaError, match="n_jets"):
        feature_matrix({"m4l": np.ones(3)}, ("m4l", "n_jets"))


def test_angles_as_they_are_follow_the_fold():
    """Without harmonics an angle is one input; the rotation by pi about a transverse axis leaves all inputs as they are."""
    generator = torch.Generator().manual_seed(9)
    x = torch.rand(500, 3, generator=generator, dtype=torch.float64) * 2 - 1
    x[:, 1:] *= torch.pi
    features = ("cos_theta_star", "phi_1", "phi")
    mapped = FeatureMap.fitted(features, x, fold=True, harmonics=False)
    assert mapped.n_inputs == 3
    rotated = x.clone()
    rotated[:, 0] *= -1
    rotated[:, 1] = torch.where(x[:, 1] > 0, x[:, 1] - torch.pi, x[:, 1] + torch.pi)
    torch.testing.assert_close(mapped(rotated), mapped(x))
    raw = FeatureMap.fitted(features, x, fold=False, harmonics=False)
    torch.testing.assert_close(raw(x) * raw.std + raw.mean, x)


def test_plain_angles_are_exported(tmp_path):
    """At zero as well, where an angle has no sign."""
    generator = torch.Generator().manual_seed(9)
    x = (torch.rand(300, 2, generator=generator, dtype=torch.float64) * 2 - 1) * torch.tensor([1.0, torch.pi], dtype=torch.float64)
    x[:20, 1] = 0.0
    names = ("cos_theta_star", "phi_1")
    mapped = FeatureMap.fitted(names, x, fold=True, harmonics=False)
    described = [Feature("cos_theta_star", "", -1.0, 1.0), Feature("phi_1", "rad", -3.15, 3.15)]
    labels = {"numerators": ("a", "b"), "reference": "r", "estimator": "e"}
    write_onnx(mapped, tmp_path / "m.onnx", features=described, reference_rows=x.numpy(), **labels)
    np.testing.assert_allclose(OnnxRatio(tmp_path / "m.onnx")(x.numpy()), mapped(x).numpy(), atol=1e-4)


SIGNED = (
    "m4l", "cos_theta_star", "y4l", "phi_1", "eta_z1_lep1", "eta_z2_lep2", "eta_j1", "eta_j2", "delta_phi_jj", "pt_j1",
    "vbf_cos_theta_star", "vbf_cos_theta_1", "vbf_cos_theta_2", "vbf_phi", "vbf_phi_1", "q2_v1", "q2_v2",
)  # fmt: skip


def observe_with_jets(leptons, jets, names):
    values = compute_observables(*leptons, jets=LeadingJets(np.full(len(jets[0]), 2.0), *jets), names=names)
    return torch.from_numpy(feature_matrix(values, names))


@pytest.fixture(scope="module")
def turned():
    """All features that the exchange of the beams moves, of events and of the same events turned by pi about the x axis."""
    leptons, jets = momenta(4_000, seed=4), momenta(4_000, seed=5)[:2]
    turn = np.array([1.0, -1.0, -1.0, 1.0])

    def at(names):
        return (
            observe_with_jets(leptons, jets, names),
            observe_with_jets([p * turn for p in leptons], [p * turn for p in jets], names),
        )

    return at


@pytest.mark.parametrize("harmonics", [True, False])
@pytest.mark.parametrize("names", [SIGNED, tuple(n for n in SIGNED if n != "cos_theta_star")])
def test_every_feature_is_folded(names, harmonics, turned):
    """Whichever feature tells the sides apart; nothing is left that the network could tell them apart by."""
    x, rotated = turned(names)
    folded = FeatureMap.fitted(names, x, fold=True, harmonics=harmonics)
    torch.testing.assert_close(folded(rotated), folded(x), atol=1e-5, rtol=0)


def test_all_observables_of_the_registry_can_be_folded_together(turned):
    ratios = "matrix_element"  # ratios of matrix elements are missing in some events
    names = tuple(n for n, entry in OBSERVABLES.items() if entry.needs != "column" and n != "n_jets" and entry.group != ratios)
    x, rotated = turned(names)
    folded = FeatureMap.fitted(names, x, fold=True)
    torch.testing.assert_close(folded(rotated), folded(x), atol=1e-5, rtol=0)


def test_log_ratios_of_the_default_features_do_not_know_the_side(turned):
    """Momenta and directions of single leptons included; the same networks without the fold tell the sides apart."""
    features = tuple(name for name in RatioConfig().features if name != "n_jets")
    x, rotated = turned(features)
    assert {name for name in features if name.startswith("eta_")}
    gg = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0 / 3.0, 1.0), reference=1)
    mixture = Mixture((gg, EventClass("qqZZ", ("qqZZ",), (500.0,))))
    departures: dict[bool, float] = {}
    for fold in (True, False):
        mapped, generator = FeatureMap.fitted(features, x, fold=fold), torch.Generator().manual_seed(3)
        network = MixtureNetwork(builder(RatioConfig(), mapped), mixture=mixture, generator=generator).double()
        one, other = (mixture.log_ratios(network(mapped(rows))) for rows in (x, rotated))
        departures[fold] = float((one - other).detach().abs().max())
    assert departures[True] < 1e-10
    assert departures[False] > 0.01


def test_the_exported_file_folds_every_feature(tmp_path, turned):
    x, rotated = turned(SIGNED)
    folded = FeatureMap.fitted(SIGNED, x, fold=True)
    described = [Feature(n, OBSERVABLES[n].unit, float(v.min()), float(v.max())) for n, v in zip(SIGNED, x.T, strict=True)]
    labels = {"numerators": tuple(f"p{k}" for k in range(folded.n_inputs)), "reference": "r", "estimator": "e"}
    write_onnx(folded, tmp_path / "m.onnx", features=described, reference_rows=x.numpy(), **labels)
    ratio = OnnxRatio(tmp_path / "m.onnx")
    np.testing.assert_allclose(ratio(rotated.numpy()), ratio(x.numpy()), atol=2e-4)
    np.testing.assert_allclose(ratio(x.numpy()), folded(x).numpy(), atol=2e-4)


def test_feature_that_does_not_say_what_it_becomes_is_refused():
    x = torch.rand(50, 2, dtype=torch.float64)
    with pytest.raises(SchemaError, match=r"feature bdt[\s\S]*beam_swap"):
        FeatureMap.fitted(("m4l", "bdt"), x, fold=True)
    FeatureMap.fitted(("m4l", "bdt"), x, fold=True, swaps={"bdt": "even"})


def test_feature_that_changes_places_with_another_needs_it():
    x = torch.rand(50, 2, dtype=torch.float64)
    with pytest.raises(SchemaError, match=r"feature q2_v1[\s\S]*q2_v2 among the features"):
        FeatureMap.fitted(("m4l", "q2_v1"), x, fold=True)


def test_declared_column_is_folded_and_kept_with_the_map():
    x = torch.tensor([[0.5, 1.0], [-0.2, 3.0], [0.7, -2.0]], dtype=torch.float64)
    names = ("cos_theta_star", "side")
    folded = FeatureMap.fitted(names, x, fold=True, swaps={"side": "odd"})
    torch.testing.assert_close(folded(-x), folded(x))
    again = FeatureMap(names, fold=True, mean=folded.mean, std=folded.std, swaps=folded.swaps)
    torch.testing.assert_close(again(x), folded(x))
