"""Whether expressions are defined over the whole range of their parameters, and where they are not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.errors import PhysicsDomainError
from toolkit.expressions.arithmetic import Expression
from toolkit.model.parameters import ModelParameter
from toolkit.typing import BoolArray, FloatArray

_LINE = 401
"""Points of an axis where an expression has one parameter; 21 with two, 7 with three, and random points with more."""
_RANDOM = 4096
_FAR = 100.0
"""What stands for an infinite end of a range."""


def require_defined(expressions: Mapping[str, str], *, parameters: Sequence[ModelParameter]) -> None:
    """Check that every expression has a finite value over the ranges of its parameters.

    Args:
        expressions: In independent parameters, by the words that name them in the message.
        parameters: The parameters, with their ranges.

    Raises:
        PhysicsDomainError: A root of a negative number, a division by zero or an overflow inside the range; says where.

    Notes:
        Looked at on a grid that holds the ends of the ranges, 0 and the truths: a gap narrower than its spacing is not seen.
    """
    known = {p.name: p for p in parameters}
    for what, text in expressions.items():
        expression = Expression.parse(text)
        used = [known[name] for name in expression.names]
        if not used:
            expression.value({})
            continue
        points = _points(used)
        defined = _defined(expression, points)
        if not np.all(defined):
            raise PhysicsDomainError(
                f"{what}: {text!r}",
                got=_where(used, points[~defined]),
                expected="a finite value over the whole allowed range",
                remedy="restrict the range of the parameter, or correct the expression",
            )


def _points(used: Sequence[ModelParameter]) -> FloatArray:
    """Return where an expression is looked at, (n_points, n_parameters): a grid, or corners and random points of many dimensions."""
    if len(used) <= 3:
        axes = [_axis(p, {1: _LINE, 2: 21, 3: 7}[len(used)]) for p in used]
        return np.array(list(itertools.product(*axes)), dtype=np.float64)
    ends = np.array([_axis(p, 2)[[0, -1]] for p in used])
    random = ends[:, 0] + np.random.default_rng(1).uniform(size=(_RANDOM, len(used))) * (ends[:, 1] - ends[:, 0])
    corners = np.array(list(itertools.islice(itertools.product(*ends), _RANDOM)))
    return np.concatenate([random, corners])


def _axis(parameter: ModelParameter, n: int) -> FloatArray:
    low, high = (x if math.isfinite(x) else math.copysign(_FAR, x) for x in parameter.range)
    special = [x for x in (0.0, parameter.truth, parameter.start) if low <= x <= high]
    return np.unique(np.concatenate([np.linspace(low, high, n), special]))


def _defined(expression: Expression, points: FloatArray) -> BoolArray:
    """Say at which points an expression has a finite value; halves the points where some have none."""
    try:
        expression.dual({name: points[:, k] for k, name in enumerate(expression.names)})
    except PhysicsDomainError:
        if len(points) == 1:
            return np.zeros(1, dtype=bool)
        half = len(points) // 2
        return np.concatenate([_defined(expression, points[:half]), _defined(expression, points[half:])])
    return np.ones(len(points), dtype=bool)


def _where(used: Sequence[ModelParameter], bad: FloatArray) -> str:
    """Write where: an interval for one parameter, otherwise a point and the extent."""
    extent = [f"{p.name} in [{low:.4g}, {high:.4g}]" for p, low, high in zip(used, bad.min(axis=0), bad.max(axis=0), strict=True)]
    allowed = ", ".join(f"{p.name} in [{p.range[0]:g}, {p.range[1]:g}]" for p in used)
    first = ", ".join(f"{p.name} = {x:.4g}" for p, x in zip(used, bad[0], strict=True))
    return f"no finite value at {first} (and elsewhere with {', '.join(extent)}); the range is {allowed}"
