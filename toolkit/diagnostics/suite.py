"""All diagnostics of one analysis in one call: what the report shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.diagnostics.angular_moments import AngularMoments, observed_moments
from toolkit.diagnostics.calibration import CalibrationCurve, calibration_curve, hypothesis_calibration
from toolkit.diagnostics.edges import observable_edges
from toolkit.diagnostics.normalisation import Normalisation, normalisation
from toolkit.diagnostics.observables import Spectrum, spectrum
from toolkit.diagnostics.processes import ProcessSummary, process_summaries
from toolkit.diagnostics.reweighting import ReweightingClosure, reweighting_closure
from toolkit.diagnostics.serialise import jsonable
from toolkit.diagnostics.weight_quality import WeightQuality, weight_quality
from toolkit.diagnostics.yields import YieldCurve, yield_curve
from toolkit.errors import PhysicsDomainError
from toolkit.typing import BoolArray, FloatArray, Progress, silent_progress
from toolkit.weights.simulation import SimulatedEvents

VALUES = 121
"""Values of the parameter along curves."""


@dataclass(frozen=True, eq=False)
class EstimateUnderTest:
    """The estimated ratios, and all that is needed to test them on events they have not seen.

    Attributes:
        events: Test events with weights (n, n_processes).
        log_ratios: (n, n_processes) log p_process / p_ref.
        reference: Share of each process in p_ref.
        yields: (n_processes,) expected events that the likelihood uses.
        coefficients: Morphing coefficients: (m,) values of the parameter -> (m, n_processes).
        benchmarks: Names of S, SBI and B, where one signal interferes with one background; None for other models, where what is defined by
            them is left out.
        backgrounds: Processes that neither interfere nor depend on the parameter.
        features: Observables that the networks read.
        parameter: Name of the parameter of interest.
        truth: Its value in the Asimov set.
        range: Its allowed range.
        hypotheses: Values shown in spectra, the truth among them.
        edges: Edges of observables for which the default is not wanted.
        observables: Observables to check; all of the events when empty.
        regions: Events of each region, (n,) bool, in which negative weights are counted.
        further: The same along other parameters of interest, where there are several.
    """

    events: SimulatedEvents
    log_ratios: FloatArray
    reference: Mapping[str, float]
    yields: FloatArray
    coefficients: Callable[[FloatArray], FloatArray]
    benchmarks: tuple[str, str, str] | None
    backgrounds: tuple[str, ...]
    features: tuple[str, ...]
    parameter: str = "mu"
    truth: float = 1.0
    range: tuple[float, float] = (0.0, 6.0)
    hypotheses: tuple[float, ...] = (0.0, 1.0, 4.0)
    edges: Mapping[str, FloatArray] = field(default_factory=dict)
    observables: tuple[str, ...] = ()
    regions: Mapping[str, BoolArray] = field(default_factory=dict)
    further: tuple[EstimateUnderTest, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Observables to check: those asked for, or all that have a value in at least two events."""
        available = self.events.observables
        return self.observables or tuple(name for name, values in available.items() if np.unique(values[np.isfinite(values)]).size > 1)


@dataclass(frozen=True, eq=False)
class Suite:
    """The results of all diagnostics, in the order of the report."""

    processes: tuple[ProcessSummary, ...]
    normalisation: Normalisation
    calibrations: tuple[CalibrationCurve, ...]
    reweightings: tuple[ReweightingClosure, ...]
    spectra: tuple[Spectrum, ...]
    yields: tuple[YieldCurve, ...]
    problems: tuple[str, ...] = ()
    """Checks that could not be made, and why."""
    weights: WeightQuality | None = None
    expected: Mapping[str, float] = field(default_factory=dict)
    """Expected events of every process that the likelihood uses, of the events under test."""
    moments: Mapping[str, AngularMoments] = field(default_factory=dict)
    """Moments of f_1 ... f_9 of every process and of the truth, where the events have these observables."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets of the reweighting closure, in order."""
        return tuple(dict.fromkeys(c.target_name for c in self.reweightings))

    def of_target(self, name: str) -> tuple[ReweightingClosure, ...]:
        """Return the reweighting closure of one target."""
        return tuple(c for c in self.reweightings if c.target_name == name)

    def to_json(self) -> dict[str, Any]:
        """Return the summary numbers (not the curves) as a JSON object, for results.json."""
        return {
            "processes": [p.to_json() for p in self.processes],
            "problems": list(self.problems),
            "weights": None if self.weights is None else self.weights.to_json(),
            **({"angular_moments": {name: moments.to_json() for name, moments in self.moments.items()}} if self.moments else {}),
            "normalisation": self.normalisation.to_json(),
            "calibration": [
                {"numerator": c.numerator, "denominator": c.denominator, **c.test.to_json(), "mean_residual": jsonable(c.mean_residual)}
                for c in self.calibrations
            ],
            "reweighting": [
                {
                    "target": c.target_name,
                    "observable": c.observable,
                    "trained_on": c.trained_on,
                    **c.test.to_json(),
                    "mean_deviation": jsonable(c.mean_deviation),
                    "shape_p_value": c.shape_test.to_json()["p_value"],
                }
                for c in self.reweightings
            ],
        }


def diagnose(estimate: EstimateUnderTest, *, progress: Progress = silent_progress) -> Suite:
    """Run all diagnostics.

    Args:
        estimate: The estimated ratios and the test events.
        progress: Told how far it is.

    Returns:
        The results. Calibration: S and SBI against B and each background, or without benchmarks every density against those that do not
        depend on a parameter, and other values of every parameter against the truth. Reweighting: every process and the truth, in every
        observable.
    """
    events, names = estimate.events, estimate.names
    edges = {name: np.asarray(estimate.edges[name]) if name in estimate.edges else observable_edges(events, name) for name in names}
    targets = _targets(estimate)
    total = len(targets) * len(names) + len(names) + 1.0
    reweightings = []
    for target in targets:
        for name in names:
            reweightings.append(_reweight(estimate, name, edges[name], target))
            progress("diagnostics", len(reweightings), total)
    values = np.array(sorted({*estimate.hypotheses, estimate.truth}))
    spectra = []
    for name in _measured(names):
        spectra.append(_spectrum(estimate, name, edges[name], values))
        progress("diagnostics", len(reweightings) + len(spectra), total)
    for one in estimate.further:
        own = np.array(sorted({*one.hypotheses, one.truth}))
        spectra += [_spectrum(one, name, edges[name], own) for name in names if name in one.edges]
    calibrations, problems = _calibrations(estimate)
    suite = Suite(
        processes=process_summaries(events),
        normalisation=normalisation(events, estimate.log_ratios, reference=estimate.reference),
        calibrations=calibrations,
        reweightings=tuple(reweightings),
        spectra=tuple(spectra),
        yields=tuple(curve for one in (estimate, *estimate.further) for curve in _yields(one)),
        problems=problems,
        expected=dict(zip(events.processes, np.asarray(estimate.yields).tolist(), strict=True)),
        weights=None if estimate.benchmarks is None else _weights(estimate, edges, estimate.benchmarks),
        moments=_moments(estimate, targets),
    )
    progress("diagnostics", total, total)
    return suite


def _measured(names: Sequence[str]) -> list[str]:
    """Leave out what networks read in place of an observable that some events lack: its filled values, and whether it is there."""
    bases = {name: name.removesuffix("_filled").removeprefix("has_") for name in names}
    return [name for name, base in bases.items() if base == name or base not in bases]


def _targets(estimate: EstimateUnderTest) -> Sequence[str | tuple[str, FloatArray]]:
    name, coefficients = _hypothesis(estimate, estimate.truth)
    name = ", ".join([name, *(_hypothesis(one, one.truth)[0] for one in estimate.further)])
    return [*estimate.events.processes, (f"total, {name}", coefficients)]


def _moments(estimate: EstimateUnderTest, targets: Sequence[str | tuple[str, FloatArray]]) -> dict[str, AngularMoments]:
    """Compute the angular moments of every process and of the truth, of those with a positive sum of weights."""
    events, weights = estimate.events, {}
    for target in targets:
        if isinstance(target, str):
            weights[target] = events.weights[:, events.processes.index(target)]
        else:
            weights[target[0]] = events.weights @ target[1]
    found = {name: observed_moments(events.observables, own) for name, own in weights.items()}
    return {name: moments for name, moments in found.items() if moments is not None}


def _reweight(estimate: EstimateUnderTest, name: str, edges: FloatArray, target: str | tuple[str, FloatArray]) -> ReweightingClosure:
    return reweighting_closure(
        estimate.events,
        estimate.log_ratios,
        observable=name,
        edges=edges,
        reference=estimate.reference,
        target=target,
        trained_on=name in estimate.features,
    )


def _spectrum(estimate: EstimateUnderTest, name: str, edges: FloatArray, values: FloatArray) -> Spectrum:
    return spectrum(
        estimate.events,
        observable=name,
        edges=edges,
        values=values,
        coefficients=estimate.coefficients(values),
        backgrounds=estimate.backgrounds,
        parameter=estimate.parameter,
        denominator=estimate.truth,
        benchmarks=estimate.benchmarks,
    )


def _calibrations(estimate: EstimateUnderTest) -> tuple[tuple[CalibrationCurve, ...], tuple[str, ...]]:
    curves = [calibration_curve(estimate.events, estimate.log_ratios, numerator=top, denominator=below) for top, below in _pairs(estimate)]
    problems = []
    for one in (estimate, *estimate.further):
        values = np.array(sorted({*one.hypotheses, one.truth}))
        for value in values[values != one.truth]:
            top, below = _hypothesis(one, value), _hypothesis(one, one.truth)
            try:
                curves.append(hypothesis_calibration(one.events, one.log_ratios, numerator=top, denominator=below, yields=one.yields))
            except PhysicsDomainError as error:
                problems.append(f"calibration of {top[0]} against {below[0]}: {error.what}, got {error.got}, expected {error.expected}")
    return tuple(curves), tuple(problems)


def _pairs(estimate: EstimateUnderTest) -> list[tuple[str, str]]:
    """Pair the densities that are compared: signal over background."""
    if estimate.benchmarks is not None:
        signal, both, background = estimate.benchmarks
        return [(top, below) for top in (signal, both) for below in (background, *estimate.backgrounds)]
    fixed = [name for name in estimate.backgrounds if all(name in one.backgrounds for one in estimate.further)]
    names = estimate.events.processes
    below = fixed or [names[-1]]
    return [(top, other) for top in names if top not in below for other in below]


def _hypothesis(estimate: EstimateUnderTest, value: float) -> tuple[str, FloatArray]:
    return f"{estimate.parameter} = {value:g}", estimate.coefficients(np.array([value]))[0]


def _weights(estimate: EstimateUnderTest, edges: Mapping[str, FloatArray], benchmarks: tuple[str, str, str]) -> WeightQuality:
    """Look at the weights; negative ones are located in the observables with edges of their own, or in the first ones."""
    mu = np.linspace(*estimate.range, VALUES)
    chosen = [name for name in edges if name in estimate.edges] or list(edges)[:3]
    return weight_quality(
        estimate.events,
        values=mu,
        coefficients=estimate.coefficients(mu),
        benchmarks=benchmarks,
        parameter=estimate.parameter,
        hypotheses={f"total, {name}": f for name, f in (_hypothesis(estimate, value) for value in estimate.hypotheses)},
        regions=estimate.regions,
        edges={name: edges[name] for name in chosen},
    )


def _yields(estimate: EstimateUnderTest) -> tuple[YieldCurve, ...]:
    mu = np.linspace(*estimate.range, VALUES)
    matrix = estimate.coefficients(mu)
    reference = (estimate.truth, _hypothesis(estimate, estimate.truth)[1])
    common: dict[str, Any] = {"reference": reference, "parameter": estimate.parameter}
    total = yield_curve(estimate.events, mu, matrix, name="total", **common)
    if estimate.benchmarks is None:
        return (total,)
    return total, yield_curve(estimate.events, mu, matrix, name="interfering only", processes=estimate.benchmarks, **common)
