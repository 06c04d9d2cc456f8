"""Unbinned channels in RooFit: the log ratios and variations of every event as columns, and the formulas of the mixture.

The density of an event is sum_j F_j nu_j r_j g_j / N_j over sum_j F_j nu_j: it is normalised as it stands, because every r_j is a ratio of
normalised densities, and RooFit integrates nothing. r_j is relative to the largest ratio of the event, which drops out of the likelihood.
N_j is the mean of a variation over simulated events: an integral over the number of the event, in bins of width 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exports.roofit_model import RoofitModel, Table, safe
from toolkit.likelihood.interpolation import CODE4, ShapeCode
from toolkit.likelihood.shaped import ShapeReference
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.likelihood.workspace_schema import UnbinnedChannel
from toolkit.typing import FloatArray

VANISHES = -800.0
"""Column of a log ratio where the density is 0: its exponential is 0 in double precision."""


class UnbinnedEvents:
    """An unbinned channel: columns of the events, densities of the samples, their expected events.

    Args:
        model: What calls and tables are added to.
        term: The likelihood of the channel.
        channel: The channel.
    """

    def __init__(self, model: RoofitModel, term: UnbinnedLikelihood, channel: UnbinnedChannel) -> None:
        self._model, self._term = model, term
        self._name, self._samples = safe(channel.name), [s.name for s in channel.samples]

    def write(self) -> None:
        """Add all calls and tables."""
        model, name, n = self._model, self._name, len(self._samples)
        table: Table = {"weight": self._term.weights}
        bases = [safe(f"{name}_{sample}") for sample in self._samples]
        rates = [model.rate(base, self._term.coefficients, j, float(self._term.yields[j])) for j, base in enumerate(bases)]
        densities = [self._density(j, base, table) for j, base in enumerate(bases)]
        model.call("formula", f"{name}_sum", " + ".join(f"@{j}*@{j + n}" for j in range(n)), [*rates, *densities])
        model.call("formula", f"{name}_expected", " + ".join(f"@{j}" for j in range(n)), rates)
        model.call("unbinnedChannel", name, f"{name}_sum", f"{name}_expected", list(table)[1:])
        model.tables[name] = table

    def _density(self, j: int, base: str, table: Table) -> str:
        """Add the density of a sample relative to the largest of the event, and its columns; returns its name."""
        model, term, shapes = self._model, self._term, self._term.shapes
        column = f"{base}_log_ratio"
        self._add(table, column, _logarithm(term.densities[:, j], float(term.yields[j])))
        if shapes is None or not shapes.parameters[j]:
            model.call("formula", f"{base}_density", "exp(@0)", [column])
            return f"{base}_density"
        names = list(shapes.parameters[j])
        columns = [f"{base}_{safe(p)}_{end}" for end in ("up", "down") for p in names]
        logs = np.asarray(shapes.logs[j], dtype=np.float64)
        for k, own in enumerate(columns):
            self._add(table, own, logs[:, k])
        basis = [b for p in names for b in _basis(model, safe(p), shapes.code)]
        text, arguments = f"exp(@0) * {variation(shapes.code, len(names), first=1)}", [column, *columns, *basis]
        if term.reference is not None:
            arguments.append(self._mean(j, base, term.reference, basis))
            text = f"{text} / @{len(arguments) - 1}"
        model.call("formula", f"{base}_density", text, arguments)
        return f"{base}_density"

    def _mean(self, j: int, base: str, reference: ShapeReference, basis: Sequence[str]) -> str:
        """Add the mean of the variations of a sample over the simulated events; returns its name."""
        logs, weights = np.asarray(reference.shapes.logs[j], dtype=np.float64), reference.weights[:, j]
        different, group = np.unique(logs, axis=0, return_inverse=True)  # bins of an observable: few rows are all of them
        summed: FloatArray = np.zeros(len(different))
        np.add.at(summed, group.reshape(-1), weights)
        columns = [f"v{k}" for k in range(different.shape[1])]
        name = f"{base}_mean"
        self._model.tables[name] = {"share": summed, **{c: different[:, k] for k, c in enumerate(columns)}}
        code: ShapeCode = reference.shapes.code
        text = f"@0 * {variation(code, len(columns) // 2, first=1)}"
        self._model.call("mean", name, name, text, ["share", *columns], list(basis))
        return name

    def _add(self, table: Table, column: str, values: FloatArray) -> None:
        self._model.call("column", column)
        table[column] = values


def variation(code: ShapeCode, n: int, *, first: int) -> str:
    """Write the product of the variations of n parameters as a formula.

    Args:
        code: Interpolation.
        n: Number of parameters.
        first: Number of the first argument: n logarithms up, n down, then what `_basis` returns of each parameter.

    Examples:
        >>> variation("log_quadratic", 1, first=1)
        'exp(@1*@3 + @2*@4)'
    """
    up, down, basis = first, first + n, first + 2 * n
    if code == "log_quadratic":
        terms = [f"@{up + k}*@{basis + 2 * k} + @{down + k}*@{basis + 2 * k + 1}" for k in range(n)]
        return f"exp({' + '.join(terms)})"
    return " * ".join(_code4(f"@{up + k}", f"@{down + k}", [f"@{basis + 7 * k + i}" for i in range(7)]) for k in range(n))


def _code4(u: str, d: str, basis: Sequence[str]) -> str:
    """Write the factor of code 4: the polynomial between -1 and 1, powers beyond."""
    a, up, up1, up2 = basis[0], basis[1], basis[3], basis[5]
    down, down1, down2 = basis[2], basis[4], basis[6]
    inside = f"1 - {up} - {down} + exp({u})*({up} + {u}*({up1} + {u}*{up2})) + exp({d})*({down} - {d}*({down1} - {d}*{down2}))"
    return f"(abs({a}) < 1 ? {inside} : ({a} > 0 ? exp({a}*{u}) : exp(-{a}*{d})))"


def _basis(model: RoofitModel, alpha: str, code: ShapeCode) -> list[str]:
    """Add the functions of a nuisance parameter that its variations need; returns their names."""
    if code == "log_quadratic":
        for end, sign in (("up", "+"), ("down", "-")):
            model.call("formula", f"{alpha}_{end}_part", f"0.5*((abs(@0) < 1 ? @0*@0 : 2*abs(@0) - 1) {sign} @0)", [alpha])
        return [f"{alpha}_up_part", f"{alpha}_down_part"]
    names = [f"{alpha}_part{i}" for i in range(6)]
    for i, name in enumerate(names):
        polynomial = " + ".join(f"({float(c)!r})*@0^{k + 1}" for k, c in enumerate(CODE4[:, i]))
        model.call("formula", name, polynomial, [alpha])
    return [alpha, *names]


def _logarithm(density: FloatArray, expected: float) -> FloatArray:
    """Return ln r of a density that was multiplied by its expected events, with `VANISHES` for a density of 0."""
    if not expected > 0.0:
        return np.full(len(density), VANISHES)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(density / expected), VANISHES)
