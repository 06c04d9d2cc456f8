"""Do two sets of weighted events have the same distribution of a score: chi-square and Kolmogorov-Smirnov, right for weights.

Meant for overtraining: the events that a network trained on against events that it has not seen. Counting-experiment errors and
textbook p-values are wrong for weighted events; here errors are sums of squared weights, and the p-value of the Kolmogorov-Smirnov
distance comes from simulating the fluctuation that these very weights produce.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index, share_edges
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.covariance import influence_covariance
from toolkit.diagnostics.inputs import check_vector
from toolkit.diagnostics.separation import positive_sum
from toolkit.diagnostics.serialise import jsonable
from toolkit.typing import FloatArray

GRID = 400
"""Points at which the Kolmogorov-Smirnov distance is looked for: quantiles of both samples together."""


@dataclass(frozen=True, eq=False)
class WeightedSample:
    """A named set of events with one number and one weight each, (n,)."""

    name: str
    score: FloatArray
    weights: FloatArray

    def __post_init__(self) -> None:
        check_vector(self.score, name=f"score of {self.name}", size=self.score.size)
        check_vector(self.weights, name=f"weights of {self.name}", size=self.score.size)
        positive_sum(self.weights, self.name)


@dataclass(frozen=True)
class KolmogorovSmirnov:
    """Largest distance of two cumulative distributions, and the probability of a larger one if both samples are of one distribution."""

    distance: float
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        return {"distance": jsonable(self.distance), "p_value": jsonable(self.p_value)}


@dataclass(frozen=True, eq=False)
class Overlay:
    """Normalised histograms of several samples, each compared with the first.

    Attributes:
        title: What is compared, for example a process.
        score: Name of the score.
        names: Names of the samples, the reference first.
        edges: (k + 1,) edges; first and last bin include what lies beyond.
        content: (m, k) share of the sample in each bin.
        error: (m, k) its standard error, the fluctuation of the normalisation included.
        chi2: Of each sample but the first against the first, (m - 1,).
        ks: The same, Kolmogorov-Smirnov, unbinned.
    """

    title: str
    score: str
    names: tuple[str, ...]
    edges: FloatArray
    content: FloatArray
    error: FloatArray
    chi2: tuple[ChiSquare, ...]
    ks: tuple[KolmogorovSmirnov, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        arrays = {name: jsonable(getattr(self, name)) for name in ("title", "score", "names", "edges", "content", "error")}
        return {**arrays, "chi2": [c.to_json() for c in self.chi2], "ks": [k.to_json() for k in self.ks]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Overlay:
        """Read what `to_json` wrote."""
        edges, content, error = (np.array(document[name], dtype=np.float64) for name in ("edges", "content", "error"))
        return cls(
            title=document["title"],
            score=document["score"],
            names=tuple(document["names"]),
            edges=edges,
            content=content,
            error=error,
            chi2=tuple(ChiSquare.from_json(part) for part in document["chi2"]),
            ks=tuple(KolmogorovSmirnov(**part) for part in document["ks"]),
        )


def overlay(
    samples: tuple[WeightedSample, ...],
    *,
    seed: int,
    title: str = "",
    score: str = "score",
    bins: int = 25,
    edges: FloatArray | None = None,
    replicas: int = 1000,
) -> Overlay:
    """Compare the shapes of samples of different events.

    Args:
        samples: Two or more sets of independent events; the first is the reference (the test events).
        seed: Seed of the simulation behind the Kolmogorov-Smirnov p-value.
        title: What is compared.
        score: Name of the score.
        bins: Number of bins that hold equal shares of the reference when `edges` is not given.
        edges: (k + 1,) increasing edges.
        replicas: Simulated distances per comparison.

    Returns:
        The comparison. Only shapes count: every sample is normalised to one.

    Raises:
        SchemaError: The edges do not increase, or the reference has no spread.
        PhysicsDomainError: A number is not finite or a sum of weights not positive.

    Notes:
        The samples must not share events: errors of the difference are added in quadrature.

    Examples:
        >>> rng = np.random.default_rng(1)
        >>> test, train, other = rng.normal(size=400), rng.normal(size=400), rng.normal(0.5, size=400)
        >>> samples = [WeightedSample(name, x, np.ones(400)) for name, x in (("test", test), ("train", train), ("other", other))]
        >>> compared = overlay(tuple(samples), seed=1, bins=10, replicas=100)
        >>> [ks.p_value > 0.05 for ks in compared.ks]
        [True, False]
    """
    first = samples[0]
    grid = share_edges(first.score, first.weights, bins=bins) if edges is None else np.asarray(edges, dtype=np.float64)
    binned = [_shares(sample, grid) for sample in samples]
    content = np.array([share for share, _ in binned])
    rng = np.random.default_rng(seed)
    return Overlay(
        title=title,
        score=score,
        names=tuple(sample.name for sample in samples),
        edges=grid,
        content=content,
        error=np.sqrt(np.array([np.diag(covariance) for _, covariance in binned])),
        chi2=tuple(chi_square(share - content[0], covariance + binned[0][1]) for share, covariance in binned[1:]),
        ks=tuple(kolmogorov_smirnov(first, sample, rng=rng, replicas=replicas) for sample in samples[1:]),
    )


def kolmogorov_smirnov(one: WeightedSample, two: WeightedSample, *, rng: np.random.Generator, replicas: int = 1000) -> KolmogorovSmirnov:
    """Compute the largest distance of the cumulative distributions of two independent weighted samples, with its p-value.

    Args:
        one: Events of one sample.
        two: Events of the other.
        rng: Random generator.
        replicas: Simulated distances; the smallest p-value is 1 / (replicas + 1).

    Returns:
        Distance and p-value.

    Notes:
        Under the hypothesis the cumulative distribution of a sample fluctuates by sum_i w_i e_i ([s_i <= t] - F(t)) / sum w with
        independent e_i of variance 1. This Gaussian process is simulated with the weights of the sample (multiplier bootstrap), on a
        grid of 400 quantiles, on which the distance is looked for too. The usual formula with an effective number of events holds
        only if the weights do not depend on the score.

    References:
        Kosorok, Introduction to Empirical Processes and Semiparametric Inference, section 2.2.3.

    Examples:
        >>> one = WeightedSample("one", np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4))
        >>> two = WeightedSample("two", np.array([3.0, 4.0, 5.0, 6.0]), np.ones(4))
        >>> kolmogorov_smirnov(one, two, rng=np.random.default_rng(1), replicas=100).distance
        0.5
    """
    both = np.concatenate([one.score, two.score])
    share = np.concatenate([np.abs(w) / np.abs(w).sum() for w in (one.weights, two.weights)])
    grid = share_edges(both, share, bins=GRID)
    parts = [_cumulative(sample, grid) for sample in (one, two)]
    distance = float(np.abs(parts[0][0] - parts[1][0]).max())
    simulated = np.zeros((replicas, grid.size - 1))
    for (f, variance), sign in zip(parts, (1.0, -1.0), strict=True):
        steps = rng.normal(size=(replicas, grid.size - 1)) * np.sqrt(variance)
        reach = np.cumsum(steps, axis=1)
        simulated += sign * (reach - f * reach[:, -1:])
    larger = int(np.count_nonzero(np.abs(simulated).max(axis=1) >= distance))
    return KolmogorovSmirnov(distance, (1 + larger) / (1 + replicas))


def _shares(sample: WeightedSample, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Histogram normalised to one, (k,), and its covariance (k, k)."""
    index, k = clipped_index(sample.score, edges), edges.size - 1
    total = sample.weights.sum()
    share = bin_sums(index, k, sample.weights) / total
    local = sample.weights / total
    covariance = influence_covariance(index, n_bins=k, local=local, columns=sample.weights[:, None], response=-share[:, None] / total)
    return share, covariance


def _cumulative(sample: WeightedSample, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cumulative share up to each upper edge, and the variance of each step, both (k,)."""
    index, k = clipped_index(sample.score, edges), edges.size - 1
    sums, squares = bin_sums(index, k, np.stack([sample.weights, sample.weights**2], axis=1)).T
    return np.cumsum(sums) / sums.sum(), squares / sums.sum() ** 2
