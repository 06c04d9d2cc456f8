"""Elementwise operations on the values of `exports.flat_values` as ONNX operators, in forms that keep their digits.

Each function takes the graph, the size that stands for the batch, and the arguments of the operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from exports.flat_values import Columns, Filled, GraphWriter, Members, NotFlatError, Value

Translate = Callable[..., Value]
Item = Columns | Filled


def _parts(value: Any) -> tuple[Item, ...] | None:
    return value.items if isinstance(value, Members) else None


def each(values: Sequence[Any], step: Callable[..., Any]) -> Any:
    """Apply a step, member by member where there are members."""
    lengths = {len(parts) for parts in map(_parts, values) if parts is not None}
    if not lengths:
        return step(*values)
    n = max(lengths)
    if lengths - {1, n}:
        what = f"members {lengths}"
        raise NotFlatError(what)
    layouts = {(v.axis, v.merged) for v in values if isinstance(v, Members)}
    ((axis, merged),) = layouts if len(layouts) == 1 else ((0, False),)
    among_events = any(isinstance(v, (Columns, Filled)) or (isinstance(v, torch.Tensor) and v.dim() > 1 and v.numel() > 1) for v in values)
    if len(layouts) > 1 or ((axis or merged) and among_events):
        what = "objects of an event and something else"
        raise NotFlatError(what)
    rows = [
        [v] * n if (parts := _parts(v)) is None else list(parts) * (n if len(parts) == 1 else 1) for v in (_unstack(v, n) for v in values)
    ]
    return Members(tuple(step(*(row[i] for row in rows)) for i in range(n)), axis, merged)


def _unstack(value: Any, n: int) -> Any:
    """Refuse a constant with an axis of members: which axis is meant depends on torch's rules."""
    if isinstance(value, torch.Tensor) and value.dim() > 2:
        if value.shape[0] not in (1, n) or value.dim() != 3 or value.shape[1] != 1:
            what = f"constant {tuple(value.shape)}"
            raise NotFlatError(what)
        return Members(tuple(Filled(value[i % value.shape[0]]) for i in range(n)))
    return value


def _operand(graph: GraphWriter, value: Any, other: Sequence[Any]) -> tuple[str, int]:
    """Name and width of an operand of an elementwise step."""
    if isinstance(value, Columns):
        return value.name, value.width
    if isinstance(value, (int, float)):
        return graph.constant(torch.tensor(float(value))), 1
    if isinstance(value, Filled):
        return graph.constant(value.row), value.width
    if not isinstance(value, torch.Tensor) or value.dim() > 2 or (value.dim() == 2 and value.shape[0] != 1):
        what = f"operand {value}"
        raise NotFlatError(what)
    single = any(isinstance(v, (Columns, Filled)) and v.single for v in other)
    if single and value.numel() != 1:
        what = "a row beside single columns"
        raise NotFlatError(what)
    values = value if value.dtype == torch.bool else value.to(torch.float32)
    if value.numel() == 1:
        return graph.constant(values.reshape(())), 1
    return graph.constant(values.reshape(1, -1)), int(value.shape[-1])


def elementwise(operator: str, reference: Callable[..., torch.Tensor], *, boolean: bool = False) -> Translate:
    """Translate an elementwise operation with torch's rules of broadcasting.

    Args:
        operator: ONNX operator.
        reference: The same in torch, for rows that are the same for every event.
        boolean: Whether the results are truth values.

    Returns:
        Function for the table of operations.
    """

    def one(graph: GraphWriter, *values: Any) -> Item:
        events = [v for v in values if isinstance(v, (Columns, Filled))]
        if len({v.single for v in events}) > 1:
            what = f"{operator} of a column and a matrix"
            raise NotFlatError(what)
        single = events[0].single
        if not any(isinstance(v, Columns) for v in values):
            rows = [v.row if isinstance(v, Filled) else v for v in values]
            return Filled(reference(*rows).reshape(1, -1), single)
        names, widths = zip(*(_operand(graph, v, values) for v in values), strict=True)
        width = max(widths)
        if set(widths) - {1, width}:
            what = f"{operator} of widths {widths}"
            raise NotFlatError(what)
        return Columns(graph.emit(operator, names), width, single, boolean)

    def translate(graph: GraphWriter, _n: int, *values: Any, alpha: float = 1.0) -> Value:
        if alpha != 1.0:
            values = (values[0], values[1] * alpha if isinstance(values[1], torch.Tensor) else mul(graph, _n, values[1], alpha))
        return each(values, lambda *items: one(graph, *items))  # type: ignore[no-any-return]

    return translate


add, sub = elementwise("Add", torch.add), elementwise("Sub", torch.sub)
mul, div = elementwise("Mul", torch.mul), elementwise("Div", torch.div)
maximum, minimum = elementwise("Max", torch.maximum), elementwise("Min", torch.minimum)
exp, log, neg = elementwise("Exp", torch.exp), elementwise("Log", torch.log), elementwise("Neg", torch.neg)
sqrt, tanh, absolute = elementwise("Sqrt", torch.sqrt), elementwise("Tanh", torch.tanh), elementwise("Abs", torch.abs)
sigmoid, relu, power = elementwise("Sigmoid", torch.sigmoid), elementwise("Relu", torch.relu), elementwise("Pow", torch.pow)


def as_tensor(value: Any) -> Any:
    """Turn a number into a constant, and pass on everything else."""
    return torch.tensor(float(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def pow_scalar(graph: GraphWriter, n: int, x: Any, exponent: Any) -> Value:
    """Raise to a power; a square is a product."""
    if isinstance(exponent, (int, float)) and float(exponent) == 2.0:
        return mul(graph, n, x, x)
    return power(graph, n, x, as_tensor(exponent))


def rsub(graph: GraphWriter, n: int, x: Any, other: Any, alpha: float = 1.0) -> Value:
    """Subtract the first from the second."""
    return sub(graph, n, as_tensor(other), x if alpha == 1.0 else mul(graph, n, x, alpha))


def silu(graph: GraphWriter, n: int, x: Any) -> Value:
    """X times its sigmoid."""
    return mul(graph, n, x, sigmoid(graph, n, x))


def softplus(graph: GraphWriter, n: int, x: Any, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """ln(1 + e^x) as max(x, 0) + ln(1 + e^-|x|): no overflow for any x."""
    del threshold
    if beta != 1.0:
        what = "softplus with beta"
        raise NotFlatError(what)
    tail = log(graph, n, add(graph, n, exp(graph, n, neg(graph, n, absolute(graph, n, x))), 1.0))
    return add(graph, n, relu(graph, n, x), tail)


def log_sigmoid(graph: GraphWriter, n: int, x: Any) -> Value:
    """Ln sigmoid(x) = -softplus(-x)."""
    return (neg(graph, n, softplus(graph, n, neg(graph, n, x))), None)


def log_add_exp(graph: GraphWriter, n: int, a: Any, b: Any) -> Value:
    """ln(e^a + e^b) as b + softplus(a - b)."""
    return add(graph, n, b, softplus(graph, n, sub(graph, n, a, b)))


def log1p(graph: GraphWriter, n: int, x: Any) -> Value:
    """ln(1 + x)."""
    return log(graph, n, add(graph, n, x, 1.0))


def reciprocal(graph: GraphWriter, n: int, x: Any) -> Value:
    """1 / x."""
    return div(graph, n, torch.tensor(1.0), x)


def gelu(graph: GraphWriter, n: int, x: Any, approximate: str = "none") -> Value:
    """X times the normal distribution function."""
    if approximate != "none":
        raise NotFlatError(approximate)
    error_function = elementwise("Erf", torch.erf)(graph, n, mul(graph, n, x, math.sqrt(0.5)))
    return mul(graph, n, mul(graph, n, x, 0.5), add(graph, n, error_function, 1.0))


def leaky_relu(graph: GraphWriter, n: int, x: Any, slope: float = 0.01) -> Value:
    """max(x, 0) + slope min(x, 0)."""
    below = minimum(graph, n, x, torch.tensor(0.0))
    return add(graph, n, relu(graph, n, x), mul(graph, n, below, slope))


def elu(graph: GraphWriter, n: int, x: Any, *factors: float) -> Value:
    """Scale (max(x, 0) + alpha (e^min(x, 0) - 1)); also torch's selu. The factors are alpha, scale and that of the input."""
    alpha, scale, of_input = (*factors, 1.0, 1.0, 1.0)[:3]
    if of_input != 1.0:
        what = "elu with input_scale"
        raise NotFlatError(what)
    below = sub(graph, n, exp(graph, n, minimum(graph, n, x, torch.tensor(0.0))), 1.0)
    return mul(graph, n, add(graph, n, relu(graph, n, x), mul(graph, n, below, alpha)), scale)


def clamp(graph: GraphWriter, n: int, x: Any, low: Any = None, high: Any = None) -> Value:
    """Limit from below and above."""
    limited = x if low is None else maximum(graph, n, x, as_tensor(low))
    return limited if high is None else minimum(graph, n, limited, as_tensor(high))


def clamp_max(graph: GraphWriter, n: int, x: Any, high: Any) -> Value:
    """Limit from above."""
    return clamp(graph, n, x, None, high)


def compare_with(operator: str, reference: Callable[..., torch.Tensor]) -> Translate:
    """Translate a comparison."""
    compare = elementwise(operator, reference, boolean=True)
    return lambda graph, n, x, other: compare(graph, n, x, as_tensor(other))


def where(graph: GraphWriter, n: int, condition: Any, a: Any, b: Any) -> Value:
    """Choose by truth value."""
    return elementwise("Where", torch.where)(graph, n, condition, as_tensor(a), as_tensor(b))
