"""Directions in the space of parameters along which no density changes, whatever the data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from toolkit.errors import SchemaError
from toolkit.model.coefficients import Coefficients
from toolkit.model.model import Model
from toolkit.model.parameters import ModelParameter
from toolkit.typing import FloatArray

_PROBES = 5
_RELATIVE = 1e-8
_SHOWN = 1e-3


def flat_directions(
    model: Model, *, templates: Mapping[str | None, FloatArray] | None = None, constrained: Collection[str] = ()
) -> FloatArray:
    """Find directions of parameters of interest and normalisations along which no coefficient changes in any region.

    Args:
        model: The model.
        templates: What a region sees of the densities, (n_densities, n_seen): expected events in its bins, or the diagonal matrix of
            yields where densities are told apart event by event. Without them every region tells all densities apart.
        constrained: Parameters that something else measures.

    Returns:
        (n_directions, n_parameters) unit vectors in the order of `model.parameter_names`, at a point near the truth; nuisance parameters
        have constraints of their own and take no part.

    Notes:
        Necessary, not sufficient: two densities of the same shape leave a direction flat that is not found without their templates.
    """
    free = [k for k, p in enumerate(model.parameters) if p.kind != "nuisance" and p.name not in constrained]
    regions: list[str | None] = [r.name for r in model.regions]
    seen: Mapping[str | None, FloatArray | None] = dict.fromkeys(regions or [None]) if templates is None else dict(templates)
    functions = [(model.coefficients(region), matrix) for region, matrix in seen.items()]
    return _flat(functions, model.parameters, free)


def _flat(
    functions: Sequence[tuple[Coefficients, FloatArray | None]], parameters: Sequence[ModelParameter], free: Sequence[int]
) -> FloatArray:
    """Find the directions of some parameters along which no function changes; those of the probe that has the fewest."""
    rng = np.random.default_rng(1)
    best: FloatArray | None = None
    for _ in range(_PROBES):
        point = np.array([[_inside(p.range, p.truth, rng) for p in parameters]])
        rows = [np.nan_to_num(f.jacobian(point)[0].T, posinf=1e6, neginf=-1e6) for f, _ in functions]
        jacobian = np.concatenate([r if m is None else m.T @ r for r, (_, m) in zip(rows, functions, strict=True)])[:, free]
        _, singular, right = np.linalg.svd(jacobian)
        largest = singular[0] if singular.size else 0.0
        rank = int(np.sum(singular > _RELATIVE * largest)) if largest > 0 else 0
        if best is None or len(free) - rank < len(best):
            best = right[rank:]
    out = np.zeros((0 if best is None else len(best), len(parameters)))
    if best is not None:
        out[:, free] = best
    return out


def require_constrained(
    model: Model, *, templates: Mapping[str | None, FloatArray] | None = None, constrained: Collection[str] = ()
) -> None:
    """Check that every parameter of interest and every normalisation changes something; arguments as in `flat_directions`.

    Raises:
        SchemaError: A direction is flat; names the parameters in it.
    """
    what = "density" if templates is None else "region of the fit"
    for direction in flat_directions(model, templates=templates, constrained=constrained):
        names, got = _described(direction, model.parameter_names)
        one = f"parameter {names[0]!r}: no {what} depends on it"
        raise SchemaError(
            one if len(names) == 1 else f"parameters {names}: no {what} tells them apart",
            got=got,
            expected="densities, in some region of the fit, that change with every parameter",
            remedy="use it in a factor or an amplitude, or remove it"
            if templates is None
            else "add a region that tells them apart, or fix one with `kind: nuisance`",
        )


def require_told_apart(expressions: Sequence[str], *, parameters: Sequence[ModelParameter], what: str) -> None:
    """Check that expressions tell parameters apart, whatever their values are worth.

    Args:
        expressions: All that depends on the parameters.
        parameters: The parameters.
        what: Where they stand, for the message.

    Raises:
        SchemaError: A direction is flat; names the parameters in it.

    Examples:
        >>> both = [ModelParameter(name, range=(0.0, 2.0)) for name in "ab"]
        >>> require_told_apart(["a * b"], parameters=both, what="fit")
        Traceback (most recent call last):
        ...
        toolkit.errors.SchemaError: fit: nothing tells the parameters ['a', 'b'] apart
          got:      a flat direction, -0.51 a +0.86 b, at a point near the truth
          expected: as many independent expressions as parameters
          remedy:   leave one out, or add a part that measures another combination of them
    """
    names = [p.name for p in parameters]
    functions = [(Coefficients.parse(expressions, names), None)]
    for direction in _flat(functions, parameters, range(len(parameters))):
        own, got = _described(direction, names)
        raise SchemaError(
            f"{what}: nothing depends on the parameter {own[0]!r}"
            if len(own) == 1
            else f"{what}: nothing tells the parameters {own} apart",
            got=got,
            expected="as many independent expressions as parameters",
            remedy="leave one out, or add a part that measures another combination of them",
        )


def _described(direction: FloatArray, names: Sequence[str]) -> tuple[list[str], str]:
    """Return the parameters in a flat direction, and the direction in words."""
    shown = [(name, part) for name, part in zip(names, direction, strict=True) if abs(part) > _SHOWN]
    words = " ".join(f"{part:+.3g} {name}" for name, part in shown)
    return [name for name, _ in shown], f"a flat direction, {words}, at a point near the truth"


def _inside(limits: tuple[float, float], truth: float, rng: np.random.Generator) -> float:
    """Draw a value near the truth, inside the range."""
    low, high = max(limits[0], truth - 1.0), min(limits[1], truth + 1.0)
    return float(low + (high - low) * rng.uniform(0.1, 0.9))
