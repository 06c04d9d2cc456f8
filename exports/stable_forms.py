"""Replace forms in an ONNX graph that lose digits in float32, or that not every runtime reads, by equal ones.

onnxruntime computes Sigmoid with a rational approximation that is good to 1e-7 in absolute value: harmless inside a hidden
layer, but its logarithm is off by 0.1 at -14 and infinite below -18. A probability in the tails needs its relative precision.
SOFIE has no ReduceLogSumExp, and writes the limits of Clip into its code in a form that C++ rejects when they are as small as 1e-30.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

_ONE = "one_of_stable_sigmoid"


def stabilise(model: onnx.ModelProto) -> None:
    """Rewrite, in place, Log(Sigmoid(x)) as -Softplus(-x), other sigmoids as 1 / (1 + Exp(-x)), and operators that SOFIE lacks.

    Args:
        model: The model; nodes in topological order, as ONNX demands.

    Notes:
        Sigmoids that are only multiplied by their own input (SiLU, the activation of hidden layers) stay: there the absolute
        error counts, and the short form is faster. Exp overflows to infinity below -88, where the quotient is 0 as it should be.
        ReduceLogSumExp becomes max + Log(ReduceSum(Exp(x - max))), Clip becomes Max and Min.
    """
    graph = model.graph
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    outputs = {output.name for output in graph.output}
    sigmoid_input = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Sigmoid"}
    rewritten: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "Log" and node.input[0] in sigmoid_input:
            rewritten += _log_sigmoid(sigmoid_input[node.input[0]], node.output[0])
        elif node.op_type == "Sigmoid" and node.output[0] not in outputs and _all_logarithms(readers[node.output[0]]):
            continue
        elif node.op_type == "ReduceLogSumExp" and len(node.input) == 2:
            rewritten += _log_sum_exp(node)
        elif node.op_type == "Clip" and any(node.input[1:]):
            rewritten += _clip(node)
        elif node.op_type == "Sigmoid" and (node.output[0] in outputs or not _is_activation(node, readers[node.output[0]])):
            rewritten += _sigmoid(node.input[0], node.output[0])
        else:
            rewritten.append(node)
    if any(_ONE in node.input for node in rewritten):
        graph.initializer.append(numpy_helper.from_array(np.array(1.0, dtype=np.float32), name=_ONE))
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in rewritten]
    del graph.node[:]
    graph.node.extend(kept)


def _all_logarithms(readers: Sequence[onnx.NodeProto]) -> bool:
    return all(node.op_type == "Log" for node in readers)


def _is_activation(sigmoid: onnx.NodeProto, readers: Sequence[onnx.NodeProto]) -> bool:
    own = {sigmoid.input[0], sigmoid.output[0]}
    return bool(readers) and all(node.op_type == "Mul" and set(node.input) == own for node in readers)


def _log_sigmoid(x: str, y: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Neg", [x], [f"{y}_minus"]),
        helper.make_node("Softplus", [f"{y}_minus"], [f"{y}_softplus"]),
        helper.make_node("Neg", [f"{y}_softplus"], [y]),
    ]


def _sigmoid(x: str, y: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Neg", [x], [f"{y}_minus"]),
        helper.make_node("Exp", [f"{y}_minus"], [f"{y}_exp"]),
        helper.make_node("Add", [f"{y}_exp", _ONE], [f"{y}_sum"]),
        helper.make_node("Reciprocal", [f"{y}_sum"], [y]),
    ]


def _log_sum_exp(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    (x, axes), y = node.input, node.output[0]
    keep = next((attribute.i for attribute in node.attribute if attribute.name == "keepdims"), 1)
    total = y if keep else f"{y}_kept"
    nodes = [
        helper.make_node("ReduceMax", [x, axes], [f"{y}_max"], keepdims=1),
        helper.make_node("Sub", [x, f"{y}_max"], [f"{y}_below"]),
        helper.make_node("Exp", [f"{y}_below"], [f"{y}_exp"]),
        helper.make_node("ReduceSum", [f"{y}_exp", axes], [f"{y}_sum"], keepdims=1),
        helper.make_node("Log", [f"{y}_sum"], [f"{y}_log"]),
        helper.make_node("Add", [f"{y}_log", f"{y}_max"], [total]),
    ]
    return nodes if keep else [*nodes, helper.make_node("Squeeze", [total, axes], [y])]


def _clip(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    x, y = node.input[0], node.output[0]
    limits = [(operator, limit) for operator, limit in zip(("Max", "Min"), node.input[1:], strict=False) if limit]
    names = [x, *(f"{y}_after_{operator}" for operator, _ in limits[:-1]), y]
    return [helper.make_node(operator, [names[i], limit], [names[i + 1]]) for i, (operator, limit) in enumerate(limits)]
