"""Turn a torch module into an ONNX graph: one file, dynamic batch, single precision, portable operators.

Opset 18 with intermediate representation 8 is the form that everything reads that we aim at: onnxruntime 1.16 reads up
to opset 19 and representation 9; SOFIE 0.1 reads reductions only as opset 18 writes them (axes as an input); and 18 is
what torch's exporter writes without a conversion step, which fails for some operators.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator, Sequence

import onnx
import torch

from exports.flat_trace import flat_model
from exports.flat_values import NotFlatError
from exports.stable_forms import stabilise
from toolkit.artifacts.onnx_metadata import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, SPREAD_NAME, OnnxMetadata
from toolkit.errors import SchemaError, ShapeError

OPSET = 18
IR_VERSION = 8
_ARITHMETIC = {"Abs", "Add", "Div", "Floor", "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal", "Sqrt", "Sub"}
_FUNCTIONS = {"Cos", "Elu", "Erf", "Exp", "LeakyRelu", "Log", "LogSoftmax", "Relu", "Selu", "Sigmoid", "Sin", "Softmax", "Softplus", "Tanh"}
_REDUCTIONS = {"Gemm", "MatMul", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"}
_LOGIC = {"And", "Cast", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Where"}
_SHAPES = {"Concat", "Constant", "Expand", "Gather", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
PORTABLE_OPERATORS = frozenset(_ARITHMETIC | _FUNCTIONS | _REDUCTIONS | _LOGIC | _SHAPES)
"""Operators of the default ONNX domain that onnxruntime >= 1.16 and SOFIE 0.1 both compute."""
_EXAMPLE_ROWS = 7
_CHATTY_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


class NamedOutputs(torch.nn.Module):
    """Give a ratio network the outputs of the file format: always a tuple, checked shapes.

    Args:
        network: Module whose ``forward(x)`` returns the log ratios, or log ratios and their spread, each (batch, n_numerators).
        n_numerators: Number of log ratios.
    """

    def __init__(self, network: torch.nn.Module, *, n_numerators: int) -> None:
        super().__init__()
        self.network = network
        self.n_numerators = n_numerators

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return (log_ratio,) or (log_ratio, log_ratio_spread).

        Args:
            x: Input columns (batch, n_columns).

        Raises:
            ShapeError: The network returns something else.
        """
        result = self.network(x)
        outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        got = [tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__ for output in outputs]
        fits = all(isinstance(shape, tuple) and len(shape) == 2 and shape[1] == self.n_numerators for shape in got)
        if not fits or len(outputs) not in (1, 2):
            msg = "outputs of the network"
            expected = f"log_ratio, or (log_ratio, log_ratio_spread), each (batch, {self.n_numerators})"
            raise ShapeError(msg, got=got, expected=expected, remedy="return one column per numerator")
        return outputs


def convert(network: NamedOutputs, example: torch.Tensor, *, metadata: OnnxMetadata) -> onnx.ModelProto:
    """Convert a network to a checked ONNX model with the ``h4l`` metadata.

    Args:
        network: The network; it is copied, and the copy converted to float32.
        example: Some input rows (n, n_columns), n > 0.
        metadata: What goes under the metadata key.

    Returns:
        The model: opset 18, dynamic batch, float32, weights inside, no traces of source files or folders.

    Raises:
        SchemaError: The network cannot be traced, or needs operators or types that are not portable.
    """
    single = copy.deepcopy(network).to(device="cpu", dtype=torch.float32).eval()
    rows = example[:1].expand(_EXAMPLE_ROWS, -1).to(torch.float32).contiguous()
    with torch.no_grad():
        n_outputs = len(single(rows))
    names = (OUTPUT_NAME, SPREAD_NAME)[:n_outputs]
    try:
        model = flat_model(single, rows, input_name=INPUT_NAME, output_names=names, opset=OPSET)
    except NotFlatError:
        model = _trace(single, rows, names)
    stabilise(model)
    _make_anonymous(model)
    finish(model, metadata=metadata)
    _check_portable(model)
    return model


def finish(model: onnx.ModelProto, *, metadata: OnnxMetadata) -> onnx.ModelProto:
    """Name the nodes, write the metadata and check the form of a graph, in place; returns it."""
    _name_nodes(model.graph)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "h4l-toolkit", metadata.toolkit_version
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return model


def operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the sorted operator names of a model, those of other domains as ``domain::name``."""
    return tuple(sorted({f"{node.domain}::{node.op_type}" if node.domain else str(node.op_type) for node in model.graph.node}))


def _trace(network: torch.nn.Module, rows: torch.Tensor, output_names: Sequence[str]) -> onnx.ModelProto:
    try:
        with _silence():
            program = torch.onnx.export(
                network,
                (rows,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=list(output_names),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                optimize=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        msg = "the network cannot be converted to ONNX"
        got = str(error.__cause__ or error).strip().partition("\n")[0]
        remedy = "keep data-dependent branches and the batch size out of forward()"
        raise SchemaError(msg, got=got, expected="a module that torch.export can trace with a dynamic batch", remedy=remedy) from error
    if program is None:  # pragma: no cover - torch returns None only from its old exporter
        msg = "torch.onnx.export returned nothing"
        raise SchemaError(msg, expected="an ONNX program", remedy="use torch >= 2.13")
    return program.model_proto


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep torch's exporter quiet: it logs what other packages lack and trips over its own deprecations."""
    levels = {name: logging.getLogger(name).level for name in _CHATTY_LOGGERS}
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Raised by torch's own calls inside torch.onnx.export, none of them ours to change.
            warnings.filterwarnings("ignore", message=r".*treespec, LeafSpec.*", category=FutureWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _make_anonymous(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the source: stack traces with file names, module paths."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name every node by operator and place: onnxruntime 1.18 to 1.21 refuse files with two nodes of one name, the empty one included."""
    for i, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{i}"


def _check_portable(model: onnx.ModelProto) -> None:
    foreign = sorted(set(operators(model)) - PORTABLE_OPERATORS)
    if foreign:
        msg = "the ONNX graph uses operators that not every runtime has"
        remedy = "write the layer with the operators that docs/onnx.md lists"
        raise SchemaError(msg, got=", ".join(foreign), expected="operators that onnxruntime >= 1.16 and SOFIE share", remedy=remedy)
    allowed = {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL}
    kinds = {initializer.data_type for initializer in model.graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)}
    kinds |= {attribute.i for node in model.graph.node if node.op_type == "Cast" for attribute in node.attribute if attribute.name == "to"}
    other = sorted(onnx.TensorProto.DataType.Name(kind) for kind in kinds - allowed)
    if other:
        msg = "the ONNX graph computes in types that not every runtime has"
        remedy = "leave conversions such as .double() out of forward()"
        raise SchemaError(msg, got=", ".join(other), expected="float32, with int64 and bool for indices and masks", remedy=remedy)
    if model.functions or any(initializer.external_data for initializer in model.graph.initializer):
        msg = "the ONNX model is not self-contained"
        raise SchemaError(msg, got="local functions or external weights", expected="one flat graph", remedy="report this as a defect")
