"""Feature map: transforms, standardisation, the rotation that the two beams allow, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exports import Feature, write_onnx
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.kinematics import compute_observables
from toolkit.likelihood import OnnxRatio
from toolkit.ratios import FeatureMap, feature_matrix

NAMES = ("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l")


def momenta(n, seed):
    rng = np.random.default_rng(seed)
    p = rng.normal(scale=(40.0, 40.0, 120.0), size=(4, n, 3))
    return [np.concatenate([q, np.linalg.norm(q, axis=1, keepdims=True)], axis=1) for q in p]


def observe(leptons):
    values = compute_observables(*leptons, names=NAMES)
    return torch.from_numpy(feature_matrix(values, NAMES))


def test_rotation_by_pi_about_x_changes_nothing_when_folded():
    leptons = momenta(10_000, seed=1)
    x = observe(leptons)
    rotated = observe([p * np.array([1.0, -1.0, -1.0, 1.0]) for p in leptons])
    folded = FeatureMap.fitted(NAMES, x, fold=True)
    torch.testing.assert_close(folded(rotated), folded(x), atol=1e-6, rtol=0)
    plain = FeatureMap.fitted(NAMES, x, fold=False)
    assert (plain(rotated) - plain(x)).abs().max() > 1.0


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


def test_constant_feature_is_refused_by_name():
    x = torch.stack([torch.rand(100, dtype=torch.float64), torch.full((100,), 2.5, dtype=torch.float64)], dim=1)
    with pytest.raises(PhysicsDomainError, match=r"feature flat[\s\S]*2.5 in every event"):
        FeatureMap.fitted(("x", "flat"), x, fold=True)


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
