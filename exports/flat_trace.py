"""Write the ONNX graph of a network directly from what torch records of one evaluation.

torch's own exporter decomposes, translates and optimises through several representations, which for an ensemble of twelve
perceptrons takes half a minute, and leaves shape arithmetic that SOFIE cannot read. Ratio networks need few operations: the
recorded ones are translated one by one (`exports.flat_operators`), whatever does not depend on the input is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import torch
from onnx import helper
from torch.fx.experimental.proxy_tensor import make_fx

from exports.flat_elementwise import Translate
from exports.flat_operators import OPERATORS
from exports.flat_values import Columns, Filled, GraphWriter, Members, NotFlatError, Value

_BATCHES = (37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


def flat_model(
    network: torch.nn.Module, rows: torch.Tensor, *, input_name: str, output_names: tuple[str, ...], opset: int
) -> onnx.ModelProto:
    """Write the graph of a network with tensors of two axes.

    Args:
        network: Module in float32, in evaluation mode; returns a tuple of tensors (batch, width).
        rows: Input row to record the evaluation with, (1, n_columns) or more.
        input_name: Name of the input.
        output_names: Names of the outputs.
        opset: Version of the operators.

    Returns:
        The model, not yet checked against the network.

    Raises:
        NotFlatError: A step has no form in tensors of two axes, or the evaluation cannot be recorded.
    """
    writer, first = GraphWriter(), Columns(input_name, int(rows.shape[1]))
    return finished(writer, translated(network, writer, first, rows=rows), first, output_names=output_names, opset=opset)


def translated(
    network: torch.nn.Module,
    writer: GraphWriter,
    first: Columns,
    *,
    rows: torch.Tensor | None = None,
    operators: Mapping[str, Translate] = OPERATORS,
) -> tuple[Columns, ...]:
    """Add the steps of a network to a graph.

    Args:
        network: Module in float32, in evaluation mode.
        writer: The graph.
        first: Its input there.
        rows: Input row to record the evaluation with; ones if not given.
        operators: Translation of each step of torch.

    Returns:
        Its outputs.

    Raises:
        NotFlatError: A step has no form in tensors of two axes, or the evaluation cannot be recorded.
    """
    n_batch = _free_size(network, first.width)
    example = torch.ones(1, first.width) if rows is None else rows[:1]
    recorded = _record(network, example.expand(n_batch, -1).contiguous())
    return _translate(recorded, writer, n_batch=n_batch, first=first, operators=operators)


def finished(
    writer: GraphWriter, outputs: tuple[Columns, ...], first: Columns, *, output_names: tuple[str, ...], opset: int
) -> onnx.ModelProto:
    """Make a model of a graph; what no output needs is left out."""
    entry = helper.make_tensor_value_info(first.name, onnx.TensorProto.FLOAT, ["batch", first.width])
    infos = []
    for name, output in zip(output_names, outputs, strict=True):
        writer.nodes.append(helper.make_node("Identity", [output.name], [name]))
        infos.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", output.width]))
    graph = helper.make_graph(writer.nodes, "h4l", [entry], infos, initializer=writer.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    _drop_unused(model)
    _rename_outputs(model)
    return model


def _free_size(network: torch.nn.Module, n_columns: int) -> int:
    """Choose a number of rows that no size of the network equals, so that it can be recognised."""
    sizes = {size for tensor in network.state_dict().values() for size in tensor.shape} | {n_columns}
    for size in _BATCHES:
        if size not in sizes:
            return size
    what = "no size is free"
    raise NotFlatError(what)


def _record(network: torch.nn.Module, rows: torch.Tensor) -> torch.fx.GraphModule:
    try:
        with torch.no_grad():
            return make_fx(network)(rows)
    except Exception as error:  # whatever a module does: torch's exporter says it in its own words
        raise NotFlatError(str(error)) from error


def _translate(
    recorded: torch.fx.GraphModule, writer: GraphWriter, *, n_batch: int, first: Columns, operators: Mapping[str, Translate]
) -> tuple[Columns, ...]:
    values: dict[torch.fx.Node, Value] = {}

    def known(argument: Any) -> Any:
        if isinstance(argument, torch.fx.Node):
            return values[argument]
        if isinstance(argument, (tuple, list)):
            return tuple(known(part) for part in argument)
        return {key: known(part) for key, part in argument.items()} if isinstance(argument, dict) else argument

    for node in recorded.graph.nodes:
        if node.op == "placeholder":
            values[node] = first
        elif node.op == "get_attr":
            values[node] = _attribute(recorded, str(node.target))
        elif node.op == "call_function":
            values[node] = _apply(writer, node.target, known(node.args), known(node.kwargs), n_batch=n_batch, operators=operators)
        elif node.op == "output":
            results = known(node.args[0])
            results = tuple(results) if isinstance(results, (tuple, list)) else (results,)
            return tuple(_output(writer, result, first) for result in results)
    what = "no output"
    raise NotFlatError(what)


def _apply(writer: GraphWriter, target: Any, args: Any, kwargs: Any, *, n_batch: int, operators: Mapping[str, Translate]) -> Value:
    """Compute a step that does not depend on the input, and translate one that does."""
    name = str(target.__name__)
    if name == "getitem":
        return args[0][args[1]]  # type: ignore[no-any-return]
    sized = any(isinstance(size, int) and size == n_batch for argument in args if isinstance(argument, (list, tuple)) for size in argument)
    if not _depends(args) and not _depends(kwargs) and not sized:
        with torch.no_grad():
            return target(*args, **kwargs)  # type: ignore[no-any-return]
    operator = operators.get(name.partition(".")[0])
    if operator is None:
        raise NotFlatError(name)
    try:
        return operator(writer, n_batch, *args, **kwargs)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"{name}: {error}"
        raise NotFlatError(what) from error


def _depends(argument: Any) -> bool:
    if isinstance(argument, dict):
        return any(_depends(value) for value in argument.values())
    if isinstance(argument, (tuple, list)):
        return any(_depends(value) for value in argument)
    return isinstance(argument, (Columns, Filled, Members))


def _attribute(module: Any, path: str) -> torch.Tensor:
    for part in path.split("."):
        module = getattr(module, part)
    if not isinstance(module, torch.Tensor):
        raise NotFlatError(path)
    return module.detach()


def _output(writer: GraphWriter, value: Value, first: Columns) -> Columns:
    if isinstance(value, Filled):
        value = writer.materialise(value, like=first)
    if not isinstance(value, Columns) or value.single or value.boolean:
        what = f"output {type(value).__name__}"
        raise NotFlatError(what)
    return value


def _drop_unused(model: onnx.ModelProto) -> None:
    graph = model.graph
    needed = {output.name for output in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    constants = [onnx.TensorProto.FromString(c.SerializeToString()) for c in graph.initializer if c.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(constants)


def _rename_outputs(model: onnx.ModelProto) -> None:
    """Give the last steps the names of the outputs, and drop the identities, where nothing stands in the way."""
    graph = model.graph
    inputs = {entry.name for entry in graph.input}
    wanted: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] not in inputs | set(wanted):
            wanted[node.input[0]] = node.output[0]
    kept = [node for node in graph.node if not (node.op_type == "Identity" and wanted.get(node.input[0]) == node.output[0])]
    for node in kept:
        node.input[:] = [wanted.get(name, name) for name in node.input]
        node.output[:] = [wanted.get(name, name) for name in node.output]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
