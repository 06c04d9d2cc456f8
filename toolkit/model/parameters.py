"""Parameters of a physics model, and parameters that are expressions of others."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.expressions.substitution import substitute

ParameterKind = Literal["interest", "normalisation", "nuisance"]
ConstraintKind = Literal["gaussian", "poisson"]


@dataclass(frozen=True)
class ModelParameter:
    """One parameter of a physics model.

    Attributes:
        name: Its name.
        kind: `interest` is measured and reported, `normalisation` is a free factor of a background without constraint, `nuisance` has an
            auxiliary measurement that gave its truth, with an error `width`.
        start: Where a fit starts.
        range: (low, high), both included, in which fits and scans stay.
        truth: Value of the Asimov set.
        label: For plots, in TeX; empty takes the name.
        constraint: Distribution of the auxiliary measurement of a nuisance parameter: `gaussian`, or `poisson` for a count
            (truth / width)^2.
        width: Standard deviation of that measurement.

    Raises:
        SchemaError: The range is empty, start or truth lies outside, or the width (of a count the truth, too) is not positive.

    Examples:
        >>> ModelParameter("mu", range=(0.0, 6.0)).truth
        1.0
    """

    name: str
    kind: ParameterKind = "interest"
    start: float = 1.0
    range: tuple[float, float] = (-math.inf, math.inf)
    truth: float = 1.0
    label: str = ""
    constraint: ConstraintKind = "gaussian"
    width: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.range
        if not low < high:
            raise SchemaError(f"parameter {self.name!r}", got=f"range [{low}, {high}]", expected="low < high", remedy="swap or widen it")
        for word, value in (("truth", self.truth), ("start", self.start)):
            if not low <= value <= high:
                what = f"{word} of parameter {self.name!r}"
                raise SchemaError(what, got=value, expected=f"a value in [{low:g}, {high:g}]", remedy="widen the range, or move the value")
        if not (0.0 < self.width < math.inf):
            raise SchemaError(f"width of parameter {self.name!r}", got=self.width, expected="a finite number > 0")
        if self.constraint == "poisson" and not (self.truth > 0.0 and low >= 0.0):
            what = f"parameter {self.name!r}, constrained by a count"
            remedy = "take `constraint: gaussian`, or a factor around 1"
            raise SchemaError(what, got=f"{self.truth:g} in [{low:g}, {high:g}]", expected="a positive value and range", remedy=remedy)


def resolve_derived(derived: Mapping[str, str], *, parameters: Sequence[str]) -> dict[str, str]:
    """Write derived parameters as expressions of the independent ones.

    Args:
        derived: Expression by name; it may use other derived parameters, in any order.
        parameters: Names of the independent parameters.

    Returns:
        Expression by name, in independent parameters only.

    Raises:
        SchemaError: A name is neither, is both, or derived parameters depend on each other in a circle.

    Examples:
        >>> resolve_derived({"mu_on": "mu / gamma", "mu": "kappa**4"}, parameters=["kappa", "gamma"])
        {'mu_on': '(kappa**4) / gamma', 'mu': 'kappa**4'}
    """
    both = sorted(set(derived) & set(parameters))
    if both:
        raise SchemaError(f"parameter {both[0]!r}", got="a range and an expression", expected="one of the two", remedy="rename one")
    known = (*parameters, *derived)
    for name, text in derived.items():
        require_names(text, known=known, what=f"derived parameter {name} =")
    resolved: dict[str, str] = {}
    waiting = dict(derived)
    while waiting:
        ready = {name: text for name, text in waiting.items() if not set(Expression.parse(text).names) & set(waiting)}
        if not ready:
            circle = sorted(waiting)
            raise SchemaError("derived parameters", got=f"{circle} depend on each other", expected="no circle", remedy="remove one of them")
        resolved |= {name: substitute(text, resolved) for name, text in ready.items()}
        waiting = {name: text for name, text in waiting.items() if name not in ready}
    return {name: resolved[name] for name in derived}


def require_names(text: str, *, known: Sequence[str], what: str) -> Expression:
    """Parse an expression and check that every name in it is defined.

    Raises:
        SchemaError: It is not of the grammar, or names a parameter that is not among `known`.

    Examples:
        >>> require_names("mu - sqrt(mu)", known=["mu"], what="coefficient").names
        ('mu',)
    """
    expression = Expression.parse(text)
    for name in expression.names:
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "define it under `parameters`, or correct the name"
            expected = f"one of {list(known)}" if known else "no parameter at all: none is defined"
            raise SchemaError(f"{what} {text!r}", got=f"undefined parameter {name!r}", expected=expected, remedy=remedy)
    return expression
