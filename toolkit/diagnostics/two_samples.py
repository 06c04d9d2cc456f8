"""Two independent sets of weighted events, such as those of two generators: histograms, their ratio, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.covariance import influence_covariance
from toolkit.diagnostics.edges import join_bins, starting_grid
from toolkit.diagnostics.inputs import check_vector
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray, IntArray

MIN_EFFECTIVE = 25.0
"""Effective events (Kish, absolute weights) that both sets must have in a bin, for the chi-square to be one."""
SHAPE_ERRORS = 5.0
"""Standard errors that a sum of weights must be away from zero for a histogram to be divided by it."""


@dataclass(frozen=True)
class YieldPair:
    """Sums of weights of two independent sets of events, their ratio B/A, and standard errors from sums of squared weights."""

    a: float
    a_error: float
    b: float
    b_error: float
    ratio: float
    ratio_error: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object; a ratio to zero is null."""
        return {name: jsonable(getattr(self, name)) for name in ("a", "a_error", "b", "b_error", "ratio", "ratio_error")}


@dataclass(frozen=True, eq=False)
class PairedHistogram:
    """One observable in two independent sets of events.

    Attributes:
        observable: Its name.
        edges: (k + 1,) edges after joining; first and last bin include underflow and overflow.
        bins: Bins before joining.
        normalised: Whether the contents are shares of the events that have the observable.
        content: (2, k) sums of weights of A and of B, or their shares.
        error: (2, k) standard errors.
        ratio: (k,) B over A, NaN where A is zero.
        ratio_error: (k,) its standard error.
        missing: (2,) sums of weights of events without the observable.
        effective: Effective events in the poorest bin.
        chi2: Of the differences, with their covariance.
    """

    observable: str
    edges: FloatArray
    bins: int
    normalised: bool
    content: FloatArray
    error: FloatArray
    ratio: FloatArray
    ratio_error: FloatArray
    missing: FloatArray
    effective: float
    chi2: ChiSquare

    @property
    def thin(self) -> bool:
        """Whether a bin holds so few events that the p-value is a rough one."""
        return self.effective < MIN_EFFECTIVE

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        names = ("observable", "edges", "bins", "normalised", "content", "error", "ratio", "ratio_error", "missing", "effective")
        return {**{name: jsonable(getattr(self, name)) for name in names}, **self.chi2.to_json()}


def compare_yields(a: FloatArray, b: FloatArray) -> YieldPair:
    """Compare the sums of the weights of two independent sets of events.

    Args:
        a: (n,) weights of A, of either sign.
        b: (m,) weights of B.

    Returns:
        Sums, ratio B/A and errors; the ratio is NaN where the sum of A is zero.

    Examples:
        >>> compare_yields(np.full(4, 0.5), np.full(9, 1.0))
        YieldPair(a=2.0, a_error=1.0, b=9.0, b_error=3.0, ratio=4.5, ratio_error=2.704163456597...)
    """
    sums = np.array([[a.sum()], [b.sum()]])
    errors = np.sqrt([[np.sum(a**2)], [np.sum(b**2)]])
    ratio, ratio_error = _ratio(sums, errors)
    numbers = [float(x[0]) for x in (sums[0], errors[0], sums[1], errors[1], ratio, ratio_error)]
    return YieldPair(*numbers)


def compare_values(
    values: tuple[FloatArray, FloatArray],
    weights: tuple[FloatArray, FloatArray],
    *,
    observable: str,
    bins: int = 20,
    normalise: bool = False,
    min_effective: float = MIN_EFFECTIVE,
) -> PairedHistogram:
    """Histogram an observable in two independent sets of events and compare bin by bin.

    Args:
        values: (n,) and (m,) values in A and in B, NaN where an event lacks the observable.
        weights: (n,) and (m,) weights of either sign.
        observable: Name; decides on the edges, see `toolkit.diagnostics.edges.observable_edges`.
        bins: Number of bins before those with too few events are joined.
        normalise: Compare shapes: both histograms are divided by their sums.
        min_effective: Smallest number of effective events of A and of B in a bin.

    Returns:
        Histograms, ratio, chi-square. Variances are sums of squared weights. Shapes lose one degree of freedom: the covariance of
        the shares, which sum to one, takes it out.

    Raises:
        SchemaError: A or B has no value that carries weight, or the observable is constant.
        PhysicsDomainError: A weight is not finite, or shapes are compared of weights whose sum is compatible with zero.

    Examples:
        >>> a, b = np.repeat([0.0, 1.0], [100, 100]), np.repeat([0.0, 1.0], [130, 70])
        >>> found = compare_values((a, b), (np.ones(200), np.ones(200)), observable="n_jets")
        >>> found.ratio.tolist(), round(found.chi2.chi2, 6), found.chi2.ndf  # 30^2 / 230 + 30^2 / 170
        ([1.3, 0.7], 9.207161, 2)
    """
    for side, own in enumerate(weights):
        check_vector(own, name=f"weights of {'AB'[side]}", size=values[side].size)
        if not np.any(np.isfinite(values[side]) & (own != 0)):
            raise SchemaError(f"observable {observable}", got=f"no event of {'AB'[side]} has a value", expected="values in both")
    size = np.concatenate([np.abs(own) for own in weights])
    grid = starting_grid(np.concatenate(values), size, observable=observable, bins=bins)
    edges = _joined(grid, values, weights, min_effective)
    k = edges.size - 1
    index = (clipped_index(values[0], edges), clipped_index(values[1], edges))
    content = np.stack([bin_sums(i, k, w) for i, w in zip(index, weights, strict=True)])
    covariances = [np.diag(bin_sums(i, k, w**2)) for i, w in zip(index, weights, strict=True)]
    if normalise:
        for side in (0, 1):
            content[side], covariances[side] = _shape(content[side], index[side], weights[side], name=f"{observable} of {'AB'[side]}")
    error = np.sqrt(np.stack([np.diag(c) for c in covariances]).clip(min=0.0))
    ratio, ratio_error = _ratio(content, error)
    return PairedHistogram(
        observable=observable,
        edges=edges,
        bins=grid.size - 1,
        normalised=normalise,
        content=content,
        error=error,
        ratio=ratio,
        ratio_error=ratio_error,
        missing=np.array([own[i < 0].sum() for i, own in zip(index, weights, strict=True)]),
        effective=min(float(_effective(i, k, w).min()) for i, w in zip(index, weights, strict=True)),
        chi2=chi_square(content[1] - content[0], covariances[0] + covariances[1]),
    )


def _joined(grid: FloatArray, values: tuple[FloatArray, FloatArray], weights: tuple[FloatArray, FloatArray], least: float) -> FloatArray:
    """Join bins until both sets have enough effective events in each."""
    index = [clipped_index(own, grid) for own in values]
    sums = [bin_sums(i, grid.size - 1, np.abs(w)) for i, w in zip(index, weights, strict=True)]
    squares = [bin_sums(i, grid.size - 1, w**2) for i, w in zip(index, weights, strict=True)]
    return join_bins(grid, np.stack(sums, axis=1), np.stack(squares, axis=1), min_effective=least)


def _effective(index: IntArray, k: int, weights: FloatArray) -> FloatArray:
    sums, squares = bin_sums(index, k, np.abs(weights)), bin_sums(index, k, weights**2)
    return np.divide(sums**2, squares, out=np.zeros(k), where=squares > 0)


def _shape(content: FloatArray, index: IntArray, weights: FloatArray, *, name: str) -> tuple[FloatArray, FloatArray]:
    """Divide a histogram by its sum; the covariance knows that the sum fluctuates with the bins."""
    used = np.where(index >= 0, weights, 0.0)
    total, error = float(used.sum()), float(np.sqrt(np.sum(used**2)))
    if abs(total) < SHAPE_ERRORS * error:
        got = f"a sum of weights of {total:.4g} ± {error:.2g}"
        expected = f"{SHAPE_ERRORS:g} standard errors from zero"
        raise PhysicsDomainError(f"shape of {name}", got=got, expected=expected, remedy="compare without normalising")
    share = content / total
    local = used / total
    return share, influence_covariance(index, n_bins=content.size, local=local, columns=local[:, None], response=-share[:, None])


def _ratio(content: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return B/A of (2, k) contents and its error, for independent A and B."""
    a = np.where(content[0] != 0, content[0], np.nan)
    ratio = content[1] / a
    return ratio, np.hypot(error[1], ratio * error[0]) / np.abs(a)
