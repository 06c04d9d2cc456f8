"""Scores of the total density at parameter points, as combinations of what the heads of a mixture encode.

With products m_c = (M_kk, 2 M_kl) of every class c, the total density at a point theta and its derivative along one parameter are linear,

    p(theta) = sum_c q_c . m_c,        dp = sum_c q'_c . m_c,        q_c = f_c(theta) a_k(theta) a_l(theta)

so a direction, the score dp / p at a point, is two lists of numbers. The derivative is taken along the coordinate in which all coefficients
are regular: sqrt(theta) where an amplitude is a square root, theta elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.errors import SchemaError
from toolkit.expressions.substitution import substitute
from toolkit.model import Coefficients, Model, ModelParameter, Process
from toolkit.ratios.structure import Mixture
from toolkit.typing import FloatArray

STEP = 1e-3
"""Step of the one-sided derivative at a point where the parameter stands under a root and is zero; exact for quadratic functions."""


@dataclass(frozen=True)
class Direction:
    """The score of one parameter at one point.

    Attributes:
        label: Parameter and point in words.
        density: q_c of every class, one number per pair of amplitudes.
        slope: q'_c of every class.
    """

    label: str
    density: tuple[tuple[float, ...], ...]
    slope: tuple[tuple[float, ...], ...]

    def score(self, mixture: Mixture, heads: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Compute the score of the unnormalised total density.

        Args:
            mixture: Meaning of the heads.
            heads: Outputs of a network, (n, n_heads).

        Returns:
            dp / p, (n,), and its product with the density of every coherent class over its class density, (n,) each.
        """
        amounts = mixture.densities(heads)
        totals, derivatives, inside = [], [], {}
        for k in range(len(mixture.classes)):
            part, change = mixture.mixed(heads, k, self.density[k]), mixture.mixed(heads, k, self.slope[k])
            if part is not None:
                inside[k] = part
                totals.append(_times(part, amounts[k]))
            if change is not None:
                derivatives.append(_times(change, amounts[k]))
        score = _sum(derivatives) / _sum(totals)
        return score, [inside[k] * score for k in mixture.coherent]


def _times(part: torch.Tensor, amount: torch.Tensor | None) -> torch.Tensor:
    return part if amount is None else part * amount


def _sum(terms: Sequence[torch.Tensor]) -> torch.Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def score_directions(model: Model, values: Sequence[float]) -> tuple[Direction, ...]:
    """List the directions of a model: every parameter of interest at some values, every free normalisation at its truth.

    Args:
        model: The physics model.
        values: Values of each parameter of interest, the others at their truth: those from the lower end of its range on; for a parameter
            that may be negative the values of both signs that its range holds.

    Returns:
        The directions along which a density moves.

    Raises:
        SchemaError: No value is left for a parameter of interest.

    Examples:
        >>> gg = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> model = Model((ModelParameter("mu", range=(0.0, 6.0)),), (gg,))
        >>> [(d.label, d.slope) for d in score_directions(model, (0.0, 1.0))]
        [('mu at mu = 0', ((0.0, 1.0, 0.0),)), ('mu at mu = 1', ((2.0, 1.0, 0.0),))]
    """
    found = []
    for parameter in model.parameters:
        if parameter.kind == "nuisance":
            continue
        chosen = _values_of(parameter, values) if parameter.kind == "interest" else (parameter.truth,)
        found += [direction_at(model, parameter.name, {**model.truth, parameter.name: float(v)}) for v in chosen]
    return tuple(d for d in found if any(any(row) for row in d.slope))


def _values_of(parameter: ModelParameter, values: Sequence[float]) -> tuple[float, ...]:
    low, high = parameter.range
    both = sorted({s * v + 0.0 for v in values for s in (-1.0, 1.0)})
    chosen = tuple(v for v in values if v >= low) if low >= 0.0 else tuple(v for v in both if low <= v <= high)
    if not chosen:
        raise SchemaError(
            "ratios.calibration_mu",
            got=list(values),
            expected=f"a value of {parameter.name} in [{low:g}, {high:g}]",
            remedy="add one",
        )
    return chosen


def direction_at(model: Model, parameter: str, point: Mapping[str, float]) -> Direction:
    """Return the direction of one parameter at one point; parameters are those of the model.

    Examples:
        >>> from toolkit.model import ModelParameter
        >>> gg = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> model = Model((ModelParameter("mu", range=(0.0, 6.0)),), (gg,))
        >>> direction_at(model, "mu", {"mu": 4.0}).density, direction_at(model, "mu", {"mu": 4.0}).slope  # along sqrt(mu)
        (((4.0, 2.0, 1.0),), ((4.0, 1.0, 0.0),))
    """
    names = model.parameter_names
    at = np.array([[float(point[name]) for name in names]])
    column, density, slope = names.index(parameter), [], []
    root = _stands_under_a_root(model, column)
    for process in model.processes:
        values, derivatives = _along(_functions(model, process), at, column, root=root)
        (*a, f), (*da, df) = values.tolist(), derivatives.tolist()
        density.append(tuple(f * a[k] * a[m] for k, m in process.pairs))
        slope.append(tuple(f * (a[k] * da[m] + da[k] * a[m]) + df * a[k] * a[m] for k, m in process.pairs))
    return Direction(f"{parameter} at {', '.join(f'{n} = {point[n]:g}' for n in names)}", tuple(density), tuple(slope))


def _functions(model: Model, process: Process) -> Coefficients:
    """Return the coefficients of the amplitudes, and last the factor of the process."""
    texts = (*(a.coefficient for a in process.amplitudes), process.factor)
    return Coefficients.parse([substitute(text, model.resolved) for text in texts], model.parameter_names)


def _stands_under_a_root(model: Model, column: int) -> bool:
    """Whether an amplitude has an infinite derivative where a parameter is zero."""
    point = np.array([[p.truth for p in model.parameters]])
    point[0, column] = 0.0
    with np.errstate(all="ignore"):
        derivatives = [_functions(model, process).jacobian(point)[0, column] for process in model.processes]
    return not all(np.all(np.isfinite(s)) for s in derivatives)


def _along(functions: Coefficients, at: FloatArray, column: int, *, root: bool) -> tuple[FloatArray, FloatArray]:
    """Return functions at a point and their derivatives along a parameter, or along its square root."""
    values = functions.values(at)[0]
    if not root:
        return values, functions.jacobian(at)[0, column]
    if at[0, column] > 0.0:
        return values, functions.jacobian(at)[0, column] * (2.0 * at[0, column] ** 0.5)
    near, far = at.copy(), at.copy()
    near[0, column], far[0, column] = STEP**2, (2.0 * STEP) ** 2
    slope = (4.0 * functions.values(near)[0] - functions.values(far)[0] - 3.0 * values) / (2.0 * STEP)
    return values, np.asarray(slope.round(9))
