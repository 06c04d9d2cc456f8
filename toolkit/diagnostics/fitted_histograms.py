"""Expected events of histogram fits before and after the fit, with errors, and the values that CLs excludes.

Only histograms: an unbinned density has no bins, and its background-only Asimov set needs the events of the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.serialise import jsonable
from toolkit.likelihood import PyhfLikelihood
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.scans import Interval
from toolkit.typing import FloatArray

STEP = 1e-3
"""Step of the numerical derivatives, in errors of the parameter."""


@dataclass(frozen=True, eq=False)
class FittedChannel:
    """Events in the bins of one channel.

    Attributes:
        method: Name of the method.
        channel: Name of the channel.
        observed: Whether the data were fitted; otherwise the Asimov set was.
        counts: Events that were fitted, (k,): data, or those of the Asimov set.
        before: Expected events at the nominal values, before the fit, (k,).
        before_error: Their error from the nuisance parameters, (k,).
        after: Expected events at the best fit, (k,).
        after_error: Their error from all fitted parameters and their correlations, (k,); NaN where the fit has no covariance.
        sums: Sum over the bins of before and after, each with its error.
    """

    method: str
    channel: str
    observed: bool
    counts: FloatArray
    before: FloatArray
    before_error: FloatArray
    after: FloatArray
    after_error: FloatArray
    sums: tuple[tuple[float, float], tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        names = ("method", "channel", "observed", "counts", "before", "before_error", "after", "after_error")
        return {**{name: jsonable(getattr(self, name)) for name in names}, "sums": jsonable(np.array(self.sums))}


@dataclass(frozen=True, eq=False)
class FittedHistograms:
    """All histogram fits of a run.

    Attributes:
        channels: Every channel of every method.
        allowed: Values of the parameter of interest that CLs does not exclude at 95 %, by method: of the fitted events, and of the
            Asimov set of background alone (the expected ones of a search). Empty where the fit has several parameters of interest or many
            nuisance parameters.
    """

    channels: tuple[FittedChannel, ...]
    allowed: Mapping[str, tuple[tuple[Interval, ...], tuple[Interval, ...]]]

    def to_json(self) -> dict[str, Any]:
        """Return `post_fit` and `cls_95` of results.json."""
        pieces = {
            name: {kind: [[p.low, p.high] for p in own] for kind, own in zip(("fitted", "background_only"), pair, strict=True)}
            for name, pair in self.allowed.items()
        }
        return {"post_fit": [channel.to_json() for channel in self.channels], "cls_95": pieces}


def fitted_channels(
    likelihood: PyhfLikelihood, fit: FitResult, *, method: str, nominal: Mapping[str, float], observed: bool
) -> list[FittedChannel]:
    """Evaluate the expectation of every channel before and after a fit, with errors.

    Args:
        likelihood: The binned likelihood.
        fit: Its fit.
        method: Name of the method.
        nominal: Values of the parameters of interest before the fit.
        observed: Whether its events are data.

    Notes:
        The error after the fit is J C J^T with the covariance C of the fit and the derivatives J of the expectations, of first order.
        Before it every nuisance parameter moves by the width of its own measurement, in quadrature.
    """
    names = likelihood.parameter_names
    start = likelihood.point({name: value for name, value in nominal.items() if name in names})
    end = likelihood.point(fit.parameters)
    widths = {c.parameter: c.scale if c.kind == "gaussian" else c.scale**-0.5 for c in likelihood.constraints}
    moved = [name for name, width in widths.items() if width > 0.0]
    around_start = _derivatives(likelihood, start, {name: widths[name] for name in moved}, step=1.0)
    covariance = np.array(fit.covariance, dtype=np.float64).reshape(len(fit.free), len(fit.free))
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    around_end = _derivatives(likelihood, end, dict(zip(fit.free, errors.tolist(), strict=True)), step=STEP)
    before, after = _expected(likelihood, start), _expected(likelihood, end)
    counts = likelihood.data[: likelihood.model.config.nmaindata]
    spread = np.array([widths[name] for name in moved])
    found = []
    for channel in likelihood.model.config.channels:
        bins = likelihood.model.config.channel_slices[channel]
        jacobian, shifts = around_end[:, bins], around_start[:, bins] * spread[:, None]
        total, shifted = jacobian.sum(axis=1), shifts.sum(axis=1)
        found.append(
            FittedChannel(
                method=method,
                channel=channel,
                observed=observed,
                counts=counts[bins],
                before=before[bins],
                before_error=np.sqrt((shifts**2).sum(axis=0)),
                after=after[bins],
                after_error=np.sqrt(np.maximum(np.einsum("ik,ij,jk->k", jacobian, covariance, jacobian), 0.0)),
                sums=(
                    (float(before[bins].sum()), float(np.sqrt((shifted**2).sum()))),
                    (float(after[bins].sum()), float(np.sqrt(max(total @ covariance @ total, 0.0)))),
                ),
            )
        )
    return found


def _expected(likelihood: PyhfLikelihood, point: FloatArray) -> FloatArray:
    return np.asarray(likelihood.model.expected_actualdata(likelihood.model_parameters(point[None, :])[0]), dtype=np.float64)


def _derivatives(likelihood: PyhfLikelihood, point: FloatArray, sizes: Mapping[str, float], *, step: float) -> FloatArray:
    """Return the derivative of every bin by every named parameter, (n_names, n_bins), over a step of its size that stays in its range."""
    rows = np.zeros((len(sizes), likelihood.model.config.nmaindata))
    for row, (name, size) in zip(rows, sizes.items(), strict=True):
        k = likelihood.parameter_names.index(name)
        own = likelihood.parameters[k]
        ends = np.clip(point[k] + step * size * np.array([-1.0, 1.0]), own.low, own.high)
        if ends[1] > ends[0]:
            low, high = (np.where(np.arange(point.size) == k, end, point) for end in ends)
            row[:] = (_expected(likelihood, high) - _expected(likelihood, low)) / (ends[1] - ends[0])
        else:
            row[:] = np.nan
    return rows
