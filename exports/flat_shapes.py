"""Products with constant matrices, and what torch does to shapes: slices, joins, members of a stack.

Each function takes the graph, the size that stands for the batch, and the arguments of the operation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch

from exports.flat_elementwise import Item, each
from exports.flat_values import Columns, Filled, GraphWriter, Members, NotFlatError, Value


def axis_of(value: Any, axis: int) -> int:
    """Return the axis counted from the front; members have three axes, single columns one."""
    rank = (2 if value.merged else 3) if isinstance(value, Members) else 1 if value.single else 2
    return axis + rank if axis < 0 else axis


def counts_members(value: Any, axis: int) -> bool:
    """Whether an axis (from the front) is the one that counts members."""
    return isinstance(value, Members) and not value.merged and axis == value.axis


def matmul(graph: GraphWriter, _n: int, x: Any, weight: Any) -> Value:
    """Multiply rows with a constant matrix."""
    return addmm(graph, _n, None, x, weight)


def addmm(graph: GraphWriter, _n: int, bias: Any, x: Any, weight: Any) -> Value:
    """Multiply rows with a constant matrix and add a row."""

    def one(item: Item) -> Item:
        if item.single or not isinstance(weight, torch.Tensor) or weight.dim() != 2:
            what = "product of two tensors that depend on the input"
            raise NotFlatError(what)
        row = torch.zeros(weight.shape[1]) if bias is None else bias.reshape(-1)
        if isinstance(item, Filled):
            return Filled(item.row @ weight + row)
        names = [item.name, graph.constant(weight.t()), graph.constant(row)]
        return Columns(graph.emit("Gemm", names, transB=1), int(weight.shape[1]))

    return each((x,), one)  # type: ignore[no-any-return]


def linear(graph: GraphWriter, n: int, x: Any, weight: Any, bias: Any = None) -> Value:
    """Apply a linear layer."""
    return addmm(graph, n, bias, x, weight.t())


def take_slice(graph: GraphWriter, _n: int, x: Any, dim: int = 0, *limits: Any) -> Value:
    """Take a range of columns, of members, or all rows."""
    start, end, step = limits + (None, None, 1)[len(limits) :]
    axis, start, end = axis_of(x, dim), start or 0, math.inf if end is None else end
    if counts_members(x, axis):
        return Members(x.items[start : min(int(min(end, len(x.items))), len(x.items)) : step], x.axis)
    if axis == (1 - x.axis if isinstance(x, Members) and not x.merged else 0):
        if start or end < _n or step != 1:
            what = "slice of rows"
            raise NotFlatError(what)
        return x  # type: ignore[no-any-return]

    def one(item: Item) -> Item:
        first, last, stride = slice(start, None if end == math.inf else int(end), step).indices(item.width)
        if last <= first:
            return Filled(torch.zeros(1, 0))
        return graph.slice(item, first, last, stride) if isinstance(item, Columns) else Filled(item.row[:, first:last:stride])

    return each((x,), one)  # type: ignore[no-any-return]


def select(graph: GraphWriter, _n: int, x: Any, dim: int, index: int) -> Value:
    """Take one column without its axis, or one member."""
    axis = axis_of(x, dim)
    if counts_members(x, axis):
        return x.items[index]  # type: ignore[no-any-return]
    if axis != 1 or isinstance(x, Members):
        what = f"select of axis {axis}"
        raise NotFlatError(what)
    k = index % x.width
    return graph.slice(x, k, k + 1, single=True) if isinstance(x, Columns) else Filled(x.row[:, k : k + 1], single=True)


def unbind(_graph: GraphWriter, _n: int, x: Any, dim: int = 0) -> Value:
    """List the members, or the columns."""
    if counts_members(x, axis_of(x, dim)):
        return x.items  # type: ignore[no-any-return]
    return tuple(select(_graph, _n, x, dim, k) for k in range(x.width))


def index_select(graph: GraphWriter, n: int, x: Any, dim: int, index: Any) -> Value:
    """Take columns in a given order."""
    wanted = [int(k) for k in index]
    axis = axis_of(x, dim)
    if counts_members(x, axis):
        return Members(tuple(x.items[k] for k in wanted), x.axis)
    return cat(graph, n, [take_slice(graph, n, x, dim, k, k + 1) for k in wanted], dim)


def split(graph: GraphWriter, n: int, x: Any, sizes: Any, dim: int = 0) -> Value:
    """Cut into pieces of columns."""
    if axis_of(x, dim) != 1 or isinstance(x, Members):
        what = "split of another axis"
        raise NotFlatError(what)
    if isinstance(sizes, int):
        sizes = [min(sizes, x.width - k) for k in range(0, x.width, sizes)]
    edges = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    return tuple(take_slice(graph, n, x, dim, a, b) for a, b in itertools.pairwise(edges))


def cat(graph: GraphWriter, _n: int, tensors: Sequence[Any], dim: int = 0) -> Value:
    """Join columns, or members."""
    axis = axis_of(tensors[0], dim)
    if all(counts_members(t, axis) for t in tensors):
        return Members(tuple(item for t in tensors for item in t.items), axis)

    def one(*items: Item) -> Item:
        return join(graph, items)

    if any(isinstance(t, torch.Tensor) for t in tensors) or axis != (2 if isinstance(tensors[0], Members) else 1):
        what = f"cat of axis {axis}"
        raise NotFlatError(what)
    return each(tensors, one)  # type: ignore[no-any-return]


def join(graph: GraphWriter, items: Sequence[Item]) -> Item:
    """Put tensors (batch, width) side by side; those without columns add nothing."""
    items = [item for item in items if item.width] or items[:1]
    if len(items) == 1:
        return items[0]
    like = next((item for item in items if isinstance(item, Columns)), None)
    if like is None:
        return Filled(torch.cat([item.row for item in items if isinstance(item, Filled)], dim=1))
    names = [graph.materialise(item, like=like).name for item in items]
    return Columns(graph.emit("Concat", names, axis=1), sum(item.width for item in items), boolean=like.boolean)


def stack(graph: GraphWriter, _n: int, tensors: Sequence[Any], dim: int = 0) -> Value:
    """Join single columns to a matrix, or matrices to members."""
    if all(isinstance(t, (Columns, Filled)) and not t.single for t in tensors) and dim in (0, -3):
        return Members(tuple(tensors))
    if all(isinstance(t, (Columns, Filled)) and t.single for t in tensors) and dim in (1, -1):
        return join(graph, tensors) if len(tensors) > 1 else unsqueeze(graph, _n, tensors[0], 1)
    what = f"stack along axis {dim}"
    raise NotFlatError(what)


def unsqueeze(_graph: GraphWriter, _n: int, x: Any, dim: int) -> Value:
    """Give a single column its axis, or a matrix that of members."""
    if isinstance(x, Columns) and x.single and dim in (1, -1):
        return Columns(x.name, 1, boolean=x.boolean)
    if isinstance(x, Filled) and x.single and dim in (1, -1):
        return Filled(x.row)
    if isinstance(x, (Columns, Filled)) and not x.single and dim == 0:
        return Members((x,))
    what = f"unsqueeze of axis {dim}"
    raise NotFlatError(what)


def squeeze(_graph: GraphWriter, _n: int, x: Any, dim: Any = None) -> Value:
    """Take the axis from a single column."""
    axes = [dim] if isinstance(dim, int) else list(dim)
    if isinstance(x, Columns) and not x.single and axes in ([1], [-1]):
        return Columns(x.name, 1, single=True, boolean=x.boolean) if x.width == 1 else x
    what = f"squeeze of axes {dim}"
    raise NotFlatError(what)


def expand(graph: GraphWriter, n: int, x: Any, size: Sequence[int], *, implicit: bool = False) -> Value:
    """Repeat a row, or a row of each member, for every event."""
    del implicit
    if isinstance(x, torch.Tensor):
        if list(size)[:-1] == [n] and x.dim() <= 2 and x.numel() in (1, size[-1]):
            return Filled(x.reshape(1, -1).expand(1, size[-1]).contiguous())
        if list(size) == [n] and x.numel() == 1:
            return Filled(x.reshape(1, 1), single=True)
        if x.dim() == 3 and x.shape[0] == 1 and list(size) in ([n, -1, -1], [n, *x.shape[1:]]):
            return Members(tuple(Filled(row[None]) for row in x[0]), axis=1)
    elif isinstance(x, Filled) and x.width == 1 and len(size) == 2 and size[0] in (n, -1) and not x.single:
        return Filled(x.row.expand(1, size[1]).contiguous())
    elif isinstance(x, Columns) and list(size) in ([n, x.width], [-1, x.width], [n, -1], [-1, -1]) and not x.single:
        return x
    elif isinstance(x, Columns) and x.width == 1 and len(size) == 2 and size[0] in (n, -1) and not x.single and not x.boolean:
        return Columns(graph.emit("Mul", [x.name, graph.constant(torch.ones(1, size[1]))]), size[1])
    what = f"expand to {list(size)}"
    raise NotFlatError(what)


def transpose(_graph: GraphWriter, _n: int, x: Any, first: int, second: int) -> Value:
    """Exchange the axes of members and events."""
    if isinstance(x, Members) and not x.merged and {axis_of(x, first), axis_of(x, second)} == {0, 1}:
        return Members(x.items, 1 - x.axis)
    what = f"transpose of axes {first} and {second}"
    raise NotFlatError(what)


def view(graph: GraphWriter, n: int, x: Any, size: Sequence[int]) -> Value:
    """Cut the columns into objects, put objects and events into one axis or apart again, give or take an axis of length 1."""
    shape = list(size)
    if isinstance(x, Members):
        m, width = len(x.items), x.items[0].width
        apart = [m, n, width] if x.axis == 0 else [n, m, width]
        if shape in (apart, [*apart[:2], -1]) or (x.axis == 1 and shape == [-1, m, width]):
            return Members(x.items, x.axis)
        if shape in ([n * m, width], [n * m, -1]) or (shape == [-1, width] and m > 1):
            return Members(x.items, x.axis, merged=True)
        if x.axis == 1 and not x.merged and shape in ([n, m * width], [-1, m * width], [n, -1]):
            return join(graph, x.items)
    elif isinstance(x, Columns) and len(shape) == 3 and not x.single and shape[0] in (n, -1) and shape[1] * shape[2] == x.width:
        w = shape[2]
        return Members(tuple(graph.slice(x, k * w, (k + 1) * w) for k in range(shape[1])), axis=1)
    elif isinstance(x, Columns) and shape in ([n, x.width], [-1, x.width]):
        return Columns(x.name, x.width, boolean=x.boolean)
    elif isinstance(x, Columns) and x.width == 1 and shape in ([n], [-1]):
        return Columns(x.name, 1, single=True, boolean=x.boolean)
    what = f"view as {shape}"
    raise NotFlatError(what)
