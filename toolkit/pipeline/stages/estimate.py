"""The exported networks on the test events, as the diagnostics of the report look at them: parameter by parameter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.analysis.cross_fit import log_ratios_of
from toolkit.analysis.model import FitModel
from toolkit.analysis.regions import whole_densities
from toolkit.analysis.theta import learned_by_theta
from toolkit.config import Config
from toolkit.diagnostics.suite import EstimateUnderTest
from toolkit.errors import SchemaError
from toolkit.expressions import Condition
from toolkit.likelihood import OnnxRatio
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.model import learned_densities
from toolkit.model.theta_points import ThetaPoints
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents


def estimate_under_test(config: Config, training: SimulatedEvents, test: SimulatedEvents, ratio: OnnxRatio) -> EstimateUnderTest:
    """Collect what the diagnostics need: the exported networks on the test events, yields from the training sample.

    Args:
        config: The analysis.
        training: Training events that the networks learned from; processes are the whole densities.
        test: Test events of the same regions.
        ratio: The exported networks.

    Returns:
        The estimate along the first parameter of interest; `further` holds those along the others.

    Raises:
        SchemaError: Parts or regions of a process have different coefficients, so that the sum of its whole densities has none.
    """
    if isinstance(ratio, RatioAtPoints):
        return _at_points(config, training=training, test=test, ratio=ratio)
    model = FitModel.of_model(config.model.learned)
    first, *others = (_along(config, model, name, training=training, test=test, ratio=ratio) for name in model.interest)
    return replace(first, further=tuple(others))


def _at_points(config: Config, *, training: SimulatedEvents, test: SimulatedEvents, ratio: RatioAtPoints) -> EstimateUnderTest:
    """Look at a network that reads the parameter at a few values of it, whose densities are the processes of the events."""
    points, model = ThetaPoints.of(config.model.learned), FitModel.of(config)
    own, seen = (learned_by_theta(config, events) for events in (test, training))
    return EstimateUnderTest(
        events=own,
        log_ratios=log_ratios_of(ratio, test),
        reference=ratio.metadata.reference_mixture,
        yields=seen.yields,
        coefficients=points.along,
        benchmarks=None,
        backgrounds=(),
        features=tuple(ratio.features),
        parameter=points.parameter,
        truth=model.truth[points.parameter],
        range=points.range,
        hypotheses=shown_hypotheses(points.range, model.truth[points.parameter]),
        edges=dict(config.histograms_of_one.values()),
        regions=region_masks(config, test),
    )


def _along(
    config: Config, model: FitModel, parameter: str, *, training: SimulatedEvents, test: SimulatedEvents, ratio: OnnxRatio
) -> EstimateUnderTest:
    def at(values: FloatArray) -> FloatArray:
        return whole_coefficients(config, parameter, np.asarray(values, dtype=np.float64))

    bounds, truth = model.bounds[parameter], model.truth[parameter]
    return EstimateUnderTest(
        events=test,
        log_ratios=log_ratios_of(ratio, test),
        reference=ratio.metadata.reference_mixture,
        yields=training.yields,
        coefficients=at,
        benchmarks=None if config.general else config.morphing.amplitudes,
        backgrounds=_fixed(at(np.linspace(*bounds, 7)), test.processes) if config.general else config.backgrounds,
        features=tuple(ratio.features),
        parameter=parameter,
        truth=truth,
        range=bounds,
        hypotheses=shown_hypotheses(bounds, truth),
        edges=dict(config.histograms_of_one.values()),
        regions=region_masks(config, test),
    )


def whole_coefficients(config: Config, parameter: str, values: FloatArray) -> FloatArray:
    """Evaluate the coefficients of the whole densities along a parameter, the others at their truth.

    Args:
        config: The analysis.
        parameter: A parameter of interest.
        values: Its values, (n_values,).

    Returns:
        (n_values, n_whole).

    Raises:
        SchemaError: A whole density has several: its parts or its regions differ.
    """
    model = config.model.learned
    unbinned: list[str | None] = [r.name for r in model.regions if r.kind == "unbinned"]
    whole = whole_densities(model)
    position = [d.name for component in model.components for d in learned_densities(component.process)]
    found = np.full((len(values), len(whole)), np.nan)
    for region in unbinned or [None]:
        own = FitModel.of_model(model, region=region).along(parameter, values)
        for column, name in zip(own.T, position, strict=True):
            j = whole.index(name)
            if np.isfinite(found[:, j]).all() and not np.allclose(found[:, j], column, rtol=1e-9, atol=1e-12):
                raise SchemaError(
                    f"coefficient of {name} along {parameter}",
                    got="different ones in its parts or regions",
                    expected="one, which the sum over all unbinned regions has",
                )
            found[:, j] = column
    return found


def _fixed(coefficients: FloatArray, names: tuple[str, ...]) -> tuple[str, ...]:
    """Name the densities whose coefficient is 1 everywhere."""
    return tuple(name for name, column in zip(names, coefficients.T, strict=True) if np.allclose(column, 1.0))


def region_masks(config: Config, events: SimulatedEvents) -> dict[str, BoolArray]:
    """Evaluate the regions of the config on events, (n,) each; regions of columns that the tables lack are left out."""
    conditions = {name: Condition.parse(text) for name, text in config.conditions.items()}
    known = set(events.observables)
    return {name: c.evaluate(events.observables) for name, c in conditions.items() if set(c.names) <= known}


def shown_hypotheses(bounds: tuple[float, float], truth: float) -> tuple[float, ...]:
    """Return the values shown in spectra: 0, the truth and 4, as far as they are allowed; the ends of a range that 4 is outside of.

    Examples:
        >>> shown_hypotheses((0.0, 6.0), 1.0), shown_hypotheses((0.2, 2.0), 1.0)
        ((0.0, 1.0, 4.0), (0.2, 1.0, 2.0))
    """
    low, high = bounds
    candidates = (0.0, truth, 4.0) if high >= 4.0 else (low, truth, high)
    return tuple(sorted({value for value in candidates if low <= value <= high}))
