"""List the plots of an analysis, and say in a caption what each one shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from toolkit.diagnostics.closure import ClosureVerdict
from toolkit.diagnostics.observables import count_data
from toolkit.diagnostics.suite import Suite
from toolkit.diagnostics.training import TrainingCurve
from toolkit.likelihood.results import MethodResult, Results
from toolkit.plots import (
    PlotStyle,
    plot_calibration,
    plot_closure,
    plot_effective_size,
    plot_negative_weights,
    plot_reweighting,
    plot_reweighting_overview,
    plot_scans,
    plot_spectrum,
    plot_training,
    plot_yields,
)
from toolkit.plots.effective_size import SizeCurve
from toolkit.report import prose
from toolkit.report.drawing import PlotJob
from toolkit.report.table import verdicts_on
from toolkit.report.wording import asimov_text, parameter_name
from toolkit.typing import FloatArray


def result_jobs(
    results: Results, verdicts: Sequence[ClosureVerdict], training: Sequence[TrainingCurve], *, style: PlotStyle
) -> tuple[PlotJob, ...]:
    """List the plots of the fits and of the trainings.

    Args:
        results: Methods and closure points.
        verdicts: Closure verdicts.
        training: Training curves; may be empty.
        style: Look and header.

    Returns:
        The plots; parts are "results", "closure", "training".
    """
    return (*_result_jobs(results, verdicts, style), *_training_jobs(training, style))


def suite_jobs(
    suite: Suite, *, style: PlotStyle, details: bool = False, data: Mapping[str, FloatArray] | None = None
) -> tuple[PlotJob, ...]:
    """List the plots of the diagnostics.

    Args:
        suite: Their results.
        style: Look and header.
        details: Also one full plot per observable of the reweighting closure of the first target.
        data: Observables of the data, each (n_events,); None while they are blinded.

    Returns:
        The plots, the largest first; parts are "reweighting", "calibration", "observables", "yields".
    """
    return (
        *_reweighting_jobs(suite, style, details),
        *_calibration_jobs(suite, style),
        *_observable_jobs(suite, style, data or {}),
        *_yield_jobs(suite, style),
    )


def _result_jobs(results: Results, verdicts: Sequence[ClosureVerdict], style: PlotStyle) -> Iterator[PlotJob]:
    for name in results.interest:
        tail = f"_{slug(name)}" if len(results.interest) > 1 else ""
        for job in _one_result_jobs(results.of(name), verdicts_on(name, verdicts), style):
            yield replace(job, name=job.name + tail)


def _one_result_jobs(results: Results, verdicts: Sequence[ClosureVerdict], style: PlotStyle) -> Iterator[PlotJob]:
    what = f" of {parameter_name(results.poi)}" if len(results.interest) > 1 else ""
    others = ", the other parameters profiled" if what else ""
    text = f"Scans{what} of every method{others}, Asimov set at {asimov_text(results)}. Lines: thresholds of the 68 % and 95 % intervals."
    observed: list[MethodResult] = []
    scans_style = style
    if results.observed is not None:
        observed = list(results.observed.methods.values())
        scans_style = style.for_data()
        text += f" Solid: observed, {results.observed.n_events} data events; dashed: expected, the Asimov set."
    methods = list(results.methods.values())
    yield PlotJob("results", "scans", text, partial(plot_scans, methods, observed=observed, verdicts=verdicts, style=scans_style))
    if results.closure:
        text = (
            f"Best fit{what} against truth on Asimov sets. Bars: standard error of the finite simulation, cut at the frame. "
            "Where a method reaches far beyond the compatible ones, these set the scale, and arrows with numbers are points beyond it."
        )
        if what:
            text += " Where several points stand at one truth, other parameters differ: the table says which."
        yield PlotJob("closure", "closure", text, partial(plot_closure, verdicts, parameter=results.poi, style=style))


def _calibration_jobs(suite: Suite, style: PlotStyle) -> Iterator[PlotJob]:
    for curve in suite.calibrations:
        text = f"{curve.numerator} against {curve.denominator}: true fraction of {curve.numerator} in bins of the predicted one."
        yield PlotJob(
            "calibration",
            f"calibration_{slug(curve.numerator)}_{slug(curve.denominator)}",
            text,
            partial(plot_calibration, curve, style=style),
        )


def _reweighting_jobs(suite: Suite, style: PlotStyle, details: bool) -> Iterator[PlotJob]:
    for target in suite.targets:
        chosen = suite.of_target(target)
        text = f"Reference reweighted to {target}, divided by the true {target}, in every observable. {prose.BEYOND}"
        yield PlotJob(
            "reweighting",
            f"reweighting_{slug(target)}",
            text,
            partial(plot_reweighting_overview, chosen, style=style),
            wide=True,
        )
    for closure in suite.of_target(suite.targets[0]) if details and suite.targets else ():
        text = f"{closure.observable}: reference reweighted to {closure.target_name} against the true one."
        yield PlotJob(
            "reweighting",
            f"reweighting_{slug(closure.target_name)}_{slug(closure.observable)}",
            text,
            partial(plot_reweighting, closure, style=style),
        )


def _observable_jobs(suite: Suite, style: PlotStyle, data: Mapping[str, FloatArray]) -> Iterator[PlotJob]:
    for one in suite.spectra:
        poi = parameter_name(one.parameter)
        text = f"{one.observable}: expected events of each process, and of the total at several {poi}. {prose.BEYOND}"
        draw = partial(plot_spectrum, one, style=style)
        if one.observable in data:
            text += f" {prose.DATA}"
            counts = count_data(data[one.observable], edges=one.edges)
            draw = partial(plot_spectrum, one, data=counts, style=style.for_data())
        tail = "" if one.parameter == suite.spectra[0].parameter else f"_{slug(one.parameter)}"
        yield PlotJob("observables", f"observable_{slug(one.observable)}{tail}", text, draw)


def _yield_jobs(suite: Suite, style: PlotStyle) -> Iterator[PlotJob]:
    for k, name in enumerate(dict.fromkeys(curve.parameter for curve in suite.yields)):
        poi, tail = parameter_name(name), f"_{slug(name)}" if k else ""
        curves = [curve for curve in suite.yields if curve.parameter == name]
        text = (
            f"Change of the expected events with {poi}; around a minimum two values give the same rate. Band: counting error of the total."
        )
        yield PlotJob("yields", f"yields{tail}", text, partial(plot_yields, curves, style=style))
        text = f"Effective number of simulated test events against {poi}, in two definitions"
        text += "; interfering samples also one by one." if suite.weights is not None else "."
        sizes: list[SizeCurve] = [*curves, *(suite.weights.sizes[1:] if suite.weights is not None else ())]
        yield PlotJob("yields", f"effective_size{tail}", text, partial(plot_effective_size, sizes, style=style))
    for name in suite.weights.observables if suite.weights is not None else ():
        profiles = suite.weights.of_observable(name) if suite.weights is not None else ()
        text = f"Share of negative weight in bins of {name}; a share f leaves (1 - 2 f)^2 of the effective size."
        yield PlotJob("yields", f"negative_weights_{slug(name)}", text, partial(plot_negative_weights, profiles, style=style))


def _training_jobs(training: Sequence[TrainingCurve], style: PlotStyle) -> Iterator[PlotJob]:
    for network in dict.fromkeys(curve.network for curve in training):
        curves = [curve for curve in training if curve.network == network]
        text = f"Loss of the {network} network of every ensemble member against epoch. The first epochs may lie above the frame."
        yield PlotJob("training", f"training_{slug(network)}", text, partial(plot_training, curves, style=style))


def slug(name: str) -> str:
    """Turn a name into a part of a file name.

    Examples:
        >>> slug("total, mu = 0.3"), slug("m4l")
        ('total_mu_0.3', 'm4l')
    """
    kept = "".join(c if c.isalnum() or c in "._-" else " " for c in name)
    return "_".join(kept.split())
