"""Architectures: layers against loops, order and absence of objects, refusals, portable export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exports import write_onnx
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.errors import SchemaError
from toolkit.likelihood import OnnxRatio
from toolkit.ratios import FeatureMap
from toolkit.ratios.architectures import MLP, Architecture, DeepSet, ObjectGroup, Recurrent, count_parameters, jet_group, lepton_group
from toolkit.ratios.architectures.recurrent import GatedCell

GROUPS = (lepton_group(), jet_group())
FEATURES = ("m4l", "phi_1", *lepton_group().features, *jet_group().features)


def table(n, seed):
    rng = np.random.default_rng(seed)
    n_jets = rng.integers(0, 3, n)
    columns = {"m4l": rng.uniform(220.0, 900.0, n), "phi_1": rng.uniform(-3.0, 3.0, n)}
    for name in lepton_group().features:
        columns[name] = rng.uniform(10.0, 200.0, n) if name.startswith("pt") else rng.normal(size=n)
    for k in (1, 2):
        present = n_jets >= k
        columns[f"pt_j{k}_filled"] = np.where(present, rng.uniform(20.0, 300.0, n), 0.0)
        columns[f"eta_j{k}_filled"] = np.where(present, rng.normal(size=n), 0.0)
        columns[f"has_pt_j{k}"] = present.astype(float)
    return columns


def matrix(columns):
    return torch.from_numpy(np.stack([columns[name] for name in FEATURES], axis=1))


@pytest.fixture(scope="module")
def columns():
    return table(500, seed=1)


def built(architecture, columns, n_outputs=2, n_context=0):
    feature_map = architecture.adapt(FeatureMap.fitted(FEATURES, matrix(columns), fold=False))
    network = architecture.build(feature_map, n_outputs=n_outputs, n_context=n_context, generator=torch.Generator().manual_seed(3)).double()
    return torch.nn.Sequential(feature_map, network)


ARCHITECTURES = [MLP((16, 16)), MLP((16, 16, 16), residual=True, activation="tanh"), DeepSet(GROUPS), Recurrent(GROUPS)]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=["mlp", "residual", "deep set", "recurrent"])
def test_every_architecture_fits_the_interface_and_exports(architecture, columns, tmp_path):
    assert isinstance(architecture, Architecture)
    network = built(architecture, columns)
    x = matrix(columns)
    described = [Feature(n, "", float(x[:, i].min()), float(x[:, i].max())) for i, n in enumerate(FEATURES)]
    write_onnx(
        network,
        tmp_path / "n.onnx",
        features=described,
        numerators=("a", "b"),
        reference="r",
        estimator="t",
        reference_rows=x[:100].numpy(),
    )
    np.testing.assert_allclose(OnnxRatio(tmp_path / "n.onnx")(x.numpy()), network(x).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=["mlp", "residual", "deep set", "recurrent"])
def test_context_columns_matter_and_come_last(architecture, columns):
    feature_map = architecture.adapt(FeatureMap.fitted(FEATURES, matrix(columns), fold=False))
    network = architecture.build(feature_map, n_outputs=1, n_context=1, generator=torch.Generator().manual_seed(3)).double()
    z = feature_map(matrix(columns))
    low, high = (network(torch.cat([z, torch.full((len(z), 1), v, dtype=z.dtype)], dim=1)) for v in (-1.0, 1.0))
    assert (low - high).abs().min() > 1e-6
    assert count_parameters(network) > 0


def test_residual_layers_against_a_loop():
    network = MLP((4, 4, 4), residual=True).stack(3, 1, generator=torch.Generator().manual_seed(1)).double()
    z = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    h = torch.nn.functional.silu(network[0](z))
    for layer in (network[2], network[3]):
        h = h + torch.nn.functional.silu(h @ layer.linear.weight.T + layer.linear.bias)
    torch.testing.assert_close(network(z), network[4](h))


def exchanged(columns, one, two):
    out = dict(columns)
    for name in [n for n in columns if n.endswith(one) or f"{one}_" in n]:
        other = name.replace(one, two)
        out[name], out[other] = columns[other], columns[name]
    return out


def test_deep_set_does_not_see_the_order_of_objects(columns):
    network = built(DeepSet(GROUPS), columns)
    swapped = exchanged(columns, "z1_lep1", "z2_lep2")
    assert not np.array_equal(swapped["pt_z1_lep1"], columns["pt_z1_lep1"])
    torch.testing.assert_close(network(matrix(swapped)), network(matrix(columns)), atol=1e-9, rtol=0)
    recurrent = built(Recurrent(GROUPS), columns)
    assert (recurrent(matrix(swapped)) - recurrent(matrix(columns))).abs().max() > 1e-3


@pytest.mark.parametrize("architecture", [DeepSet(GROUPS), Recurrent(GROUPS)], ids=["deep set", "recurrent"])
def test_the_fill_of_a_missing_jet_does_not_matter(architecture, columns):
    network = built(architecture, columns)
    other = dict(columns)
    other["pt_j2_filled"] = np.where(columns["has_pt_j2"] > 0, columns["pt_j2_filled"], 77.0)
    torch.testing.assert_close(network(matrix(other)), network(matrix(columns)), atol=1e-12, rtol=0)
    other["pt_j2_filled"] = columns["pt_j2_filled"] + 30.0
    assert (network(matrix(other)) - network(matrix(columns))).abs().max() > 1e-4


def test_deep_set_against_a_loop(columns):
    architecture = DeepSet(GROUPS)
    feature_map = architecture.adapt(FeatureMap.fitted(FEATURES, matrix(columns), fold=False))
    network = architecture.build(feature_map, n_outputs=2, n_context=0, generator=torch.Generator().manual_seed(3)).double()
    z = feature_map(matrix(columns))[:20]
    got = network(z)
    # m4l: 0, phi_1: 1-4, leptons: 5-12 (pt, eta in turns), jets: 13-16, flags 17, 18
    for i in range(20):
        leptons = sum(network.per_object[0](z[i, 5 + 2 * k : 7 + 2 * k]) for k in range(4))
        jets = sum(
            (network.per_object[1](z[i, 13 + 2 * k : 15 + 2 * k]) for k in range(2) if columns[f"has_pt_j{k + 1}"][i]), torch.zeros(16)
        )
        expected = network.head(torch.cat([z[i, :5], z[i, 17:], leptons, jets]))
        torch.testing.assert_close(got[i], expected)


def test_gated_cell_is_torchs():
    generator = torch.Generator().manual_seed(1)
    cell, oracle = GatedCell(3, 5, generator=generator), torch.nn.GRUCell(3, 5)
    with torch.no_grad():
        oracle.weight_ih.copy_(cell.from_input.weight)
        oracle.weight_hh.copy_(cell.from_state.weight)
        oracle.bias_ih.copy_(torch.randn(15, generator=generator))
        oracle.bias_hh.copy_(torch.randn(15, generator=generator))
        cell.from_input.bias.copy_(oracle.bias_ih)
        cell.from_state.bias.copy_(oracle.bias_hh)
    x, h = torch.randn(7, 3, generator=generator), torch.randn(7, 5, generator=generator)
    torch.testing.assert_close(cell(x, h), oracle(x, h))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLP(()),
        lambda: MLP((4, 0)),
        lambda: MLP((4, 5), residual=True),
        lambda: MLP((4,), activation="step"),
        lambda: ObjectGroup("g", ()),
        lambda: ObjectGroup("g", (("a", "b"), ("c",))),
        lambda: ObjectGroup("g", (("a",), ("b",)), flags=("has_a",)),
        lambda: ObjectGroup("g", (("pt_a", "phi"), ("phi", "pt_a"))),
    ],
)
def test_settings_that_make_no_network_are_refused(make):
    with pytest.raises(SchemaError):
        make()


def test_missing_columns_and_folded_events_are_refused(columns):
    x = torch.from_numpy(np.stack([columns["m4l"], columns["phi_1"]], axis=1))
    with pytest.raises(SchemaError, match="pt_z1_lep1"):
        DeepSet().adapt(FeatureMap.fitted(("m4l", "phi_1"), x, fold=False))
    with pytest.raises(SchemaError, match="fold_beam_axis"):
        DeepSet(GROUPS).adapt(FeatureMap.fitted(FEATURES, matrix(columns), fold=True))
    with pytest.raises(SchemaError, match="harmonics"):
        DeepSet(GROUPS).adapt(FeatureMap.fitted(FEATURES, matrix(columns), fold=False, harmonics=False))
