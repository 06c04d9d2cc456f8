"""The table of operations: reductions, constants, and for each name of torch the function that translates it.

Each function takes the graph, the size that stands for the batch, and the arguments of the operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from exports import flat_elementwise as e
from exports import flat_shapes as s
from exports.flat_elementwise import Item, Translate, add, compare_with, div, each, elementwise, exp, log, maximum, minimum, mul, sub
from exports.flat_shapes import axis_of
from exports.flat_values import Columns, Filled, GraphWriter, Members, NotFlatError, Value


def _reduce(operator: str, combine: Callable[..., Value], *, mean: bool = False) -> Translate:
    """Reduce columns with one operator, members by combining them one after another."""

    def translate(graph: GraphWriter, n: int, x: Any, dim: Any = None, keepdim: bool = False, **_options: Any) -> Value:
        axes = [dim] if isinstance(dim, int) else list(dim or [])
        if len(axes) != 1:
            what = f"{operator} over axes {dim}"
            raise NotFlatError(what)
        if s.counts_members(x, axis_of(x, axes[0])):
            total: Any = x.items[0]
            for item in x.items[1:]:
                total = combine(graph, n, total, item)
            total = mul(graph, n, total, 1.0 / len(x.items)) if mean else total
            return Members((total,), x.axis) if keepdim else total
        if isinstance(x, Columns) and not x.single and axis_of(x, axes[0]) == 1:
            name = graph.emit(operator, [x.name, graph.integers(1)], keepdims=1)
            return Columns(name, 1, single=not keepdim)
        what = f"{operator} over axis {axes[0]}"
        raise NotFlatError(what)

    return translate


reduce_sum, reduce_mean = _reduce("ReduceSum", add), _reduce("ReduceMean", add, mean=True)
reduce_max, reduce_min = _reduce("ReduceMax", maximum), _reduce("ReduceMin", minimum)


def log_softmax(graph: GraphWriter, n: int, x: Any, dim: int, _half: bool = False) -> Value:
    """X - max - ln sum e^(x - max)."""
    if isinstance(x, Members):
        return each((x,), lambda item: log_softmax(graph, n, item, 1 if dim == 2 else dim))  # type: ignore[no-any-return]
    below = sub(graph, n, x, reduce_max(graph, n, x, dim, True))
    return sub(graph, n, below, log(graph, n, reduce_sum(graph, n, exp(graph, n, below), dim, True)))


def softmax(graph: GraphWriter, n: int, x: Any, dim: int, _half: bool = False) -> Value:
    """e^(x - max) over its sum."""
    powers = exp(graph, n, sub(graph, n, x, reduce_max(graph, n, x, dim, True)))
    return div(graph, n, powers, reduce_sum(graph, n, powers, dim, True))


def log_sum_exp(graph: GraphWriter, n: int, x: Any, dim: Any, keepdim: bool = False) -> Value:
    """Max + ln sum e^(x - max)."""
    highest = reduce_max(graph, n, x, dim, True)
    powers = exp(graph, n, sub(graph, n, x, highest))
    total = add(graph, n, highest, log(graph, n, reduce_sum(graph, n, powers, dim, True)))
    return total if keepdim else s.squeeze(graph, n, total, dim) if isinstance(total, Columns) else _only(total)


def _only(value: Any) -> Value:
    if isinstance(value, Members) and len(value.items) == 1:
        return value.items[0]
    what = "sum over members"
    raise NotFlatError(what)


def _filled(number: float | None) -> Translate:
    def like(_graph: GraphWriter, n: int, x: Any, value: Any = None, **_options: Any) -> Value:
        content = float(number if number is not None else value)
        if isinstance(x, (list, tuple)):
            if list(x)[:1] != [n] or len(x) > 2:
                what = f"constant of shape {list(x)}"
                raise NotFlatError(what)
            return Filled(torch.full((1, x[1] if len(x) == 2 else 1), content), single=len(x) == 1)
        step: Callable[..., Item] = lambda item: Filled(torch.full((1, item.width), content), item.single)  # noqa: E731
        return each((x,), step)  # type: ignore[no-any-return]

    return like


def same(_graph: GraphWriter, _n: int, x: Any, **options: Any) -> Value:
    """Pass on; conversions to another type are refused."""
    if isinstance(x, Columns) and x.boolean and options.get("dtype") == torch.float32:
        return e.where(_graph, _n, x, 1.0, 0.0)
    if options.get("dtype") not in (None, torch.float32):
        what = f"conversion to {options['dtype']}"
        raise NotFlatError(what)
    return x  # type: ignore[no-any-return]


OPERATORS: dict[str, Translate] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "rsub": e.rsub,
    "neg": e.neg,
    "reciprocal": e.reciprocal,
    "abs": e.absolute,
    "exp": exp,
    "log": log,
    "log1p": e.log1p,
    "sqrt": e.sqrt,
    "pow": e.pow_scalar,
    "square": lambda g, n, x: mul(g, n, x, x),
    "sin": elementwise("Sin", torch.sin),
    "cos": elementwise("Cos", torch.cos),
    "erf": elementwise("Erf", torch.erf),
    "tanh": e.tanh,
    "sigmoid": e.sigmoid,
    "relu": e.relu,
    "silu": e.silu,
    "gelu": e.gelu,
    "elu": e.elu,
    "leaky_relu": e.leaky_relu,
    "softplus": e.softplus,
    "log_sigmoid_forward": e.log_sigmoid,
    "logaddexp": e.log_add_exp,
    "logsumexp": log_sum_exp,
    "_log_softmax": log_softmax,
    "_softmax": softmax,
    "clamp": e.clamp,
    "clamp_min": e.clamp,
    "clamp_max": e.clamp_max,
    "maximum": maximum,
    "minimum": minimum,
    "where": e.where,
    "lt": compare_with("Less", torch.lt),
    "gt": compare_with("Greater", torch.gt),
    "le": compare_with("LessOrEqual", torch.le),
    "ge": compare_with("GreaterOrEqual", torch.ge),
    "eq": compare_with("Equal", torch.eq),
    "addmm": s.addmm,
    "mm": s.matmul,
    "matmul": s.matmul,
    "linear": s.linear,
    "slice": s.take_slice,
    "select": s.select,
    "unbind": s.unbind,
    "index_select": s.index_select,
    "split": s.split,
    "split_with_sizes": s.split,
    "cat": s.cat,
    "stack": s.stack,
    "unsqueeze": s.unsqueeze,
    "squeeze": s.squeeze,
    "expand": s.expand,
    "transpose": s.transpose,
    "view": s.view,
    "_unsafe_view": s.view,
    "reshape": s.view,
    "sum": reduce_sum,
    "mean": reduce_mean,
    "amax": reduce_max,
    "amin": reduce_min,
    "zeros_like": _filled(0.0),
    "ones_like": _filled(1.0),
    "full_like": _filled(None),
    "zeros": _filled(0.0),
    "ones": _filled(1.0),
    "full": _filled(None),
    "detach": same,
    "clone": same,
    "alias": same,
    "contiguous": same,
    "lift_fresh_copy": same,
    "_to_copy": same,
}
"""By the name of torch's operation without overload."""
