"""How well a score separates two weighted densities: area under the ROC curve, and rate of the background at a fixed signal efficiency.

Both are right for negative weights: sums run over signed weights and nothing is clipped, so that an event and its counterweight cancel
as they do in every other expectation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.diagnostics.merit import Merit, check_same_size
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray, IntArray

WINDOW = 0.05
"""Half width in signal efficiency of the region that gives the slope of the background at the cut."""


def auc(score: FloatArray, *, signal: FloatArray, background: FloatArray) -> Merit:
    """Compute the probability that an event of the signal has the larger score, ties counted half.

    Args:
        score: (n,) any score.
        signal: (n,) weights under the signal, either sign, positive sum.
        background: (n,) weights of the same events under the background; both columns may be non-zero at one event.

    Returns:
        sum_ij a_i b_j ([s_i > s_j] + [s_i = s_j] / 2) for weights a, b normalised to one, in n log n steps. With negative
        weights it may leave [0, 1] by its error.

    Raises:
        ShapeError: The arrays differ in length.
        PhysicsDomainError: A number is not finite, or a sum of weights is not positive.

    Notes:
        Routines that integrate an ROC curve need both rates to rise monotonically, which signed weights break; the double sum
        above does not. Its error is that of DeLong's method for weighted events, including the fluctuation of the sums of weights.

    References:
        DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837.

    Examples:
        >>> x = np.array([3.0, 2.0, 1.0, 2.0])
        >>> auc(x, signal=np.array([1.0, 1.0, 0.0, 0.0]), background=np.array([0.0, 0.0, 1.0, 1.0])).value
        0.875
    """
    check_same_size(score, signal, background)
    a, b = signal / positive_sum(signal, "signal"), background / positive_sum(background, "background")
    group, k = _ranks(score)
    sum_a, sum_b = np.bincount(group, a, minlength=k), np.bincount(group, b, minlength=k)
    below = np.cumsum(sum_b) - sum_b / 2
    above = 1.0 - np.cumsum(sum_a) + sum_a / 2
    value = float(sum_a @ below)
    return Merit(value, a * (below[group] - value) + b * (above[group] - value))


def rate_at_efficiency(score: FloatArray, *, signal: FloatArray, background: FloatArray, efficiency: float = 0.6) -> Merit:
    """Compute N_s / sqrt(N_b) above the cut on the score that keeps a fixed share of the signal.

    Args:
        score: (n,) any score, larger for the signal.
        signal: (n,) expected events under the signal, either sign, positive sum.
        background: (n,) expected events under the background.
        efficiency: Share of the signal above the cut, in (0, 1).

    Returns:
        The significance. Between two scores the background is interpolated linearly in the signal.

    Raises:
        ShapeError: The arrays differ in length.
        SchemaError: The efficiency is not in (0, 1).
        PhysicsDomainError: A number is not finite, a sum of weights is not positive, or no background is left above the cut.

    Notes:
        With negative weights the signal above a cut is not monotonic; the highest cut that reaches the efficiency is taken.
        The error includes the shift of the cut, with the slope dN_b/dN_s from the scores whose efficiency is within 0.05 of it.

    Examples:
        >>> x = np.arange(10.0)
        >>> rate_at_efficiency(x, signal=np.ones(10), background=np.full(10, 6.0), efficiency=0.6).value
        1.0
    """
    if not 0 < efficiency < 1:
        raise SchemaError("signal efficiency", got=efficiency, expected="between 0 and 1, both excluded", remedy="0.6 is usual")
    check_same_size(score, signal, background)
    group, k = _ranks(score)
    cut = _cut_at(*_kept(group, k, signal, background), efficiency)
    total, first, part, kept_s, kept_b, n_b = cut.total, cut.first, cut.part, cut.kept_s, cut.kept_b, cut.n_b
    if n_b <= 0:
        raise PhysicsDomainError(
            f"background above the cut of {efficiency:.0%} signal efficiency", got=f"{n_b:g}", expected="> 0", remedy="use more events"
        )
    n_s = efficiency * total
    value = n_s / n_b**0.5
    rank = k - 1 - group  # 0 is the highest score
    passed = np.where(rank < first - 1, 1.0, np.where(rank == first - 1, part, 0.0))
    slope = _slope(kept_s, kept_b, efficiency=efficiency, total=total)
    by_b = passed * background - slope * (passed - efficiency) * signal
    return Merit(value, value * (signal / total - by_b / (2 * n_b)))


@dataclass(frozen=True)
class PairedRatio:
    """A ratio of two figures of merit from the same events, and its error from resampled events."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class PairedRatios:
    """Ratios of a figure of merit of every score over that of every other, on the same events.

    Attributes:
        value: (n_efficiencies, k, k), that of the score of the row over that of the column; 1 on the diagonal.
        error: Standard deviations of these, 0 on the diagonal.
    """

    value: FloatArray
    error: FloatArray


def paired_rate_ratio(
    one: FloatArray,
    two: FloatArray,
    *,
    signal: FloatArray,
    background: FloatArray,
    efficiency: float = 0.6,
    replicas: int = 200,
    seed: int = 1,
) -> PairedRatio:
    """Compute the ratio of N_s / sqrt(N_b) of two scores at the same efficiency, with the bootstrap error of the pair.

    See `paired_rate_ratios`, which takes several scores and efficiencies.

    Examples:
        >>> x, s, b = np.arange(40.0), np.ones(40), np.full(40, 3.0)
        >>> paired_rate_ratio(x, 2.0 * x + 1.0, signal=s, background=b, replicas=20)  # the same order of the events
        PairedRatio(value=1.0, error=0.0)
    """
    found = paired_rate_ratios((one, two), signal=signal, background=background, efficiencies=(efficiency,), replicas=replicas, seed=seed)
    return PairedRatio(float(found.value[0, 0, 1]), float(found.error[0, 0, 1]))


def paired_rate_ratios(
    scores: Sequence[FloatArray],
    *,
    signal: FloatArray,
    background: FloatArray,
    efficiencies: Sequence[float],
    replicas: int = 200,
    seed: int = 1,
) -> PairedRatios:
    """Compute the ratios of N_s / sqrt(N_b) of all pairs of scores at the same efficiencies, with the bootstrap errors of the pairs.

    Args:
        scores: Each (n,), of the same events.
        signal: (n,) expected events under the signal.
        background: (n,) under the background.
        efficiencies: Shares of the signal above the cuts.
        replicas: Resampled sets of events.
        seed: Of the resampling.

    Returns:
        The ratios, and their standard deviations over sets in which every event has a Poisson number of copies, the same for all scores:
        what two of them have in common cancels. The cuts move with the events.

    Raises:
        ShapeError, SchemaError, PhysicsDomainError: As `rate_at_efficiency`.

    Examples:
        >>> x, s, b = np.arange(40.0), np.ones(40), np.full(40, 3.0)
        >>> found = paired_rate_ratios((x, -x), signal=s + x, background=b, efficiencies=(0.6, 0.9), replicas=20)
        >>> found.value.round(3).tolist()
        [[[1.0, 1.44], [0.694, 1.0]], [[1.0, 1.17], [0.855, 1.0]]]
    """
    rates = np.array(
        [[rate_at_efficiency(x, signal=signal, background=background, efficiency=e).value for x in scores] for e in efficiencies]
    )
    rng, ranks = np.random.default_rng(seed), [_ranks(x) for x in scores]
    resampled = np.empty((replicas, *rates.shape))
    for r in range(replicas):
        copies = rng.poisson(1.0, size=signal.size)
        for j, (group, k) in enumerate(ranks):
            kept = _kept(group, k, signal * copies, background * copies)
            for i, share in enumerate(efficiencies):
                n_b = _cut_at(*kept, share).n_b
                resampled[r, i, j] = n_b**-0.5 if n_b > 0 else np.nan  # the signal above the cut is the same for all scores
    return PairedRatios(_over_each_other(rates), np.nanstd(_over_each_other(resampled), axis=0, ddof=1))


def _over_each_other(values: FloatArray) -> FloatArray:
    """Divide each of the last axis by each of it: (..., k) to (..., k, k)."""
    return np.asarray(values[..., :, np.newaxis] / values[..., np.newaxis, :])


@dataclass(frozen=True)
class _Cut:
    """The highest cut that keeps a share of the signal.

    Attributes:
        total: All signal.
        first: How many of the highest scores it takes.
        part: Of the last of these, the share that is kept.
        kept_s: Signal above each cut, from none to all.
        kept_b: Background above each cut.
        n_b: Background above this cut.
    """

    total: float
    first: int
    part: float
    kept_s: FloatArray
    kept_b: FloatArray
    n_b: float


def _kept(group: IntArray, k: int, signal: FloatArray, background: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Signal and background above each cut, from none to all, (k + 1,) each."""
    above = (np.concatenate([[0.0], np.cumsum(np.bincount(group, weights, minlength=k)[::-1])]) for weights in (signal, background))
    kept_s, kept_b = above
    return kept_s, kept_b


def _cut_at(kept_s: FloatArray, kept_b: FloatArray, efficiency: float) -> _Cut:
    total = positive_sum(kept_s[-1:], "signal")
    n_s = efficiency * total
    first = int(np.argmax(kept_s >= n_s))
    part = (n_s - kept_s[first - 1]) / (kept_s[first] - kept_s[first - 1])
    return _Cut(total, first, part, kept_s, kept_b, float(kept_b[first - 1] + part * (kept_b[first] - kept_b[first - 1])))


def positive_sum(weights: FloatArray, name: str) -> float:
    """Return the sum of weights; refuse one that is not positive.

    Examples:
        >>> positive_sum(np.array([2.0, -0.5]), "signal")
        1.5
    """
    total = float(weights.sum())
    if total <= 0:
        raise PhysicsDomainError(
            f"{name} weights", got=f"sum {total:g}", expected="a positive sum", remedy="check the sample and selection"
        )
    return total


def _ranks(score: FloatArray) -> tuple[IntArray, int]:
    """Number the different scores from the lowest: index (n,) and how many there are."""
    values, index = np.unique(score, return_inverse=True)
    return index.astype(np.int64), values.size


def _slope(kept_s: FloatArray, kept_b: FloatArray, *, efficiency: float, total: float) -> float:
    low, high = max(efficiency - WINDOW, 0.0) * total, min(efficiency + WINDOW, 1.0) * total
    first, last = int(np.argmax(kept_s >= low)), int(np.argmax(kept_s >= high)) if (kept_s >= high).any() else kept_s.size - 1
    width = kept_s[last] - kept_s[first]
    return float((kept_b[last] - kept_b[first]) / width) if width > 0 else 0.0
