"""The ONNX graph of an ensemble in few large nodes, for a runtime that goes from node to node.

Such a runtime spends most of the time of a single event between the nodes: the flat graph of six members has some 800. Here a layer of all
members is one product of stacks of matrices, and everything after the networks is done for all members at once (`exports.fused_form`).
"""

from __future__ import annotations

import copy
from dataclasses import replace

import onnx
import torch
from torch import nn

from exports.flat_operators import OPERATORS
from exports.flat_trace import finished, translated
from exports.flat_values import Columns, GraphWriter, NotFlatError
from exports.fused_features import GroupedFeatures
from exports.fused_form import SideBySide
from toolkit.ratios.ensemble import MixtureEnsemble
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.network import MixtureNetwork


def fused_model(network: nn.Module, *, input_name: str, output_names: tuple[str, ...], opset: int) -> onnx.ModelProto | None:
    """Write the fused graph of an ensemble.

    Args:
        network: The module that `write_onnx` was given.
        input_name: Name of the input.
        output_names: Names of the outputs.
        opset: Version of the operators.

    Returns:
        The model, not yet checked against the network; None for what has no fused form: another module than an ensemble of
        perceptrons of one size, a class of three amplitudes or more.
    """
    if not isinstance(network, MixtureEnsemble):
        return None
    ensemble = copy.deepcopy(network).to(device="cpu", dtype=torch.float64).eval()
    try:
        chains = _chains(ensemble)
        tail = SideBySide(ensemble).to(torch.float32).eval()
        inputs, order = _inputs(ensemble.feature_map)
        writer, first = GraphWriter(), Columns(input_name, len(ensemble.feature_map.features))
        (z,) = translated(inputs.to(torch.float32).eval(), writer, first, operators=NATIVE)
        heads = _members(writer, z, chains, order, n_members=len(ensemble.members))
        outputs = translated(tail, writer, heads, operators=NATIVE)
    except (NotFlatError, ValueError):
        return None
    return finished(writer, outputs, first, output_names=output_names, opset=opset)


def _inputs(feature_map: FeatureMap) -> tuple[nn.Module, list[int]]:
    """Return the map to the inputs of the networks, kind by kind where it has that form, and the place of each input in the map."""
    try:
        grouped = GroupedFeatures(feature_map)
    except ValueError:
        return feature_map, list(range(feature_map.n_inputs))
    return grouped, grouped.order


def _chains(ensemble: MixtureEnsemble) -> list[list[nn.Sequential]]:
    """Return for each part of the heads its network in every member; all have the same hidden layers."""
    members = [m for m in ensemble.members if isinstance(m, MixtureNetwork)]
    parts = [[*([] if m.classes is None else [m.classes]), *m.compositions] for m in members]
    chains = [[parts[i][k] for i in range(len(parts))] for k in range(len(parts[0]))] if parts else []
    alone = [member for chain in chains for member in chain]
    plain = all(type(member) is nn.Sequential for member in alone)
    forms = {tuple(_form(layer, last=layer is member[-1]) for layer in member) for member in alone} if plain else set()
    if len(members) != len(ensemble.members) or len(forms) != 1:
        what = "members are no perceptrons of one form"
        raise NotFlatError(what)
    return chains


def _form(layer: nn.Module, *, last: bool) -> tuple[object, ...]:
    if isinstance(layer, nn.Linear):
        return (nn.Linear, layer.in_features, None if last else layer.out_features)
    if type(layer) not in _ACTIVATIONS:
        what = f"activation {type(layer).__name__}"
        raise NotFlatError(what)
    return (type(layer),)


_ACTIVATIONS = {nn.SiLU: "Sigmoid", nn.ReLU: "Relu", nn.Tanh: "Tanh"}


def _members(writer: GraphWriter, z: Columns, chains: list[list[nn.Sequential]], order: list[int], *, n_members: int) -> Columns:
    """Write the networks: (n, n_inputs) in an order -> for every head its members, (n, n_heads n_members)."""
    alone, name = [member for chain in chains for member in chain], z.name
    widths = [int(chain[0][-1].out_features) for chain in chains]  # type: ignore[arg-type]
    widest = max(widths)
    for layers in zip(*alone, strict=True):
        if not isinstance(layers[0], nn.Linear):
            operator = _ACTIVATIONS[type(layers[0])]
            value = writer.emit(operator, [name])
            name = writer.emit("Mul", [name, value]) if operator == "Sigmoid" else value
            continue
        last = layers[0] is alone[0][-1]
        weight, bias = ([_padded(getattr(layer, part), widest if last else 0) for layer in layers] for part in ("weight", "bias"))
        columns = order if layers[0] is alone[0][0] else list(range(weight[0].shape[1]))
        stack = writer.constant(torch.stack([w[:, columns].T for w in weight]).to(torch.float32).contiguous())
        shift = writer.constant(torch.stack([b[None] for b in bias]).to(torch.float32))
        name = writer.emit("Add", [writer.emit("MatMul", [name, stack]), shift])
    turned = writer.emit("Transpose", [name], perm=(1, 2, 0))  # (n, outputs, networks)
    n_all = len(alone)
    flat = Columns(writer.emit("Reshape", [turned, writer.integers(-1, widest * n_all)]), widest * n_all)
    places = [(i * n_all + k * n_members) for k, width in enumerate(widths) for i in range(width)]
    chosen = torch.tensor([start + m for start in places for m in range(n_members)])
    heads = writer.emit("Gather", [flat.name, writer.constant(chosen)], axis=1)
    return Columns(heads, n_members * len(places))


def _softplus(graph: GraphWriter, n: int, x: Columns, beta: float = 1.0, threshold: float = 20.0) -> Columns:
    del n, beta, threshold
    return replace(x, name=graph.emit("Softplus", [x.name]))


def _clamp(graph: GraphWriter, n: int, x: Columns, low: float | None = None, high: float | None = None) -> Columns:
    del n
    limits = ["" if end is None else graph.constant(torch.tensor(float(end))) for end in (low, high)]
    return replace(x, name=graph.emit("Clip", [x.name, *limits]))


def _index_select(graph: GraphWriter, n: int, x: Columns, dim: int, index: torch.Tensor) -> Columns:
    del n, dim
    return Columns(graph.emit("Gather", [x.name, graph.constant(index)], axis=1), len(index))


def _split(graph: GraphWriter, n: int, x: Columns, sizes: int | list[int], dim: int = 0) -> tuple[Columns, ...]:
    del n, dim
    widths = [min(sizes, x.width - k) for k in range(0, x.width, sizes)] if isinstance(sizes, int) else list(sizes)
    return (x,) if len(widths) == 1 else graph.split(x, widths)


NATIVE = {
    **OPERATORS,
    "softplus": _softplus,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "index_select": _index_select,
    "split": _split,
    "split_with_sizes": _split,
}
"""One node for what the flat graph spells out for generated code; neither loses digits in the runtime."""


def _padded(values: torch.Tensor, n_rows: int) -> torch.Tensor:
    missing = n_rows - len(values)
    return values.detach() if missing <= 0 else torch.cat([values.detach(), torch.zeros(missing, *values.shape[1:], dtype=values.dtype)])
