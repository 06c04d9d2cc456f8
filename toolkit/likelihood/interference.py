"""Which parameters a likelihood may have several minima in, found from the expected rates and not from names.

A fit has one minimum along a parameter when every rate rises or falls with it throughout its range. Two things break that: interference
(rates with sqrt(mu) and mu, or with c and c^2, return to the same value) and systematic variations that go the same way for up and
down. Both show as a rate that turns back. How far it turns back counts in units of its statistical uncertainty, because a second
minimum of a constrained parameter needs data that pull on the part that turns back: below a tenth of the uncertainty they would have to
be five standard deviations away to make one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.shapes import Shapes
from toolkit.typing import FloatArray

Rates = Callable[[FloatArray], FloatArray]
"""Expected events of processes or bins, (n_rates, at points (n_points, n_parameters)): (n_points, n_rates)."""

SIGNIFICANT = 0.1
"""A rate that turns back by less than this many standard deviations makes no second minimum; per width of a constraint."""
DEVIATIONS = 5.0
"""How far from its measurement a constrained parameter is looked at, in units of its constraint."""
SAMPLED_EVENTS = 2000


def plausible_range(parameter: Parameter, constraint: Constraint | None) -> tuple[float, float]:
    """Return the part of a range that matters: five widths of the constraint around its measurement, else the whole.

    Examples:
        >>> plausible_range(Parameter("alpha", 0.0, -10.0, 10.0), Constraint("alpha", observed=1.0))
        (-4.0, 6.0)
    """
    if constraint is None:
        return parameter.low, parameter.high
    centre, width = centre_and_width(constraint)
    low, high = max(parameter.low, centre - DEVIATIONS * width), min(parameter.high, centre + DEVIATIONS * width)
    return (low, high) if low < high else (parameter.low, parameter.high)


def centre_and_width(constraint: Constraint) -> tuple[float, float]:
    """Return where a constraint has its minimum and its standard deviation, in units of the parameter.

    Examples:
        >>> centre_and_width(Constraint("gamma", observed=25.0, kind="poisson", scale=25.0))
        (1.0, 0.2)
    """
    if constraint.kind == "gaussian":
        return constraint.observed, constraint.scale
    return constraint.observed / constraint.scale, math.sqrt(max(constraint.observed, 1.0)) / constraint.scale


def turning_parameters(rates: Rates, parameters: Sequence[Parameter], constraints: Sequence[Constraint], *, points: int) -> frozenset[str]:
    """Find the parameters along which an expected rate turns back.

    Args:
        rates: Expected events of processes and of bins; looked at with the other parameters at their start, and with larger strengths.
        parameters: All parameters.
        constraints: Constraint terms, for the part of each range that matters.
        points: Number of values of each parameter.

    Returns:
        Their names.

    Examples:
        10 (mu - sqrt(mu)) + 5 falls to 2.5 at mu = 1/4 and rises again; b does nothing of that kind.

        >>> parameters = (Parameter("mu", 1.0, 0.0, 4.0), Parameter("b", 1.0, 0.0, 2.0))
        >>> sorted(turning_parameters(lambda p: 10.0 * (p[:, :1] - np.sqrt(p[:, :1])) + 5.0 * p[:, 1:], parameters, (), points=21))
        ['mu']
    """
    own = {c.parameter: c for c in constraints}
    start = np.array([p.init for p in parameters])
    far = np.array([p.init if p.fixed or p.name in own else 0.25 * _near(p)[0] + 0.75 * _near(p)[1] for p in parameters])
    bases, found = [start] if np.array_equal(start, far) else [start, far], set()
    for k, p in enumerate(parameters):
        if p.fixed:
            continue
        for base in bases:
            line = np.tile(base, (points, 1))
            line[:, k] = _values(p, own.get(p.name), points)
            if _turns_back(rates(line), least=SIGNIFICANT * (DEVIATIONS if p.name in own else 1.0)):
                found.add(p.name)
                break
    return frozenset(found)


def _near(parameter: Parameter) -> tuple[float, float]:
    """Return the part of a range that is near the start, however wide the range is."""
    reach = 10.0 * max(1.0, abs(parameter.init))
    return max(parameter.low, parameter.init - reach), min(parameter.high, parameter.init + reach)


def _values(parameter: Parameter, constraint: Constraint | None, points: int) -> FloatArray:
    """Choose values of a parameter: dense near its start however wide the range is, and the ends of the range."""
    low, high = plausible_range(parameter, constraint)
    if constraint is not None:
        return np.linspace(low, high, points)
    near = _near(parameter)
    far = [x for x in (low, high) if math.isfinite(x) and not near[0] <= x <= near[1]]
    return np.sort(np.concatenate([near[0] + (near[1] - near[0]) * np.linspace(0.0, 1.0, points - len(far)) ** 2, far]))


def _turns_back(rates: FloatArray, *, least: float) -> bool:
    """Tell whether rates (n_points, n_rates) rise and fall again, by at least so many standard deviations."""
    usable = rates[np.all(np.isfinite(rates), axis=1)]
    if len(usable) < 3:
        return False
    steps = np.diff(usable, axis=0)
    back = np.minimum(np.maximum(steps, 0.0).sum(axis=0), np.maximum(-steps, 0.0).sum(axis=0))
    typical = np.maximum(np.abs(np.median(usable, axis=0)), 1.0)
    return bool(np.sum(back**2 / typical) > least**2)


def turning_shapes(shapes: Shapes, yields: FloatArray) -> frozenset[str]:
    """Find the parameters whose up and down variation move densities the same way.

    Args:
        shapes: Per-event variations.
        yields: Expected events of each process, (n_processes,).

    Returns:
        Their names. What moves all events alike is left to the normalisation; up to 2000 events, evenly spaced, are looked at.

    Examples:
        >>> same, opposite = ([0.2, -0.2], [0.2, -0.2]), ([0.2, -0.2], [-0.2, 0.2])
        >>> sorted(turning_shapes(Shapes.of([{"a": same, "b": opposite}], n_events=2), np.array([100.0])))
        ['a']
    """
    total: dict[str, float] = {}
    rows = slice(None, None, max(1, len(shapes) // SAMPLED_EVENTS))
    for names, logs, expected in zip(shapes.parameters, shapes.logs, yields.tolist(), strict=True):
        if not names or not len(shapes):
            continue
        moved = np.asarray(logs[rows], dtype=np.float64)
        moved = moved - moved.mean(axis=0)
        up, down = moved[:, : len(names)], moved[:, len(names) :]
        same = np.where(up * down > 0.0, np.minimum(np.abs(up), np.abs(down)), 0.0)
        for name, size in zip(names, (expected * np.mean(same**2, axis=0)).tolist(), strict=True):
            total[name] = total.get(name, 0.0) + size
    return frozenset(name for name, size in total.items() if size > SIGNIFICANT**2)
