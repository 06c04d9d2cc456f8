"""Directions in the space of parameters along which no density changes, whatever the data."""

from __future__ import annotations

import numpy as np

from toolkit.errors import SchemaError
from toolkit.model.model import Model
from toolkit.typing import FloatArray

_PROBES = 5
_RELATIVE = 1e-8
_SHOWN = 1e-3


def flat_directions(model: Model) -> FloatArray:
    """Find directions of parameters of interest and normalisations along which no coefficient changes in any region.

    Args:
        model: The model.

    Returns:
        (n_directions, n_parameters) unit vectors in the order of `model.parameter_names`, at a point near the truth; nuisance parameters
        have constraints of their own and take no part.

    Notes:
        Necessary, not sufficient: two densities of the same shape leave a direction flat that is not found here.
    """
    free = [k for k, p in enumerate(model.parameters) if p.kind != "nuisance"]
    regions: list[str | None] = [r.name for r in model.regions]
    functions = [model.coefficients(region) for region in regions or [None]]
    rng = np.random.default_rng(1)
    best: FloatArray | None = None
    for _ in range(_PROBES):
        point = np.array([[_inside(p.range, p.truth, rng) for p in model.parameters]])
        jacobian = np.concatenate([f.jacobian(point)[0].T for f in functions])[:, free]
        _, singular, right = np.linalg.svd(np.nan_to_num(jacobian, posinf=1e6, neginf=-1e6))
        largest = singular[0] if singular.size else 0.0
        rank = int(np.sum(singular > _RELATIVE * largest)) if largest > 0 else 0
        if best is None or len(free) - rank < len(best):
            best = right[rank:]
    out = np.zeros((0 if best is None else len(best), len(model.parameters)))
    if best is not None:
        out[:, free] = best
    return out


def require_constrained(model: Model) -> None:
    """Check that every parameter of interest and every normalisation changes something.

    Raises:
        SchemaError: A direction is flat; names the parameters in it.
    """
    for direction in flat_directions(model):
        shown = [(name, part) for name, part in zip(model.parameter_names, direction, strict=True) if abs(part) > _SHOWN]
        names = [name for name, _ in shown]
        one = f"parameter {names[0]!r}: no density depends on it"
        raise SchemaError(
            one if len(names) == 1 else f"parameters {names}: no density tells them apart",
            got=f"a flat direction, {' '.join(f'{part:+.3g} {name}' for name, part in shown)}, at a point near the truth",
            expected="densities, in some region of the fit, that change with every parameter",
            remedy="use it in a factor or an amplitude, or remove it",
        )


def _inside(limits: tuple[float, float], truth: float, rng: np.random.Generator) -> float:
    """Draw a value near the truth, inside the range."""
    low, high = max(limits[0], truth - 1.0), min(limits[1], truth + 1.0)
    return float(low + (high - low) * rng.uniform(0.1, 0.9))
