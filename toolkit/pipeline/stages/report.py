"""Stage `report`: diagnostics on the test events, plots, the page, results.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.analysis.datasets import read_recorded, read_simulation
from toolkit.analysis.layout import CUTFLOW, FIT, MODEL, PARITY, PLOTS, REPORT, RESULTS, TRAINING
from toolkit.analysis.model import FitModel
from toolkit.config import Config
from toolkit.diagnostics.review import review
from toolkit.diagnostics.suite import EstimateUnderTest, diagnose
from toolkit.diagnostics.training import TrainingCurve
from toolkit.expressions import Condition
from toolkit.likelihood import OnnxRatio, Results
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.fit_pages import FitPages, read_json
from toolkit.pipeline.stages.origin import describe_provenance, input_rows
from toolkit.pipeline.stages.review import ensemble_under_review, read_stored, review_settings
from toolkit.plots import PlotStyle, plot_cutflow, png_bytes
from toolkit.report import PageFigure, Provenance, build_page, judge, write_page, write_results
from toolkit.report.figures import draw_all, plot_jobs
from toolkit.report.review_figures import review_jobs
from toolkit.report.systematics_figures import observed_jobs, systematics_jobs
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents


def run(context: StageContext) -> None:
    """Write `plots/`, `report.html` and `results.json`."""
    config = context.config
    pool, test = read_simulation(context)
    results = Results.from_json(read_json(context.out / FIT))
    verdicts = judge(results)
    ratio = OnnxRatio(context.out / MODEL)
    estimate = estimate_under_test(config, pool, test, ratio)
    suite = diagnose(estimate, progress=context.progress)
    subject = ensemble_under_review(config, estimate, ratio, pool=pool, stored=read_stored(context.out, pool=pool, test=test))
    reviewed = review(subject, settings=review_settings(config), progress=context.progress)
    trained = read_json(context.out / TRAINING)
    training = training_curves(trained)
    style = plot_style(config)
    recorded = read_recorded(context).observables if config.likelihood.observed else None
    jobs = plot_jobs(suite, results, verdicts, training, style=style, details=config.report.details, recorded=recorded)
    fitted = FitPages.read(context.out, config)
    jobs = (
        *jobs,
        *review_jobs(reviewed, style=style),
        *systematics_jobs(results, style=style),
        *observed_jobs(results, style=style),
        *fitted.jobs(style=style),
    )
    figures = draw_all(jobs, folder=context.work / PLOTS, progress=context.progress, tasks=context.tasks)
    processed = read_json(context.out / CUTFLOW)
    provenance = describe_provenance(config, test, processed["samples"], inputs=input_rows(context.out))
    provenance = replace(provenance, notes=(*provenance.notes, *processed.get("notes", ()), *results.notes))
    figures["selection"] = (cutflow_picture(provenance, style),)
    timed = with_timing(results, context)
    page = build_page(
        timed,
        verdicts,
        suite,
        figures,
        title=config.name,
        provenance=provenance,
        review=reviewed,
        training_warnings=training_warnings(trained),
    )
    write_page(context.work / REPORT, fitted.on(page, figures))
    extras = {"diagnostics": suite.to_json(), "review": reviewed.to_json(), "onnx_parity": read_json(context.out / PARITY)}
    write_results(context.work / RESULTS, with_timing(results, context), verdicts=verdicts, extras={**extras, **fitted.extras()})


def plot_style(config: Config) -> PlotStyle:
    """Take the look of the plots from the config."""
    report = config.report
    return PlotStyle(
        report.style, status=report.status, note=report.status, luminosity_ifb=config.luminosity_ifb, energy_tev=report.energy_tev
    )


def cutflow_picture(provenance: Provenance, style: PlotStyle) -> PageFigure:
    """Draw the cut flow for the page; the files of this plot are those of the processing stage."""
    text = "Expected events of each sample after each cut, and the fraction of its simulated events that is left."
    return PageFigure(png_bytes(plot_cutflow(provenance.cutflow, style=style)), text, name="cutflow")


def estimate_under_test(config: Config, pool: SimulatedEvents, test: SimulatedEvents, ratio: OnnxRatio) -> EstimateUnderTest:
    """Collect what the diagnostics need: the exported networks on the test events, yields from the pool."""
    model = FitModel.of(config)

    def at(values: FloatArray) -> FloatArray:
        return model.along(model.parameter, np.asarray(values, dtype=np.float64))

    return EstimateUnderTest(
        events=test,
        log_ratios=ratio(ratio.columns(test.observables)),
        reference=ratio.metadata.reference_mixture,
        yields=pool.yields,
        coefficients=at,
        benchmarks=config.morphing.amplitudes,
        backgrounds=config.backgrounds,
        features=tuple(ratio.features),
        parameter=model.parameter,
        truth=model.truth[model.parameter],
        range=model.range,
        hypotheses=shown_hypotheses(model),
        edges=dict(config.histograms_of_one.values()),
        regions=region_masks(config, test),
    )


def region_masks(config: Config, events: SimulatedEvents) -> dict[str, BoolArray]:
    """Evaluate the regions of the config on events, (n,) each; regions of columns that the tables lack are left out."""
    conditions = {name: Condition.parse(text) for name, text in config.conditions.items()}
    known = set(events.observables)
    return {name: c.evaluate(events.observables) for name, c in conditions.items() if set(c.names) <= known}


def shown_hypotheses(model: FitModel) -> tuple[float, ...]:
    """Return the values shown in spectra: 0, the truth and 4, as far as they are allowed."""
    low, high = model.range
    return tuple(sorted({value for value in (0.0, model.truth[model.parameter], 4.0) if low <= value <= high}))


def training_curves(document: Mapping[str, Any]) -> tuple[TrainingCurve, ...]:
    """Return the losses of every network of every member, as training.json holds them."""
    return tuple(
        TrainingCurve(
            member=str(k),
            network=part["network"],
            train_loss=tuple(part["train"]),
            validation_loss=tuple(part["validation"]),
            best_epoch=part["best_epoch"],
        )
        for k, member in enumerate(document["members"], start=1)
        for part in member
    )


def training_warnings(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the trainings noticed about weights and gradients, as training.json holds it.

    Examples:
        >>> training_warnings({"members": [[{"network": "classes", "warnings": ["small batches"]}, {"network": "composition"}]]})
        ('Member 1, classes: small batches.',)
    """
    return tuple(
        f"Member {k}, {part['network']}: {text}."
        for k, member in enumerate(document["members"], start=1)
        for part in member
        for text in part.get("warnings", ())
    )


def with_timing(results: Results, context: StageContext) -> Results:
    """Add the seconds of all stages, of this one as far as it got."""
    return replace(results, timing_s={**context.timing_s, "report": context.elapsed_s()})
