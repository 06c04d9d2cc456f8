"""Values of a network while its ONNX graph is written: every tensor of the graph is (batch, width), whatever torch made of it.

A tensor of torch that has another rank is kept in pieces: (batch,) as one column, (n_members, batch, width) as a list of members.
Graphs of two axes are what every runtime reads, SOFIE's generated code among them, and need no shape arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper


class NotFlatError(Exception):
    """A step of the network has no form in tensors of two axes; the caller takes torch's exporter instead."""


@dataclass(frozen=True)
class Columns:
    """A tensor of the graph.

    Args:
        name: Its name in the graph.
        width: Number of columns.
        single: Whether torch's tensor is (batch,): one column without the axis.
        boolean: Whether it holds truth values.
    """

    name: str
    width: int
    single: bool = False
    boolean: bool = False


@dataclass(frozen=True)
class Filled:
    """The same row for every event.

    Args:
        row: The row, (1, width).
        single: Whether torch's tensor is (batch,).
    """

    row: torch.Tensor
    single: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.row.shape[1])


@dataclass(frozen=True)
class Members:
    """A tensor (n_members, batch, width) or (batch, n_members, width) as its members.

    Args:
        items: One tensor (batch, width) each.
        axis: Of torch's tensor that counts the members, 0 or 1.
        merged: Whether torch's tensor is (n_members * batch, width), members and events in one axis.
    """

    items: tuple[Columns | Filled, ...]
    axis: int = 0
    merged: bool = False


Value: TypeAlias = "torch.Tensor | Columns | Filled | Members | tuple[Value, ...] | float | int | bool | None"


class GraphWriter:
    """Collects nodes and constants; the same step on the same tensors is written once.

    Examples:
        The same step on the same tensors is written once:

        >>> writer = GraphWriter()
        >>> writer.emit("Exp", ["x"]), writer.emit("Exp", ["x"]), len(writer.nodes)
        ('exp_0', 'exp_0', 1)
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._known: dict[tuple[object, ...], str] = {}

    def emit(self, operator: str, inputs: Sequence[str], **attributes: object) -> str:
        """Add a node with one output.

        Args:
            operator: Operator of the default domain.
            inputs: Names of its inputs.
            attributes: Its attributes.

        Returns:
            Name of the output.
        """
        key = (operator, *inputs, *sorted(attributes.items()))
        if key not in self._known:
            name = f"{operator.lower()}_{len(self.nodes)}"
            self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
            self._known[key] = name
        return self._known[key]

    def constant(self, values: torch.Tensor) -> str:
        """Add a constant, float32, int64 or bool, and return its name."""
        if values.dtype not in (torch.float32, torch.int64, torch.bool):
            raise NotFlatError(str(values.dtype))
        array = np.ascontiguousarray(values.detach().numpy())
        key = ("constant", str(array.dtype), array.shape, array.tobytes())
        if key not in self._known:
            name = f"constant_{len(self.initializers)}"
            self.initializers.append(numpy_helper.from_array(array, name=name))
            self._known[key] = name
        return self._known[key]

    def integers(self, *values: int) -> str:
        """Add a constant list of integers and return its name."""
        return self.constant(torch.tensor(values, dtype=torch.int64))

    def materialise(self, value: Columns | Filled, *, like: Columns) -> Columns:
        """Turn a row that is the same for every event into a tensor with the batch of another one."""
        if isinstance(value, Columns):
            return value
        column = like if like.width == 1 else self.slice(like, 0, 1)
        zero = self.emit("Mul", [column.name, self.constant(torch.zeros(1))])
        return Columns(self.emit("Add", [zero, self.constant(value.row)]), value.width, value.single)

    def split(self, value: Columns, widths: Sequence[int]) -> tuple[Columns, ...]:
        """Cut a tensor into pieces of so many columns."""
        first = self.emit("Split", [value.name, self.integers(*widths)], axis=1)
        node = next(node for node in self.nodes if node.output[0] == first)
        if len(node.output) == 1:
            node.output.extend(f"{first}_{k}" for k in range(1, len(widths)))
        return tuple(Columns(name, width) for name, width in zip(node.output, widths, strict=True))

    def slice(self, value: Columns, start: int, stop: int, step: int = 1, *, single: bool = False) -> Columns:
        """Take some columns."""
        width = len(range(start, stop, step))
        if width == value.width and step == 1:
            return Columns(value.name, width, single, value.boolean)
        steps = [] if step == 1 else [self.integers(step)]
        name = self.emit("Slice", [value.name, self.integers(start), self.integers(stop), self.integers(1), *steps])
        return Columns(name, width, single, value.boolean)
