"""Replace a large sample of simulated events by a few weighted ones that give the same normalisation of varied densities.

A nuisance parameter alpha changes the density of every event, and the varied density of process j must again be normalised: its factor
N_j(alpha) is a mean over the simulated events. For one fit the mean over all of them is taken. For thousands of toys a smaller sample
is made once, in two steps. Events with equal variations are merged, which changes nothing. Of the others a subsample is drawn, and
its weights are corrected such that the means of products of the log variations (monomials) stay those of all events, for every
process. N_j is the mean of an exponential of these logarithms, a series in the same products: what the first ones do not describe is
all that the subsample changes.

References:
    Deville, Sarndal, J. Am. Stat. Assoc. 87 (1992) 376: weights of a survey calibrated to known totals.
"""

from __future__ import annotations

import heapq
import math
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood.chunks import blocks
from toolkit.likelihood.shaped import ShapeReference
from toolkit.likelihood.shapes import Logs
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.typing import FloatArray

FEWEST_ROWS = 1000
"""Events of the first subsample that is tried; each next one is twice as large."""
ROWS_PER_MONOMIAL = 8
MAX_ORDER = 6
NEGLIGIBLE = 1e-6
BLOCK_ROWS = 4096
TOLERANCE = 0.01
"""Largest change of twice_nll, which one standard deviation changes by 1: best fits then move by less than a hundredth of it."""
TRIALS = 12
SPREAD = 2.0
"""Standard deviation of the nuisance parameters at which the change is measured: that of auxiliary measurement and fit and more."""


def quickly_normalised(likelihood: UnbinnedLikelihood, *, seed: int, expected: FloatArray | None = None) -> UnbinnedLikelihood:
    """Return a likelihood that normalises its per-event variations on a compressed sample.

    Args:
        likelihood: The likelihood; one without variations, or with variations that need no normalisation, is returned as it is.
        seed: Of the compression.
        expected: Expected events of each of its events under each process, (n_events, n_processes): the variations are then normalised
            on these events. Toys that are drawn from them follow the likelihood, variations included. Otherwise the sample stays
            what it is, only smaller.

    Returns:
        The likelihood, its twice_nll changed by no more than 0.01.
    """
    whole = likelihood.reference
    if likelihood.shapes is None or whole is None:
        return likelihood
    if expected is not None:
        whole = ShapeReference(np.where(expected.sum(axis=0) > 0.0, expected, 1.0), likelihood.shapes)
    return likelihood.with_normalisation(compressed(whole, likelihood.yields, seed=seed))


def compressed(reference: ShapeReference, yields: ArrayLike, *, seed: int, tolerance: float = TOLERANCE) -> ShapeReference:
    """Compress the sample on which variations are normalised.

    Args:
        reference: The whole sample.
        yields: Expected events of each process, (n_processes,): what a change of ln N_j is multiplied by in the likelihood.
        seed: Of the subsample and of the points at which it is compared with the whole sample.
        tolerance: Largest `difference` that is accepted.

    Returns:
        A sample with the same normalisation: exactly, where merging equal events is enough; else with the smallest of the tried
        subsamples that is within the tolerance; the whole sample if none is.

    Raises:
        SchemaError: A tolerance that is not positive.

    Examples:
        >>> from toolkit.likelihood.shapes import Shapes
        >>> logs = np.repeat([0.1, -0.2], 50)
        >>> shapes = Shapes.of([{"scale": (logs, -logs)}], n_events=100)
        >>> small = compressed(ShapeReference(np.ones((100, 1)), shapes), [1000.0], seed=1)
        >>> small.shapes.logs[0].tolist(), small.weights.tolist()
        ([[-0.2, 0.2], [0.1, -0.1]], [[0.5], [0.5]])
    """
    if not tolerance > 0.0:
        raise SchemaError("tolerance of a compressed normalisation", got=tolerance, expected="> 0")
    merged, rows = merge_equal(reference), FEWEST_ROWS
    while 2 * rows <= len(merged.weights):
        trial = _subsample(merged, rows=rows, seed=seed)
        if difference(trial, merged, yields, seed=seed) <= tolerance:
            return trial
        rows *= 2
    return merged


def difference(one: ShapeReference, other: ShapeReference, yields: ArrayLike, *, seed: int) -> float:
    """Measure by how much twice_nll differs between two normalisations, at nuisance parameters drawn around their nominal values.

    Args:
        one: A sample.
        other: Another one, with the same parameters.
        yields: nu_j, (n_processes,).
        seed: Of the nuisance parameters, normal with a standard deviation of 2.

    Returns:
        The largest 2 sum_j nu_j |ln N_j - ln N'_j| of 12 points; infinite where a normalisation is not positive.
    """
    nu = np.asarray(yields, dtype=np.float64)
    points = SPREAD * _generator(seed, 1).standard_normal((TRIALS, len(other.shapes.names)))
    try:
        return max(2.0 * float(nu @ np.abs(one.norms(p).log - other.norms(p).log)) for p in points)
    except PhysicsDomainError:  # corrected weights may be negative
        return math.inf


def merge_equal(reference: ShapeReference) -> ShapeReference:
    """Merge events whose variations are equal in every process; their weights add up and no normalisation changes."""
    shapes = reference.shapes
    stacked = shapes.table
    different, first, group = np.unique(stacked, axis=0, return_index=True, return_inverse=True)
    if len(different) == len(stacked):
        return reference
    sums = [np.bincount(group.reshape(-1), weights=column, minlength=len(different)) for column in reference.weights.T]
    return ShapeReference(np.stack(sums, axis=1), shapes.select(first))


def _subsample(reference: ShapeReference, *, rows: int, seed: int) -> ShapeReference:
    """Draw events, each about as often as it weighs in the mean over the processes, and correct their weights."""
    # Signed weights: an event is drawn by the size of its weight, and keeps the sign. Dividing by the chance makes every sum unbiased,
    # calibrating on the monomials then removes the noise of those sums that matter.
    sizes = np.abs(reference.weights)
    chance = (sizes / sizes.sum(axis=0)).mean(axis=1)
    drawn = _generator(seed, 0).multinomial(rows, chance / chance.sum())
    chosen = np.flatnonzero(drawn)
    start = reference.weights[chosen] * (drawn[chosen] / (rows * chance[chosen]))[:, None]
    columns = []
    for j, (logs, own) in enumerate(zip(reference.shapes.logs, reference.weights.T, strict=True)):
        terms = _Monomials.of(logs, own, most=rows // ROWS_PER_MONOMIAL)
        totals = sum((own[part] @ terms(logs[part]) for part in blocks(slice(0, len(own)), BLOCK_ROWS)), np.zeros(len(terms)))
        columns.append(_calibrated(start[:, j], terms(logs[chosen]), totals))
    return ShapeReference(np.stack(columns, axis=1), reference.shapes.select(chosen))


def _generator(seed: int, use: int) -> np.random.Generator:
    """Return random numbers unlike those of anything else that took the seed, such as the events themselves."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(b"compression"), use)))


def _calibrated(weights: FloatArray, terms: FloatArray, totals: FloatArray) -> FloatArray:
    """Change weights (n,) as little as possible, relative to their sizes, so that they give the totals of terms (n, n_terms).

    The terms have the sizes with which they enter the normalisation, so what is below NEGLIGIBLE of the largest is left alone.
    """
    sizes = np.abs(weights)
    inverse = np.linalg.pinv((terms * sizes[:, None]).T @ terms, rcond=NEGLIGIBLE**2, hermitian=True)
    for _ in range(2):  # the second one takes away the rounding errors of the first
        weights = weights + sizes * (terms @ (inverse @ (totals - weights @ terms)))
    return weights


@dataclass(frozen=True, eq=False)
class _Monomials:
    """1 and the leading monomials of the log variations of one process.

    Attributes:
        mean: Of the logarithms, (2 k,).
        axes: Turns the logarithms into uncorrelated combinations, the largest one first, (2 k, n).
        powers: The monomials, as positions of their factors.
    """

    mean: FloatArray
    axes: FloatArray
    powers: list[tuple[int, ...]]

    @classmethod
    def of(cls, logs: Logs, weights: FloatArray, *, most: int) -> _Monomials:
        """Find the combinations; up and down often are the same up to a sign, and count once."""
        values, size = np.asarray(logs, dtype=np.float64), np.abs(weights) / np.abs(weights).sum()
        mean = size @ values
        centred = values - mean
        variances, axes = (found[..., ::-1] for found in np.linalg.eigh((centred * size[:, None]).T @ centred))
        kept = variances > 1e-12 * max(float(variances.max(initial=0.0)), 1e-18)
        spreads = np.sqrt(variances[kept])
        return cls(mean, SPREAD * axes[:, kept], leading_powers(SPREAD * spreads, most=most - 1))

    def __len__(self) -> int:
        return 1 + len(self.powers)

    def __call__(self, logs: Logs) -> FloatArray:
        """Evaluate them as they stand in the expansion of an exponential, (n_events, 1 + n_monomials)."""
        combined = (np.asarray(logs, dtype=np.float64) - self.mean) @ self.axes
        terms: dict[tuple[int, ...], FloatArray] = {(): np.ones(len(logs))}
        for powers in self.powers:
            terms[powers] = terms[powers[:-1]] * combined[:, powers[-1]] / powers.count(powers[-1])
        return np.stack(list(terms.values()), axis=1)


def leading_powers(spreads: ArrayLike, *, most: int) -> list[tuple[int, ...]]:
    """List the largest terms in the expansion of exp(sum_i x_i), each as the positions of its factors.

    Args:
        spreads: Typical size of each x_i, (n,), > 0, decreasing.
        most: Number of terms.

    Returns:
        Up to `most` terms of order 1 to 6, in the order of their size prod_i spread_i^e_i / e_i!; each comes after the one without
        its last factor.

    Examples:
        >>> leading_powers([0.5, 0.1], most=4)
        [(0,), (0, 0), (1,), (0, 1)]
    """
    s: list[float] = np.asarray(spreads, dtype=np.float64).tolist()
    waiting: list[tuple[float, tuple[int, ...]]] = [(-size, (k,)) for k, size in enumerate(s)]
    found: list[tuple[int, ...]] = []
    while waiting and len(found) < most:
        size, powers = heapq.heappop(waiting)
        found.append(powers)
        if len(powers) < MAX_ORDER:
            for k in range(powers[-1], len(s)):
                heapq.heappush(waiting, (size * s[k] / (powers.count(k) + 1), (*powers, k)))
    return found
