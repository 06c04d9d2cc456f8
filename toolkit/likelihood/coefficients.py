"""Morphing coefficients of ready-made bases, and where their derivatives diverge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from toolkit.errors import SchemaError
from toolkit.likelihood.parameters import Parameter
from toolkit.model.bases import BASES
from toolkit.typing import FloatArray


def morphing_expressions(basis: str = "ggF", *, parameter: str = "mu", n_backgrounds: int = 0) -> tuple[str, ...]:
    """Write the morphing coefficients of a basis as expressions, those of the non-interfering backgrounds (1) last.

    Args:
        basis: "ggF" (benchmarks S, SBI, B) or "EW" (B, SBI1, SBI10).
        parameter: Name of the signal strength.
        n_backgrounds: Number of processes that do not interfere.

    Returns:
        One expression per process: the three benchmarks, then the backgrounds.

    Raises:
        SchemaError: The basis is not known.

    Examples:
        >>> morphing_expressions(n_backgrounds=1)
        ('mu - sqrt(mu)', 'sqrt(mu)', '1 - sqrt(mu)', '1')
    """
    known = [name for name, ready in BASES.items() if len(ready.amplitudes) == 2]
    if basis not in known:
        msg = "morphing basis"
        raise SchemaError(msg, got=repr(basis), expected=f"one of {known}", remedy="name a basis, or write the expressions yourself")
    return (*BASES[basis].expressions(parameter), *("1",) * n_backgrounds)


def describe_point(names: Sequence[str], point: FloatArray) -> str:
    """Write a parameter point for a message: "mu = 0.5, t = 1".

    Examples:
        >>> describe_point(("mu", "alpha"), [1.0, -0.5])
        'mu = 1, alpha = -0.5'
    """
    return ", ".join(f"{name} = {value:.6g}" for name, value in zip(names, point, strict=True))


class Differentiable(Protocol):
    """Functions of the parameters that know their derivatives; `Coefficients` and `toolkit.likelihood.rates.Rates` are."""

    def jacobian(self, points: FloatArray) -> FloatArray:
        """Evaluate the derivatives, (n_points, n_parameters, n_functions)."""
        ...


def diverging_parameters(coefficients: Differentiable, parameters: Sequence[Parameter]) -> frozenset[str]:
    """Find the parameters by which a coefficient's derivative is infinite at the lower end of the range."""
    found = set()
    for k, parameter in enumerate(parameters):
        if np.isfinite(parameter.low):
            point = np.array([[p.init for p in parameters]])
            point[0, k] = parameter.low
            if not np.all(np.isfinite(coefficients.jacobian(point)[0, k])):
                found.add(parameter.name)
    return frozenset(found)
