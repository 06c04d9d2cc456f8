"""What a cut on a score does to the distribution of another observable: efficiency by bin, change of the shape, profile of the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.merit import check_same_size
from toolkit.diagnostics.separation import positive_sum
from toolkit.diagnostics.serialise import jsonable
from toolkit.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Sculpting:
    """Efficiency of the background in bins of an observable, at cuts that keep fixed shares of the signal.

    Attributes:
        name: What made the score.
        observable: Name of the observable.
        edges: (k + 1,) edges; first and last bin include what lies beyond.
        kept: (m,) shares of the signal above the cuts.
        efficiency: (m, k) share of the background of each bin above each cut.
        efficiency_error: (m, k) its error from the finite simulation.
        change: (m, k) share of the bin in the background above the cut over its share in all background, less 1.
        change_error: (m, k) its error.
        profile: (k,) mean rank of the score of the background in each bin, between 0 and 1; 1/2 in all bins of a score that is independent.
        profile_error: (k,) its error.
    """

    name: str
    observable: str
    edges: FloatArray
    kept: FloatArray
    efficiency: FloatArray
    efficiency_error: FloatArray
    change: FloatArray
    change_error: FloatArray
    profile: FloatArray
    profile_error: FloatArray

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        return {name: jsonable(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Sculpting:
        """Read what `to_json` wrote."""
        names = list(cls.__dataclass_fields__)
        arrays = {name: np.array(document[name], dtype=np.float64) for name in names[2:]}
        return cls(name=document["name"], observable=document["observable"], **arrays)


def sculpting(
    score: FloatArray,
    observable: FloatArray,
    *,
    signal: FloatArray,
    background: FloatArray,
    edges: FloatArray,
    kept: Sequence[float] = (0.6, 0.8, 0.9),
    name: str = "",
    observable_name: str = "",
) -> Sculpting:
    """Measure how cuts on a score shape the background in an observable.

    Args:
        score: (n,) any score, larger for the signal.
        observable: (n,) values of the observable.
        signal: (n,) weights under the signal, either sign, positive sum.
        background: (n,) weights under the background.
        edges: (k + 1,) edges of the bins.
        kept: Shares of the signal above the cuts.
        name: What made the score.
        observable_name: Name of the observable.

    Returns:
        Efficiencies, changes of the shape and profile. Errors are those of the background events, at cuts that are taken as given.

    Raises:
        ShapeError: The arrays differ in length.
        PhysicsDomainError: A number is not finite, or a sum of weights is not positive.

    Examples:
        >>> score, m = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.5, 0.5, 1.5, 1.5])
        >>> found = sculpting(score, m, signal=np.ones(4), background=np.ones(4), edges=np.array([0.0, 1.0, 2.0]), kept=[0.5])
        >>> found.efficiency.tolist(), found.change.tolist(), found.profile.tolist()
        ([[0.0, 1.0]], [[-1.0, 1.0]], [0.25, 0.75])
    """
    check_same_size(score, observable, signal, background)
    total = positive_sum(background, "background")
    index, k = clipped_index(observable, edges), len(edges) - 1
    inside = bin_sums(index, k, background)
    parts = [_at(score >= cut, background, index, inside) for cut in cuts_at(score, signal, kept)]
    profile, spread = _profile(score, background / total, index, k)
    efficiency, efficiency_error, change, change_error = (np.array(column) for column in zip(*parts, strict=True))
    return Sculpting(
        name=name,
        observable=observable_name,
        edges=np.asarray(edges, dtype=np.float64),
        kept=np.asarray(kept, dtype=np.float64),
        efficiency=efficiency,
        efficiency_error=efficiency_error,
        change=change,
        change_error=change_error,
        profile=profile,
        profile_error=spread,
    )


def cuts_at(score: FloatArray, weights: FloatArray, kept: Sequence[float]) -> FloatArray:
    """Return the highest cuts above or at which given shares of the weights lie, (m,).

    Examples:
        >>> cuts_at(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4), [0.5, 0.75]).tolist()
        [3.0, 2.0]
    """
    order = np.argsort(-score, kind="stable")
    share = np.cumsum(weights[order]) / positive_sum(weights, "signal")
    return np.array([score[order][int(np.argmax(share >= part * (1.0 - 1e-12)))] for part in kept])


def _at(passed: Any, background: FloatArray, index: IntArray, inside: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Efficiency by bin and change of the shape at one cut, with their errors, (k,) each."""
    k = len(inside)
    efficiency = bin_sums(index, k, background * passed) / inside
    overall = float((background * passed).sum() / background.sum())
    own = background * (passed - efficiency[index])  # an event moves the efficiency of its bin by this over the bin's content
    squares = bin_sums(index, k, own**2)
    # The ratio e_k / e moves by own / (B_k e) in its own bin, and by - e_k / e^2 (passed - e) b / B with every event.
    common = background * (passed - overall) / (background.sum() * overall)
    crossed = bin_sums(index, k, own * common)
    slope = efficiency / overall
    variance = squares / (inside * overall) ** 2 - 2.0 * slope * crossed / (inside * overall) + slope**2 * float(common @ common)
    return efficiency, np.sqrt(squares) / np.abs(inside), slope - 1.0, np.sqrt(np.maximum(variance, 0.0))


def _profile(score: FloatArray, share: FloatArray, index: IntArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Mean rank of the score in each bin, and its error, (k,) each.

    An event moves the mean of its own bin, and the rank of every event above it: without the latter the errors would be too large, since
    the mean of all ranks cannot move.
    """
    values, group = np.unique(score, return_inverse=True)
    below = _half_counted(group, share, len(values))[group]
    mean, error = np.empty(k), np.empty(k)
    for j in range(k):
        own = np.where(index == j, share, 0.0)
        inside = own.sum()
        mean[j] = own @ below / inside
        above = 1.0 - _half_counted(group, own, len(values))[group] / inside
        moved = own * (below - mean[j]) / inside + share * (above - mean[j])
        error[j] = np.sqrt(moved @ moved)
    return mean, error


def _half_counted(group: IntArray, weights: FloatArray, k: int) -> FloatArray:
    """Weights up to each of k groups, its own counted half, (k,)."""
    sums = np.bincount(group, weights, minlength=k)
    return np.asarray(np.cumsum(sums) - sums / 2.0)
