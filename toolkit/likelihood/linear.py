"""A workspace whose coefficients are expanded to first order: the interference with the truth alone, without squares of what is new."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.expressions.arithmetic import Expression


def linear_text(text: str, at: Mapping[str, float]) -> str:
    """Expand an expression to first order.

    Args:
        text: An expression of parameters that all have a value.
        at: The point, by parameter.

    Returns:
        The expression of first order, with numbers of 17 digits.

    Raises:
        SchemaError: It depends on another parameter.
        PhysicsDomainError: A derivative is infinite at the point.

    Examples:
        >>> linear_text("c**2 + 3 * c", {"c": 1.0})
        '-1 + 5 * c'
    """
    expression = Expression.parse(text)
    others = sorted(set(expression.names) - set(at))
    if others:
        got = f"{text!r}, which depends on {others}, too"
        raise SchemaError("expansion to first order", got=got, expected=f"a function of {sorted(at)}", remedy="fit with order: full")
    slopes = expression.derivative(at)
    constant = expression.value(at) - sum(slope * at[name] for name, slope in slopes.items())
    if not all(math.isfinite(slope) for slope in slopes.values()):
        got = f"an infinite derivative of {text!r}"
        raise PhysicsDomainError(
            "expansion to first order", got=got, expected="a smooth function", remedy="take the amplitude as parameter"
        )
    return f"{constant:.17g}" + "".join(f" {'-' if slope < 0 else '+'} {abs(slope):.17g} * {name}" for name, slope in slopes.items())


def linear_document(document: Mapping[str, Any], at: Mapping[str, float]) -> dict[str, Any]:
    """Expand the coefficients of a workspace document that depend on some parameters.

    Args:
        document: The document; it is not changed.
        at: Values of these parameters.

    Raises:
        SchemaError: A coefficient depends on others, too, or a network reads a parameter.
        PhysicsDomainError: A derivative is infinite.
    """
    new = copy.deepcopy(dict(document))
    for channel in (*new.get("channels", []), *new.get("unbinned_channels", [])):
        if set(channel.get("inputs", {})) & set(at):
            got = f"channel {channel['name']!r} of a network that reads {sorted(channel['inputs'])}"
            raise SchemaError("expansion to first order", got=got, expected="densities with coefficients", remedy="train the mixture")
        for sample in channel["samples"]:
            for modifier in sample.get("modifiers", []):
                if modifier["type"] == "morphing" and set(Expression.parse(modifier["data"]["coefficient"]).names) & set(at):
                    modifier["data"] = {"coefficient": linear_text(modifier["data"]["coefficient"], at)}
    return new
