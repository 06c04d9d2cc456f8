"""Parameters of a likelihood: name, starting value, allowed range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.errors import SchemaError

Bounds = Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: Its name.
        init: Where a fit starts, and which of two equally good minima it prefers.
        low: Lower end of the allowed range, included.
        high: Upper end, included.
        fixed: Whether a fit leaves it at `init`.
    """

    name: str
    init: float
    low: float = -math.inf
    high: float = math.inf
    fixed: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            what = f"parameter {self.name!r}"
            raise SchemaError(what, got=f"range [{self.low}, {self.high}]", expected="low < high", remedy="swap or widen the range")
        if not (math.isfinite(self.init) and self.low <= self.init <= self.high):
            what = f"parameter {self.name!r}"
            raise SchemaError(
                what, got=f"starting value {self.init}", expected=f"a value in [{self.low}, {self.high}]", remedy="move it into the range"
            )


def make_parameters(
    names: Sequence[str] | Sequence[Parameter], bounds: Bounds | None = None, init: Mapping[str, float] | None = None
) -> tuple[Parameter, ...]:
    """Build parameters from names and ranges.

    Args:
        names: Names, in the order of the parameter axis; or parameters, which are returned as they are.
        bounds: (low, high) per name, as a mapping or in the order of the names.
        init: Starting values; missing ones are 1, moved into the range.

    Returns:
        The parameters.

    Raises:
        SchemaError: Names repeat, or the bounds do not belong to the names.

    Examples:
        >>> make_parameters(("mu",), [(0.0, 6.0)])
        (Parameter(name='mu', init=1.0, low=0.0, high=6.0, fixed=False),)
    """
    ready = [n for n in names if isinstance(n, Parameter)]
    texts = [n.name if isinstance(n, Parameter) else n for n in names]
    if isinstance(names, str) or len(set(texts)) != len(texts) or not texts:
        what = "parameters"
        raise SchemaError(what, got=names, expected="one or more different names", remedy="give a tuple of names")
    if len(ready) == len(texts) and bounds is None and init is None:
        return tuple(ready)
    return _from_names(texts, bounds if bounds is not None else (), init or {})


def _from_names(names: Sequence[str], bounds: Bounds, init: Mapping[str, float]) -> tuple[Parameter, ...]:
    if isinstance(bounds, Mapping):
        if set(bounds) != set(names):
            what = "bounds"
            raise SchemaError(
                what, got=f"ranges of {sorted(bounds)}", expected=f"ranges of {sorted(names)}", remedy="give one range per parameter"
            )
        ranges = [bounds[name] for name in names]
    else:
        ranges = list(bounds)
        if len(ranges) != len(names) or any(not isinstance(r, Sequence) or len(r) != 2 for r in ranges):
            what = "bounds"
            raise SchemaError(
                what,
                got=bounds,
                expected=f"one (low, high) for each of {list(names)}",
                remedy='for one parameter: {"mu": (0, 6)} or [(0, 6)]',
            )
    unknown = sorted(set(init) - set(names))
    if unknown:
        what = "starting values"
        raise SchemaError(what, got=f"values of {unknown}", expected=f"parameters {list(names)}")
    return tuple(
        Parameter(name=name, init=float(init.get(name, min(max(1.0, low), high))), low=float(low), high=float(high))
        for name, (low, high) in zip(names, ranges, strict=True)
    )
