"""The fused graph: the numbers of the ensemble, in few nodes, and none for what has no such form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from exports import Feature, write_onnx
from exports.fused_features import GroupedFeatures
from exports.fused_form import SideBySide
from toolkit.likelihood import OnnxRatio
from toolkit.ratios.calibration import TargetedCalibration
from toolkit.ratios.directions import Direction
from toolkit.ratios.ensemble import MixtureEnsemble
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.network import MixtureNetwork
from toolkit.ratios.structure import EventClass, Mixture

FEATURES = ("m4l", "cos_theta_star", "phi_1")
GG = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0 / 3.0, 1.0), reference=1)
EW = EventClass("ew", ("ewB", "ewSBI", "ewS"), (4.0, 5.0, 2.0), kappas=(1.0, 2.0), reference=0)
QQ = EventClass("qq", ("qq",), (500.0,))


def ensemble(
    classes: tuple[EventClass, ...], *, n_members: int = 3, activation: type[nn.Module] = nn.SiLU, hidden: int = 8
) -> MixtureEnsemble:
    """Random networks whose heads reach the tails, and a calibration that moves all of them."""
    generator = torch.Generator().manual_seed(3)
    mixture = Mixture(classes)

    def build(n_outputs: int, g: torch.Generator) -> nn.Module:
        layers = nn.Sequential(nn.Linear(6, 8), activation(), nn.Linear(8, 8), activation(), nn.Linear(8, n_outputs))
        for p in layers.parameters():
            p.data = torch.randn(p.shape, generator=g) * 0.6
        return layers.double()

    members = [MixtureNetwork(build, mixture=mixture, generator=generator).double() for _ in range(3)]
    points = {"plus": (0.3, 0.5, 1.0, 0.6, 1.0), "minus": (0.3, -0.2, 1.0, 0.6, -1.0), "zero": (0.0, 0.0, 1.0, 0.0, 1.0)}
    directions = [
        Direction(
            name,
            tuple((a, b, d) if c.n_heads else (1.0 if name == "zero" else a,) for c in classes),
            tuple((e, f, 0.0) if c.n_heads else (0.1 * e,) for c in classes),
        )
        for name, (a, b, d, e, f) in points.items()
    ]
    calibration = TargetedCalibration(mixture, directions)
    for name, buffer in calibration.named_buffers():
        spread = torch.randn(buffer.shape, generator=generator, dtype=torch.float64)
        buffer.copy_(1.0 + spread.abs() if name.endswith("scale") else 0.2 * spread)
    x = torch.from_numpy(rows()).double()
    return MixtureEnsemble(FeatureMap.fitted(FEATURES, x, fold=False), members, calibration).double()


def rows(n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.stack([200.0 + rng.exponential(150.0, n), rng.uniform(-1, 1, n), rng.uniform(-3.14, 3.14, n)], axis=1)


CASES = {"demo": (GG, QQ), "two coherent": (GG, EW, QQ), "one class": (GG,)}


@pytest.mark.parametrize("name", list(CASES))
def test_side_by_side_is_the_ensemble(name: str) -> None:
    whole = ensemble(CASES[name])
    x = torch.from_numpy(rows()).double()
    with torch.no_grad():
        heads = whole.member_heads(x)
        columns = torch.cat([heads[:, :, k].T for k in range(heads.shape[2])], dim=1)
        for found, expected in zip(SideBySide(whole).double()(columns), whole(x), strict=True):
            assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "activation"), [("demo", nn.SiLU), ("two coherent", nn.Tanh), ("demo", nn.ReLU)])
def test_the_file_beside_has_the_same_numbers_in_few_nodes(name: str, activation: type[nn.Module], tmp_path: Path) -> None:
    whole = ensemble(CASES[name], activation=activation)
    features = [Feature(n, "", -10.0, 2000.0) for n in FEATURES]
    names = {"numerators": whole.mixture.processes, "reference": "mixture", "estimator": "mixture", "features": features}
    write_onnx(whole, tmp_path / "m.onnx", reference_rows=rows(), ensemble_size=3, **names)
    flat, fused = OnnxRatio(tmp_path / "m.onnx"), OnnxRatio(tmp_path / "m.fused.onnx")
    assert flat.metadata.fused == fused.metadata.fused == "m.fused.onnx"
    assert fused.has_checksum
    with torch.no_grad():
        exact = whole(torch.from_numpy(rows().astype(np.float32)).double())
    for ratio in (flat, fused):
        assert np.abs(ratio(rows()) - exact[0].numpy()).max() < 1e-4
        assert np.abs(ratio.spread(rows()) - exact[1].numpy()).max() < 1e-4
        ratio.check_reference()
    assert np.abs(fused(rows()[:1]) - fused(rows())[:1]).max() < 1e-4
    nodes = Counter(n.op_type for n in onnx.load(tmp_path / "m.fused.onnx").graph.node)
    assert nodes["MatMul"] == 3  # one for each layer of all members
    assert sum(nodes.values()) < (120 if name == "demo" else 180)


def test_what_has_no_fused_form_has_no_file(tmp_path: Path) -> None:
    whole = ensemble((GG, QQ))
    whole.members[1].classes[1] = nn.Softplus()
    features = [Feature(n, "", -10.0, 2000.0) for n in FEATURES]
    names = {"numerators": whole.mixture.processes, "reference": "mixture", "estimator": "mixture", "features": features}
    write_onnx(whole, tmp_path / "m.onnx", reference_rows=rows(), ensemble_size=3, **names)
    assert OnnxRatio(tmp_path / "m.onnx").metadata.fused == ""
    assert not (tmp_path / "m.fused.onnx").exists()


INPUTS = ("phi", "m4l", "cos_theta_star", "pt4l", "y4l", "phi_1", "cos_theta_1", "n_jets")


@pytest.mark.parametrize(
    ("fold", "harmonics"), [(False, True), (True, True), (False, False)], ids=["as they are", "beams exchanged", "angles as they are"]
)
def test_inputs_kind_by_kind_are_those_of_the_map(fold: bool, harmonics: bool) -> None:
    rng = np.random.default_rng(2)
    signs = [rng.choice([-1.0, 1.0], 300) if name in ("phi", "phi_1", "cos_theta_star", "cos_theta_1", "y4l") else 1.0 for name in INPUTS]
    x = torch.from_numpy(np.stack([rng.uniform(0.5, 3.0, 300) * sign for sign in signs], axis=1))
    feature_map = FeatureMap.fitted(INPUTS, x, fold=fold, harmonics=harmonics)
    grouped = GroupedFeatures(feature_map).double()
    expected = feature_map(x)
    assert sorted(grouped.order) == list(range(feature_map.n_inputs)) != grouped.order
    assert torch.allclose(grouped(x), expected[:, grouped.order], rtol=0, atol=1e-12)
    assert fold != torch.allclose(grouped(x), GroupedFeatures(FeatureMap.fitted(INPUTS, x, fold=False, harmonics=harmonics)).double()(x))


def test_inputs_of_another_form_stay_as_they_are() -> None:
    x = torch.from_numpy(rows()).double()
    feature_map = FeatureMap.fitted(FEATURES, x, fold=True, harmonics=False)  # phi_1 moves by half a turn and enters as it is
    with pytest.raises(ValueError, match="harmonics of angles"):
        GroupedFeatures(feature_map)
