"""All minima of a likelihood: where descents start, and which of them lead to the same minimum.

What to use when: `find_minima` for everything that a fit, a profile or a toy needs. Starts are looked for in the parameters along which
rates turn back (`toolkit.likelihood.interference`); where there are none, one descent is all.

Starting points follow the likelihood, not the range: a line or a grid of points that begins wide (steps that double, however far the range
goes) closes in on the region where twice_nll is low. Unconstrained parameters that interfere are looked at together, because the
expectation of one bin is the same on a whole ellipse of two amplitudes. Then lines through every minimum that was found, in
each such parameter, show the next one: a local minimum on the line, or a shoulder, which is where a minimum hides if other
parameters have to move with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import qmc

from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.likelihood.descent import Descent, curvature, descend, interior, positive
from toolkit.typing import BoolArray, FloatArray

LINE_POINTS = 45
CONSTRAINED_POINTS = 17
GRID_POINTS = {1: LINE_POINTS, 2: 15, 3: 9}
"""Points in each direction of a grid, by the number of directions; more directions get scattered points."""
SCATTERED_POINTS = 1024
STARTS_OF_GRID = 12
REACH = 30.0
"""Lines go through minima up to this height above the best one, and what matters on a line is up to this height above its lowest point."""
PULLED = 1.5
"""Where constrained parameters are pulled that far together, in widths, they are directions too: interpolations bend and flatten."""
SHALLOW = 4.0
"""Valleys are followed through minima up to this height above the best one."""
VALLEY_POINTS = 16
WALL = 9.0
"""A valley is followed up to this height above the minimum: what is behind a higher wall shows on the straight line."""
MAX_MINIMA = 16
MODERATE = 64.0
"""A range of at most that many typical steps is looked at evenly; in a wider one steps double away from the start."""
CLOSE = 1e-3
"""Two solutions are one minimum if they are closer than this fraction of every width."""


def find_minima(
    space: FreeCoordinates,
    starts: Sequence[FloatArray] = (),
    *,
    hessian: FloatArray | None = None,
    search: bool = True,
) -> list[Descent]:
    """Find the minima of a likelihood, the lowest first.

    Args:
        space: Coordinates, with at least one that is free.
        starts: Where to begin beside what the search finds, (n_free,) each.
        hessian: Second derivatives near the starts, (n_free, n_free), positive definite.
        search: Look for minima that no start leads to.

    Returns:
        Different minima, up to 16.
    """
    basins = Basins(space)
    for start in starts:
        basins.descend(start, hessian)
    if search or not basins.found:
        explore(basins)
    return basins.found


def explore(basins: Basins, *, thorough: bool = False) -> None:
    """Look for all minima, beginning with those that are known.

    Args:
        basins: What is known; gains what is found.
        thorough: Look along every constrained parameter too: far from the best fit, where others are held, one that is not pulled and does
            not turn back may have two minima.
    """
    space = basins.space
    directions = space.directions()
    if not basins.found and (len(space.free) > 1 or not directions):
        basins.descend(space.start(), None)
    centre = basins.found[0] if basins.found else Descent(space.start(), 0.0)
    wide = [k for k in directions if space.plausible(k) is None]
    if len(wide) > 1:
        hessian = _turned(known_hessian(space, centre), wide) if basins.found else None
        for start in grid_starts(space, centre.at, wide):
            basins.descend(start, hessian)
    elif len(space.free) == 1 and directions:  # nothing moves along: one line shows all
        for start in line_starts(space, centre.at, directions[0], line=low_line(space, centre.at, directions[0]), itself=True):
            basins.descend(start, None)
        return
    while (basin := basins.next_to_visit()) is not None:
        pulled = space.pulled(basin.at, PULLED) if directions else []
        for k in [*directions, *(space.pulled(basin.at, 0.0) if thorough else pulled)]:
            line = low_line(space, basin.at, k)
            starts = line_starts(space, basin.at, k, line=line, mirrored=k in directions)
            if (k in directions or k in pulled) and len(space.free) > 1 and basin.value <= basins.found[0].value + SHALLOW:
                starts += valley_starts(space, basin, k, line=line)
            for start in starts:
                basins.descend(start, _turned(known_hessian(space, basin), [k]))


def known_hessian(space: FreeCoordinates, basin: Descent) -> FloatArray:
    """Return positive second derivatives near a minimum; evaluated once where a descent did not leave any."""
    if basin.hessian is None:
        active = interior(space, basin.at, space.gradient(basin.at))
        hessian = np.diag(2.0 / space.scales() ** 2)
        if active.any():
            hessian[np.ix_(active, active)] = curvature(space, basin.at, active)
        object.__setattr__(basin, "hessian", positive(np.nan_to_num(hessian)))
    assert basin.hessian is not None
    return basin.hessian


def _turned(hessian: FloatArray, directions: Sequence[int]) -> FloatArray:
    """Forget how directions are correlated with the others: beyond a turning point the sign is another."""
    out = positive(hessian)
    for k in directions:
        keep = out[k, k]
        out[k, :] = out[:, k] = 0.0
        out[k, k] = keep
    return out


@dataclass
class Basins:
    """Minima found so far, the lowest first, and which of them lines have gone through.

    Attributes:
        space: Coordinates.
        found: The minima.
        visited: Those whose lines were searched.
    """

    space: FreeCoordinates
    found: list[Descent] = field(default_factory=list)
    visited: list[Descent] = field(default_factory=list)

    def descend(self, start: FloatArray, hessian: FloatArray | None) -> None:
        """Descend from a start and keep the minimum if it is a new one."""
        if not math.isfinite(self.space.value(start)):
            return
        reached = descend(self.space, start, hessian=hessian, known=self.found)
        if not math.isfinite(reached.value):
            return
        same = next((m for m in self.found if m is reached or is_same(self.space, m, reached)), None)
        if same is not None:
            if reached.value >= same.value:
                return
            self.found[self.found.index(same)] = reached
            self.visited = [reached if m is same else m for m in self.visited]
        else:
            self.found.append(reached)
        self.found = sorted(self.found, key=lambda m: m.value)[:MAX_MINIMA]

    def next_to_visit(self) -> Descent | None:
        """Return the lowest minimum that no lines have gone through, if it is not too high."""
        for minimum in self.found:
            if minimum.value <= self.found[0].value + REACH and not any(minimum is m for m in self.visited):
                self.visited.append(minimum)
                return minimum
        return None


def is_same(space: FreeCoordinates, one: Descent, other: Descent) -> bool:
    """Tell whether two descents ended in one minimum: at one point, or on a flat line."""
    away = np.abs(one.at - other.at)
    if np.all(away <= CLOSE * space.widths()):
        return True
    if abs(one.value - other.value) > 1e-5:
        return False
    shares = np.linspace(0.0, 1.0, 7)[1:-1, None]
    between = space.values(one.at + shares * (other.at - one.at))
    return bool(np.all(between <= max(one.value, other.value) + 1e-5))


def line_starts(
    space: FreeCoordinates, at: FloatArray, k: int, *, line: tuple[FloatArray, FloatArray], itself: bool = False, mirrored: bool = False
) -> list[FloatArray]:
    """Find where to begin descents on the line through a point in one direction.

    Args:
        space: Coordinates.
        at: The point, (n_free,).
        k: The direction.
        line: What `low_line` says of it.
        itself: Whether the point itself is a start; else it is a minimum, and what is next to it on the line leads to it.
        mirrored: Begin on the other side of the nominal value of a constrained parameter too.

    Returns:
        Points of the line, (n_free,) each: local minima, and shoulders, where the curve is less steep than on both sides.
    """
    x, heights = line
    chosen = promising(x, heights)
    if not itself:
        nearest = int(np.searchsorted(x, at[k]))
        own = {nearest - 1, nearest} if not (nearest < len(x) and x[nearest] == at[k]) else {nearest}
        chosen = [i for i in chosen if i not in own]
    return [_moved(at, k, value) for value in [*(float(x[i]) for i in chosen), *(_mirrored(space, at, k) if mirrored else ())]]


def valley_starts(space: FreeCoordinates, basin: Descent, k: int, *, line: tuple[FloatArray, FloatArray]) -> list[FloatArray]:
    """Find where to begin descents in the valley through a minimum: a line in one direction from which the other coordinates move away.

    Where a minimum is shallow, nothing of it may show on the straight line, and a descent from a shoulder of that runs past it. So
    each point of the valley begins where the one before ended, and one Newton step in the other coordinates leads to its ground.

    Args:
        space: Coordinates, at least two of them.
        basin: The minimum.
        k: The direction.
        line: What `low_line` says of the straight line.

    Returns:
        Local minima of the valley's ground, (n_free,) each.
    """
    others = np.arange(len(space.free)) != k
    inverse = np.linalg.inv(known_hessian(space, basin)[np.ix_(others, others)])
    first, last = _low_part(line[1])
    x = line[0][np.unique(np.linspace(first, last, VALLEY_POINTS).round().astype(int))]
    found = [basin.at]
    for side in (x[x > basin.at[k]], x[x < basin.at[k]][::-1]):
        point = basin.at
        for value in side:
            point = _moved(point, k, float(value))
            height, slope = space.both(point)
            if not math.isfinite(height):
                break
            step = -inverse @ slope[others]
            point[others] = np.clip(point[others] + step, space.low[others], space.high[others])
            found.append(point)
            if height + 0.5 * float(slope[others] @ step) > basin.value + WALL:
                break
    points = np.array(sorted(found, key=lambda at: float(at[k])))
    own = int(np.searchsorted(points[:, k], basin.at[k]))
    return [points[i] for i in np.flatnonzero(_local_minima(space.values(points))) if i != own]


def _mirrored(space: FreeCoordinates, at: FloatArray, k: int) -> list[float]:
    """Return values of a constrained coordinate beyond its nominal value, where variations that go one way only are as large again.

    On the line through a minimum nothing may show of the minimum there, because the other parameters move with it.
    """
    limited = space.plausible(k)
    if limited is None:
        return []
    nominal, width = float(space.start()[k]), float(space.scales()[k])
    away = float(at[k]) - nominal
    values = [nominal - away] if abs(away) > 0.5 * width else [nominal - width, nominal + width]
    return [min(max(v, limited[0]), limited[1]) for v in values]


def promising(x: FloatArray, heights: FloatArray) -> list[int]:
    """Choose points of a curve from which a descent may reach a minimum of its own, the lowest first.

    Args:
        x: Abscissae, (n,), increasing.
        heights: Values, (n,), infinite at forbidden points.

    Examples:
        A shoulder between 2 and 3 on the way up from the minimum at 1:

        >>> x = np.arange(7.0)
        >>> promising(x, np.array([1.0, 0.0, 3.0, 3.5, 6.0, 10.0, 15.0]))
        [1, 2]
    """
    padded = np.concatenate([[np.inf], heights, [np.inf]])
    chosen = set(np.flatnonzero(np.isfinite(heights) & (heights <= padded[:-2]) & (heights <= padded[2:])).tolist())
    with np.errstate(invalid="ignore"):
        rise = np.diff(heights) / np.diff(x)
    steep = np.concatenate([[np.inf], np.where(np.isfinite(rise), np.abs(rise), np.inf), [np.inf]])
    sign = np.concatenate([[0.0], np.where(np.isfinite(rise), np.sign(rise), 0.0), [0.0]])
    for i in range(1, len(steep) - 1):
        one_way = all(sign[j] in (sign[i], 0.0) for j in (i - 1, i + 1))
        beside = [steep[j] for j in (i - 1, i + 1) if math.isfinite(steep[j])]
        if one_way and math.isfinite(steep[i]) and beside and steep[i] < (1.0 - 1e-9) * min(beside):
            chosen.add(i - 1 if sign[i] > 0.0 else i)
    return sorted(chosen, key=lambda i: float(heights[i]))


def low_line(space: FreeCoordinates, at: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Evaluate on a line where the values are low: coordinates (n,), values (n,)."""
    limited = space.plausible(k)
    if limited is not None:
        x = np.linspace(*limited, CONSTRAINED_POINTS)
        return x, space.values(_tiled(at, k, x))
    x = spread_points(space, at, k, LINE_POINTS)
    for _ in range(6):
        heights = space.values(_tiled(at, k, x))
        first, last = _low_part(heights)
        if last - first >= len(x) // 3:
            break
        x = np.linspace(x[first], x[last], LINE_POINTS)
    return x, heights


def _low_part(heights: FloatArray) -> tuple[int, int]:
    """Return the first and last index around all that is low and all local minima, one more on each side."""
    padded = np.concatenate([[np.inf], heights, [np.inf]])
    low = (heights <= np.min(heights) + REACH) | ((heights <= padded[:-2]) & (heights <= padded[2:]))
    indices = np.flatnonzero(low & np.isfinite(heights))
    if not len(indices):
        return 0, len(heights) - 1
    return max(int(indices[0]) - 1, 0), min(int(indices[-1]) + 1, len(heights) - 1)


def spread_points(space: FreeCoordinates, at: FloatArray, k: int, n: int) -> FloatArray:
    """Choose values of a coordinate over its whole range: evenly, or if it is wide in steps that double away from a point.

    Args:
        space: Coordinates.
        at: The point, (n_free,).
        k: The coordinate.
        n: Number of values where the range is moderate.

    Returns:
        Values, (n_values,), increasing, the ends of the range among them if they are finite.
    """
    low, high, step = float(space.low[k]), float(space.high[k]), float(space.scales()[k])
    if high - low <= MODERATE * step:
        return np.linspace(low, high, n)
    steps = 0.5 * step * np.concatenate([np.arange(0.0, 5.0), 4.0 * 2.0 ** np.arange(1.0, 64.0)])
    dense = np.linspace(max(low, at[k] - 8.0 * step), min(high, at[k] + 8.0 * step), n // 2)
    around = np.concatenate([at[k] - steps, at[k] + steps, dense])
    inside = around[(around > low) & (around < high) & (np.abs(around) < 1e18)]
    ends = [x for x in (low, high) if math.isfinite(x)]
    return np.asarray(np.unique(np.concatenate([inside, ends])))


def grid_starts(space: FreeCoordinates, at: FloatArray, directions: Sequence[int]) -> list[FloatArray]:
    """Find where to begin descents in several directions at once, the other coordinates staying.

    Args:
        space: Coordinates.
        at: The point through which the grid goes, (n_free,).
        directions: At least two coordinates.

    Returns:
        Local minima of a grid that has closed in on low values, (n_free,) each, the lowest first, up to 12.
    """
    if len(directions) > max(GRID_POINTS):
        return _scattered_starts(space, at, directions)
    n = GRID_POINTS[len(directions)]
    axes = [_thinned(spread_points(space, at, k, n), 2 * n) for k in directions]
    for _ in range(6):
        heights = _on_grid(space, at, directions, axes)
        parts = [_low_part(np.min(heights, axis=tuple(j for j in range(len(axes)) if j != i))) for i in range(len(axes))]
        if all(last - first >= len(x) // 2 for (first, last), x in zip(parts, axes, strict=True)):
            break
        axes = [np.linspace(x[first], x[last], n) for (first, last), x in zip(parts, axes, strict=True)]
    chosen = np.flatnonzero(_local_minima(heights).ravel())
    chosen = chosen[np.argsort(heights.ravel()[chosen], kind="stable")][:STARTS_OF_GRID]
    found = []
    for index in chosen:
        start = at.copy()
        start[list(directions)] = [x[i] for x, i in zip(axes, np.unravel_index(index, heights.shape), strict=True)]
        found.append(start)
    return found


def _thinned(x: FloatArray, most: int) -> FloatArray:
    """Leave out values so that at most so many are left, the ends staying."""
    if len(x) <= most:
        return x
    return np.asarray(x[np.unique(np.linspace(0, len(x) - 1, most).round().astype(int))])


def _on_grid(space: FreeCoordinates, at: FloatArray, directions: Sequence[int], axes: Sequence[FloatArray]) -> FloatArray:
    """Evaluate on a product of axes: an array with one axis per direction."""
    mesh = np.meshgrid(*axes, indexing="ij")
    points = np.tile(at, (mesh[0].size, 1))
    for k, values in zip(directions, mesh, strict=True):
        points[:, k] = values.ravel()
    return np.asarray(space.values(points).reshape(mesh[0].shape))


def _local_minima(heights: FloatArray) -> BoolArray:
    """Mark the finite points of a grid that are not above any neighbour, diagonal ones included."""
    padded = np.pad(heights, 1, constant_values=np.inf)
    lowest = np.isfinite(heights)
    for shift in np.ndindex(*(3,) * heights.ndim):
        lowest &= heights <= padded[tuple(slice(s, s + n) for s, n in zip(shift, heights.shape, strict=True))]
    return np.asarray(lowest)


def _scattered_starts(space: FreeCoordinates, at: FloatArray, directions: Sequence[int]) -> list[FloatArray]:
    """Scatter points evenly over the low parts of the lines through a point, and return the lowest that are not neighbours."""
    lines = {k: spread_points(space, at, k, LINE_POINTS) for k in directions}
    positions = qmc.Sobol(len(directions), scramble=False).random_base2(int(math.log2(SCATTERED_POINTS)))
    points = np.tile(at, (len(positions), 1))
    for column, (k, x) in zip(positions.T, lines.items(), strict=True):
        points[:, k] = np.interp(column, np.linspace(0.0, 1.0, len(x)), x)
    order = np.argsort(space.values(points), kind="stable")
    found: list[FloatArray] = []
    for i in order[: SCATTERED_POINTS // 8]:
        if all(np.any(np.abs(points[i] - f) > 0.1 * space.widths()) for f in found):
            found.append(points[i])
    return found[: 2 * STARTS_OF_GRID]


def _tiled(at: FloatArray, k: int, x: FloatArray) -> FloatArray:
    out = np.tile(at, (len(x), 1))
    out[:, k] = x
    return out


def _moved(at: FloatArray, k: int, x: float) -> FloatArray:
    return np.where(np.arange(len(at)) == k, x, at)
