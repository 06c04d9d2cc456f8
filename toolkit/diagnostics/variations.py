"""Do learned variations reweight nominal events to varied ones? Judged on pairs of events that did not train.

Nominal and varied events are the same simulated events, so their fluctuations cancel and the tests are far sharper than data could be: a
small p-value says that the network is not exact, `visible` says whether anybody could tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.separation import auc
from toolkit.diagnostics.serialise import jsonable
from toolkit.typing import FloatArray, IntArray
from toolkit.weights.pair_calibration import calibrate_pairs
from toolkit.weights.pairs import EventPairs


@dataclass(frozen=True, eq=False)
class VariationClosure:
    """One observable under one variation, for one process.

    Attributes:
        observable: Its name.
        edges: Bin edges, (k + 1,); events beyond them count in the outer bins.
        nominal: Share of the nominal events in each bin, (k,).
        varied: The same of the varied events.
        reweighted: The same of the nominal events times exp of the log ratio.
        before: Test of varied against nominal.
        after: Test of varied against reweighted; the fluctuations that pairs share are gone.
        visible_before: Difference of varied and nominal in standard deviations of data that hold this process alone; what the finite
            simulation adds to its square on average is subtracted.
        visible_after: The same of varied and reweighted.
    """

    observable: str
    edges: FloatArray
    nominal: FloatArray
    varied: FloatArray
    reweighted: FloatArray
    before: ChiSquare
    after: ChiSquare
    visible_before: float
    visible_after: float

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> VariationClosure:
        """Read the JSON object that `VariationDiagnostics.to_json` writes; null is NaN."""
        edges, nominal, varied, reweighted = (
            np.array(document[name], dtype=np.float64) for name in ("edges", "nominal", "varied", "reweighted")
        )
        return cls(
            observable=document["observable"],
            edges=edges,
            nominal=nominal,
            varied=varied,
            reweighted=reweighted,
            before=ChiSquare.from_json(document["before"]),
            after=ChiSquare.from_json(document["after"]),
            visible_before=float(document["visible_before"]),
            visible_after=float(document["visible_after"]),
        )


@dataclass(frozen=True, eq=False)
class VariationDiagnostics:
    """What pairs that did not train say about the learned variation of one process.

    Attributes:
        process: Its name.
        yield_ratio: Varied over nominal expected events.
        slope: Factor of the log ratio that describes the pairs best: 1 where it is right on average.
        slope_error: Its standard error.
        mean: Mean of the ratio over nominal events: 1 for a density.
        mean_error: Its standard error.
        auc_before: Area under the curve of varied against nominal events, by the log ratio, and its error.
        auc_after: The same with nominal events reweighted: 0.5 where nothing is left.
        separation: sqrt(nu Var ln r): the largest shift of a fit parameter in its standard deviations, were the process alone.
        closures: One per observable.
    """

    process: str
    yield_ratio: float
    slope: float
    slope_error: float
    mean: float
    mean_error: float
    auc_before: tuple[float, float]
    auc_after: tuple[float, float]
    separation: float
    closures: tuple[VariationClosure, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        document = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "closures"}
        rows = []
        for closure in self.closures:
            row = {f.name: getattr(closure, f.name) for f in fields(closure)}
            rows.append(row | {"before": closure.before.to_json(), "after": closure.after.to_json()})
        return dict(jsonable(document | {"closures": rows}))


def diagnose_variation(
    pairs: EventPairs, log_ratios: tuple[FloatArray, FloatArray], process: str, *, edges: Mapping[str, FloatArray]
) -> VariationDiagnostics:
    """Judge the learned variation of one process.

    Args:
        pairs: Events that trained neither network nor calibration.
        log_ratios: ln(varied/nominal density) at the nominal and at the varied observables of every pair, (n,) each.
        process: The process.
        edges: Bin edges of the observables to look at.

    Returns:
        The diagnostics.
    """
    j = pairs.processes.index(process)
    w0, w1 = pairs.nominal_weights[:, j], pairs.varied_weights[:, j]
    used = (w0 != 0.0) | (w1 != 0.0)
    pairs, w0, w1 = pairs.select(used), w0[used], w1[used]
    f0, f1 = (f[used] for f in log_ratios)
    ratio = np.exp(f0)
    mean = float(w0 @ ratio / w0.sum())
    found = calibrate_pairs(f0, f1, nominal_weights=w0, varied_weights=w1, fixed=True)
    return VariationDiagnostics(
        process=process,
        yield_ratio=float(w1.sum() / w0.sum()),
        slope=found.slope,
        slope_error=found.error,
        mean=mean,
        mean_error=float(np.sqrt(np.sum((w0 * (ratio - mean)) ** 2)) / w0.sum()),
        auc_before=_paired_auc(f0, f1, w0, w1),
        auc_after=_paired_auc(f0, f1, w0 * ratio, w1),
        separation=found.separation,
        closures=tuple(_close(name, pairs, (w0, w0 * ratio, w1), e) for name, e in edges.items()),
    )


def close_variation(
    pairs: EventPairs, log_ratio: FloatArray, process: str, *, edges: Mapping[str, FloatArray], inflation: float = 1.0
) -> tuple[VariationClosure, ...]:
    """Compare varied with nominal and with reweighted events, one observable after the other.

    Args:
        pairs: Events that made no log ratio.
        log_ratio: ln(varied/nominal density) that a fit knows of, at the nominal observables of every pair, (n,).
        process: The process.
        edges: Bin edges of the observables to look at.
        inflation: Factor on the covariance of `after`: 2 for a log ratio from as many other events, whose fluctuations are added.

    Returns:
        One closure per observable: `before` is all that the variation does to it, `after` what the log ratio does not know.
    """
    j = pairs.processes.index(process)
    w0, w1 = pairs.nominal_weights[:, j], pairs.varied_weights[:, j]
    used = (w0 != 0.0) | (w1 != 0.0)
    weights = (w0[used], w0[used] * np.exp(log_ratio[used]), w1[used])
    return tuple(_close(name, pairs.select(used), weights, e, inflation) for name, e in edges.items())


def _paired_auc(f0: FloatArray, f1: FloatArray, w0: FloatArray, w1: FloatArray) -> tuple[float, float]:
    """Return the area and its error, in which both rows of a pair fluctuate together."""
    none = np.zeros_like(w0)
    merit = auc(np.concatenate([f0, f1]), signal=np.concatenate([none, w1]), background=np.concatenate([w0, none]))
    influence = merit.influence[: len(f0)] + merit.influence[len(f0) :]
    return float(merit.value), float(np.sqrt(influence @ influence))


def _close(
    name: str, pairs: EventPairs, weights: tuple[FloatArray, FloatArray, FloatArray], edges: FloatArray, inflation: float = 1.0
) -> VariationClosure:
    n, expected = len(edges) - 1, float(weights[0].sum())
    where = [clipped_index(side[name], edges) for side in (pairs.nominal, pairs.nominal, pairs.varied)]
    parts = [w / w.sum() for w in weights]
    shares = [bin_sums(index, n, part) for index, part in zip(where, parts, strict=True)]
    differences = [shares[2] - shares[k] for k in (0, 1)]
    errors = [difference_covariance((where[2], where[k]), (parts[2], parts[k]), n_bins=n) for k in (0, 1)]
    errors[1] = errors[1] * inflation
    tests = [chi_square(d, covariance) for d, covariance in zip(differences, errors, strict=True)]
    safe = np.where(shares[0] > 0.0, shares[0], np.inf)
    excess = [float(np.sum((d**2 - np.diag(covariance)) / safe)) for d, covariance in zip(differences, errors, strict=True)]
    seen = [float(np.sqrt(max(expected * value, 0.0))) for value in excess]
    return VariationClosure(name, edges, shares[0], shares[2], shares[1], tests[0], tests[1], seen[0], seen[1])


def difference_covariance(index: tuple[IntArray, IntArray], parts: tuple[FloatArray, FloatArray], *, n_bins: int) -> FloatArray:
    """Compute the covariance of the difference of two normalised histograms of the same simulated events.

    Args:
        index: Bin of every event in the first and in the second histogram, (n,) each; -1 for none.
        parts: Share of every event in the sum of weights of each, (n,) each.
        n_bins: Number of bins, k.

    Returns:
        (k, k): the sum over events of m m^T with m = a (e_first - h_first) - b (e_second - h_second), e the unit vector of the event's bin
        and h the histogram: what an event adds to the difference, its effect on the normalisation included.

    Examples:
        The same bins for the same events: the difference is zero whatever happens.

        >>> index, share = np.array([0, 0, 1]), np.array([0.25, 0.25, 0.5])
        >>> bool(np.abs(difference_covariance((index, index), (share, share), n_bins=2)).max() < 1e-12)
        True
    """
    # An event stands in one bin of each histogram, so that the sum of m m^T falls into few terms: products of the parts in pairs of bins,
    # and the normalisation, which every event changes.
    (i, j), (a, b) = index, parts
    h, g = bin_sums(i, n_bins, a), bin_sums(j, n_bins, b)
    both = (i >= 0) & (j >= 0)
    joint = np.bincount(i[both] * n_bins + j[both], weights=(a * b)[both], minlength=n_bins**2).reshape(n_bins, n_bins)
    first, second = (bin_sums(i, n_bins, np.stack([a * a, a * b], axis=1)), bin_sums(j, n_bins, np.stack([b * b, a * b], axis=1)))
    own = np.diag(first[:, 0] + second[:, 0]) - joint - joint.T
    mixed = np.outer(first[:, 0] - second[:, 1], h) + np.outer(second[:, 0] - first[:, 1], g)
    cross = float(a @ b)
    shift = float(a @ a) * np.outer(h, h) - cross * (np.outer(h, g) + np.outer(g, h)) + float(b @ b) * np.outer(g, g)
    return np.asarray(own - mixed - mixed.T + shift)
