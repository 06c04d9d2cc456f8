"""Calibration of an estimated ratio: is the predicted s the true fraction?

For two densities a and b and the estimate s = p_a / (p_a + p_b), events of a and b in equal proportion that share
the same s must be a fraction s of a. This is the property that the likelihood uses; a network can rank events
perfectly and still fail it. Where it fails, and by how much, is what the curve shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from toolkit.diagnostics.binning import bin_sums, clipped_index, share_edges
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.covariance import influence_covariance
from toolkit.diagnostics.inputs import check_log_ratios, check_vector, process_index
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import PhysicsDomainError
from toolkit.typing import BoolArray, FloatArray, IntArray
from toolkit.weights.simulation import SimulatedEvents

SECOND_ORDER = 5.0
"""Directions whose variance is below SECOND_ORDER / (effective events) of the natural one are not tested."""


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """True against predicted fraction of the numerator, in bins of the prediction.

    `residual` is fraction minus predicted; its covariance is the one to test with, because the two share events.
    `content` is the mean of the two normalised densities in the bin. Bins with `used` False hold too few effective
    events, or no positive total weight, and enter no chi-square.
    """

    numerator: str
    denominator: str
    edges: FloatArray
    predicted: FloatArray
    fraction: FloatArray
    fraction_error: FloatArray
    residual: FloatArray
    residual_covariance: FloatArray
    content: FloatArray
    n_eff: FloatArray
    used: BoolArray
    negative_weight_fraction: tuple[float, float]
    test: ChiSquare

    @property
    def residual_error(self) -> FloatArray:
        """Standard error of the residual, (k,)."""
        return np.sqrt(np.diag(self.residual_covariance))

    @property
    def mean_residual(self) -> float:
        """Mean of |residual| over the used bins, weighted with their content; statistical noise included."""
        content = self.content[self.used]
        return float(np.abs(self.residual[self.used]) @ content / content.sum()) if content.size else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        names = (
            "edges",
            "predicted",
            "fraction",
            "fraction_error",
            "residual",
            "residual_error",
            "residual_covariance",
            "content",
            "n_eff",
            "used",
        )
        head = {"numerator": self.numerator, "denominator": self.denominator}
        arrays = {name: jsonable(getattr(self, name)) for name in names}
        return {
            **head,
            **arrays,
            "negative_weight_fraction": jsonable(self.negative_weight_fraction),
            "mean_residual": jsonable(self.mean_residual),
            **self.test.to_json(),
        }


def calibration_from_weights(
    log_ratio: FloatArray,
    *,
    numerator_weights: FloatArray,
    denominator_weights: FloatArray,
    numerator: str,
    denominator: str,
    bins: int = 20,
    edges: FloatArray | None = None,
    min_effective: float = 10.0,
) -> CalibrationCurve:
    """Compare the predicted with the true fraction of the numerator for two weightings of the same events.

    Args:
        log_ratio: (n,) estimate of log p_numerator(x) / p_denominator(x), both densities normalised.
        numerator_weights: (n,) weights whose sum over events gives expectations under the numerator; any overall
            factor, either sign.
        denominator_weights: (n,) the same under the denominator.
        numerator: Name of the numerator.
        denominator: Name of the denominator.
        bins: Number of bins that hold equal shares of the events when `edges` is not given.
        edges: Increasing edges in s between 0 and 1.
        min_effective: Bins with fewer effective events (Kish, of the summed absolute weights) are not tested.

    Returns:
        The curve. Its p-value tests the whole curve against the diagonal.

    Raises:
        ShapeError: The arrays differ in length.
        PhysicsDomainError: A value is NaN, or a total weight is not positive.

    Notes:
        With a_i, b_i the weights normalised to one, a bin's residual is sum(a_i (1 - s_i) - b_i s_i) / sum(a_i + b_i): zero on
        average if s is calibrated, bin by bin, also when a and b are carried by the same events. Its covariance is
        summed event by event and includes the fluctuation of the two normalisations. The network is taken as
        fixed: its own training fluctuation is what the residual measures. Where the same events carry both weights and their
        ratio is the network's, the residual is zero by construction up to the square of the fluctuation: such directions
        are not tested. A negative weight is used as it is; a
        fraction outside [0, 1] is then possible and is shown as such.

    References:
        Cranmer, Pavez, Louppe, arXiv:1506.02169, section 2 (calibrated classifiers).

    Examples:
        Of four events in two bins of s; in the bin at s = 0.75 three quarters of the densities are the numerator's:

        >>> curve = calibration_from_weights(
        ...     np.log([1 / 3, 1 / 3, 3.0, 3.0]), numerator_weights=np.array([1.0, 1.0, 3.0, 3.0]),
        ...     denominator_weights=np.array([3.0, 3.0, 1.0, 1.0]), numerator="S", denominator="B",
        ...     edges=np.array([0.0, 0.5, 1.0]), min_effective=1.0,
        ... )
        >>> curve.predicted.round(3), curve.fraction.round(3), round(curve.mean_residual, 9)
        (array([0.25, 0.75]), array([0.25, 0.75]), 0.0)
    """
    n = log_ratio.size
    for name, weights in (("numerator_weights", numerator_weights), ("denominator_weights", denominator_weights)):
        check_vector(weights, name=name, size=n)
        if weights.sum() <= 0:
            raise PhysicsDomainError(
                what=f"calibration {name}",
                got=f"sum {weights.sum():g}",
                expected="a positive sum",
                remedy="check the sample and the selection",
            )
    check_vector(log_ratio, name="log_ratio", size=n)
    s = expit(log_ratio)
    totals = np.array([numerator_weights.sum(), denominator_weights.sum()])
    v = np.stack([numerator_weights, denominator_weights], axis=1)
    a, b = (v / totals).T
    size = np.abs(a) + np.abs(b)
    grid = share_edges(s, size, bins=bins) if edges is None else np.asarray(edges, dtype=np.float64)
    index, k = clipped_index(s, grid), grid.size - 1

    sum_a, sum_b, sum_size, sum_size2, sum_as, sum_bs = bin_sums(index, k, np.stack([a, b, size, size**2, a * s, b * s], axis=1)).T
    total = sum_a + sum_b
    n_eff = np.divide(sum_size**2, sum_size2, out=np.zeros(k), where=sum_size2 > 0)
    used = (total > 0) & (n_eff >= min_effective)
    scale = np.where(total > 0, total, np.nan)
    fraction = sum_a / scale

    missed_a, missed_b = sum_a - sum_as, sum_bs
    local = a * (1 - s) - b * s
    response = np.stack([-missed_a, missed_b], axis=1) / totals
    covariance = influence_covariance(index, n_bins=k, local=local, columns=v, response=response) / np.outer(scale, scale)

    slope_a, slope_b = sum_b / scale**2, -sum_a / scale**2
    local_fraction = a * slope_a[index] + b * slope_b[index]
    response_fraction = np.stack([-slope_a * sum_a, -slope_b * sum_b], axis=1) / totals
    variance = _diagonal(index, k, local_fraction, v, response_fraction)

    residual = (missed_a - missed_b) / scale
    natural = np.sqrt(bin_sums(index, k, (a * (1 - s)) ** 2 + (b * s) ** 2)) / scale  # as if other events carried the two weights
    return CalibrationCurve(
        numerator=numerator,
        denominator=denominator,
        edges=grid,
        predicted=(sum_as + sum_bs) / scale,
        fraction=fraction,
        fraction_error=np.sqrt(variance),
        residual=residual,
        residual_covariance=covariance,
        content=total / 2,
        n_eff=n_eff,
        used=used,
        negative_weight_fraction=(_negative_fraction(numerator_weights), _negative_fraction(denominator_weights)),
        test=chi_square(residual[used], covariance[np.ix_(used, used)], natural=natural[used], tolerance=SECOND_ORDER / n_eff.sum()),
    )


def calibration_curve(
    events: SimulatedEvents,
    log_ratios: FloatArray,
    *,
    numerator: str,
    denominator: str,
    bins: int = 20,
    edges: FloatArray | None = None,
) -> CalibrationCurve:
    """Calibration of the ratio of two processes on simulated events that the networks have not seen.

    Args:
        events: Test events with weights (n, n_processes).
        log_ratios: (n, n_processes) log p_process / p_ref in the order of `events.processes`.
        numerator: Name of the process on top.
        denominator: Name of the process below.
        bins: See `calibration_from_weights`.
        edges: See `calibration_from_weights`.

    Returns:
        The curve.

    Raises:
        SchemaError: A process is unknown.
        ShapeError: `log_ratios` does not have one row per event and one column per process.
        PhysicsDomainError: A log ratio or weight is NaN.

    Examples:
        A ratio that is exact at every event has no residual:

        >>> weights = np.array([[1.0, 3.0], [1.0, 3.0], [3.0, 1.0], [3.0, 1.0]])
        >>> ids, zeros = np.arange(4, dtype=np.uint64), np.zeros(4, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B"), ids, zeros, ("S",), {}, weights)
        >>> log_ratios = np.log(weights / weights.sum(axis=0) * 8)
        >>> curve = calibration_curve(events, log_ratios, numerator="S", denominator="B", edges=np.array([0.0, 0.5, 1.0]))
        >>> curve.residual.round(9) + 0.0
        array([0., 0.])
    """
    check_log_ratios(log_ratios, events)
    top, below = process_index(events, numerator), process_index(events, denominator)
    return calibration_from_weights(
        log_ratios[:, top] - log_ratios[:, below],
        numerator_weights=events.weights[:, top],
        denominator_weights=events.weights[:, below],
        numerator=numerator,
        denominator=denominator,
        bins=bins,
        edges=edges,
    )


def hypothesis_calibration(
    events: SimulatedEvents,
    log_ratios: FloatArray,
    *,
    numerator: tuple[str, FloatArray],
    denominator: tuple[str, FloatArray],
    yields: FloatArray,
    bins: int = 20,
) -> CalibrationCurve:
    """Calibration of the ratio of two hypotheses, the one that the likelihood uses.

    Args:
        events: Test events with weights (n, n_processes).
        log_ratios: (n, n_processes) log p_process / p_ref.
        numerator: Name and morphing coefficients (n_processes,) of the hypothesis on top, for example mu = 0.
        denominator: The same for the hypothesis below, for example mu = 1.
        yields: (n_processes,) expected events that mix the densities: those of the likelihood, taken as exact.
        bins: See `calibration_from_weights`.

    Returns:
        The curve.

    Raises:
        ShapeError: The shapes do not belong together.
        PhysicsDomainError: An estimated density is <= 0 at an event, which is named.

    Examples:
        Exact log ratios, here up to a constant:

        >>> weights = np.array([[1.0, 3.0], [1.0, 3.0], [3.0, 1.0], [3.0, 1.0]])
        >>> ids, zeros = np.arange(4, dtype=np.uint64), np.zeros(4, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B"), ids, zeros, ("S",), {}, weights)
        >>> curve = hypothesis_calibration(events, np.log(weights), numerator=("mu = 2", np.array([2.0, 1.0])),
        ...                                denominator=("mu = 0", np.array([0.0, 1.0])), yields=events.yields, bins=2)
        >>> curve.numerator, (curve.residual.round(9) + 0.0).tolist()
        ('mu = 2', [0.0])
    """
    check_log_ratios(log_ratios, events)
    logs = []
    for name, coefficients in (numerator, denominator):
        share = coefficients * yields
        shift = log_ratios.max(axis=1)
        density = np.exp(log_ratios - shift[:, None]) @ (share / share.sum())
        if not (density > 0).all():
            worst = int(np.argmin(density))
            raise PhysicsDomainError(
                what=f"density of hypothesis {name} at event row {worst}",
                got=f"{density[worst]:g}",
                expected="> 0",
                remedy="look at the ratio estimates of that event",
            )
        logs.append(np.log(density) + shift)
    return calibration_from_weights(
        logs[0] - logs[1],
        numerator_weights=events.weights_at(numerator[1]),
        denominator_weights=events.weights_at(denominator[1]),
        numerator=numerator[0],
        denominator=denominator[0],
        bins=bins,
    )


def _diagonal(index: IntArray, k: int, local: FloatArray, columns: FloatArray, response: FloatArray) -> FloatArray:
    return np.diag(influence_covariance(index, n_bins=k, local=local, columns=columns, response=response))


def _negative_fraction(weights: FloatArray) -> float:
    return float(-weights[weights < 0].sum() / np.abs(weights).sum())
