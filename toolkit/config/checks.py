"""Whether sections of a config fit its physics model: closure tests and nuisance parameters."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from toolkit.expressions.arithmetic import Expression
from toolkit.model.model import Model


def check_closure(points: Sequence[Mapping[str, float]], model: Model) -> None:
    """Check that the truths of closure tests, by parameter, are in the ranges of free parameters.

    Raises:
        ValueError: One is not, or there is no such parameter.
    """
    known = {p.name: p.range for p in model.parameters if p.kind != "nuisance"}
    for name, value in ((name, value) for point in points for name, value in point.items()):
        low, high = known.get(name, (math.inf, -math.inf))
        if not low <= value <= high:
            msg = f"likelihood.closure: {name} = {value:g} is no value in the range of a free parameter; the ranges are {known}"
            raise ValueError(msg)


def check_truths(values: Sequence[float], model: Model) -> None:
    """Check that every value of `closure_mu` is in the range of a parameter of interest.

    Raises:
        ValueError: One is outside all of them.
    """
    ranges = {p.name: p.range for p in model.interest}
    outside = [v for v in values if not any(low <= v <= high for low, high in ranges.values())]
    if outside:
        msg = f"closure_mu {outside} lie outside the ranges of all parameters of interest, {ranges}"
        raise ValueError(msg)


def check_nuisances(model: Model, *, variations: Collection[str]) -> None:
    """Check that every nuisance parameter of the model does something, and that one with the name of a variation is the same.

    Args:
        model: The model.
        variations: Names of the systematic uncertainties, each a number of standard deviations.

    Raises:
        ValueError: Names the parameter.
    """
    texts = [text for region in (None, *(r.name for r in model.regions)) for text in model.expressions(region)]
    used = {name for text in texts for name in Expression.parse(text).names}
    for parameter in model.nuisances:
        if parameter.name not in used:
            msg = f"parameters.{parameter.name}: no density depends on this nuisance parameter; use it in a factor, or remove it"
            raise ValueError(msg)
        if parameter.name in variations and (parameter.constraint, parameter.truth, parameter.width) != ("gaussian", 0.0, 1.0):
            msg = (
                f"parameters.{parameter.name}: a systematic variation has this name, too, and is a number of standard deviations; "
                "one parameter of both needs `central: 0` and `width: 1`, otherwise rename it"
            )
            raise ValueError(msg)
