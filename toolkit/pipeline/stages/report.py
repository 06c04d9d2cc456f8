"""Stage `report`: diagnostics on the test events, plots, the page, results.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from toolkit.analysis.build import open_ratio
from toolkit.analysis.datasets import read_data, read_simulation
from toolkit.analysis.layout import CUTFLOW, FIT, MODEL, PARITY, PLOTS, REPORT, RESULTS, TRAINING
from toolkit.analysis.model import FitModel
from toolkit.analysis.region_yields import region_yields
from toolkit.analysis.regions import learned_events
from toolkit.config import Config
from toolkit.diagnostics.learning_curve import LearningCurve
from toolkit.diagnostics.suite import Suite
from toolkit.diagnostics.training import TrainingCurve
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood import Results
from toolkit.likelihood.coefficients import diverging_parameters
from toolkit.model.coefficients import Coefficients
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.examined import examine
from toolkit.pipeline.stages.fit_pages import FitPages, read_json
from toolkit.pipeline.stages.looks import process_looks
from toolkit.pipeline.stages.origin import describe_provenance, input_rows, uncertainty_rows
from toolkit.pipeline.training_notes import further_training_notes
from toolkit.plots import PlotStyle, plot_cutflow, png_bytes
from toolkit.report import PageFigure, Provenance, build_page, judge, write_page, write_results
from toolkit.report.drawing import Drawing
from toolkit.report.figures import result_jobs, suite_jobs
from toolkit.report.fitted_figures import contour_jobs, correlation_jobs
from toolkit.report.other_fits import fit_jobs
from toolkit.report.review_figures import learning_jobs, review_jobs
from toolkit.report.systematics_figures import observed_jobs, systematics_jobs
from toolkit.weights import SimulatedEvents

MANY_OBSERVABLES = 10
"""From so many observables on, each with plots, several processes draw if there may be several; for fewer their start costs more than it
saves."""


def run(context: StageContext) -> None:
    """Write `plots/`, `report.html` and `results.json`."""
    config = context.config
    simulated = read_simulation(context)
    training, test = (learned_events(config, events) for events in simulated)
    results = Results.from_json(read_json(context.out / FIT))
    verdicts = judge(results)
    regions = region_yields(config, training=simulated[0], test=simulated[1]) if config.general else None
    trained = read_json(context.out / TRAINING)
    curves = training_curves(trained, processes=tuple(p.name for p in config.model.learned.processes))
    style = replace(plot_style(config), roots=root_parameters(config))
    data = read_data(context).observables if config.likelihood.observed else None
    processes = context.executor.local if len(test.observables) >= MANY_OBSERVABLES else 1
    with Drawing(
        context.work / PLOTS, progress=context.progress, tasks=context.tasks, processes=processes, prepare=registration(config)
    ) as drawing:
        drawing.add(result_jobs(results, verdicts, curves, style=style))
        for jobs in (systematics_jobs, observed_jobs, contour_jobs, correlation_jobs, fit_jobs):
            drawing.add(tuple(jobs(results, style=style)))

        def draw_suite(suite: Suite) -> None:
            drawing.add(suite_jobs(suite, style=style, details=config.report.details, data=data))

        learning = learning_curve(context, training, test)
        drawing.add(tuple(learning_jobs(learning, style=style)) if learning is not None else ())
        found = examine(context, training, test, told=draw_suite)
        drawing.add(tuple(review_jobs(found.review, style=style)) if found.review is not None else ())
        fitted = FitPages.read(context.out, config, results)
        drawing.add(tuple(fitted.jobs(style=style)))
        figures = drawing.finish()
    processed = read_json(context.out / CUTFLOW)
    provenance = describe_provenance(
        config, simulated[1], processed["samples"], inputs=input_rows(context.out), uncertainty=uncertainty_rows(context.out)
    )
    provenance = replace(provenance, notes=(*provenance.notes, *processed.get("notes", ()), *results.notes))
    figures["selection"] = (cutflow_picture(provenance, style),)
    timed = with_timing(results, context)
    page = build_page(
        timed,
        verdicts,
        found.suite,
        figures,
        title=config.name,
        provenance=provenance,
        review=found.review,
        training_warnings=(*training_warnings(trained), *(f"T{note[1:]}." for note in further_training_notes(context.out))),
        learning=learning,
        regions=regions,
        left_out=found.left_out,
    )
    write_page(context.work / REPORT, fitted.on(page, figures))
    extras: dict[str, Any] = {"onnx_parity": read_json(context.out / PARITY)}
    parts = {"diagnostics": found.suite, "review": found.review, "regions": regions, "learning_curve": learning}
    extras |= {name: part.to_json() for name, part in parts.items() if part is not None}
    write_results(context.work / RESULTS, with_timing(results, context), verdicts=verdicts, extras={**extras, **fitted.extras()})


def registration(config: Config) -> Callable[[], object] | None:
    """Return what registers the user's observables in a process that draws; None without any, so that nothing of coffea is loaded."""
    if not config.modules:
        return None
    from processors.modules import load_modules

    return partial(load_modules, config.modules)


def learning_curve(context: StageContext, training: SimulatedEvents, test: SimulatedEvents) -> LearningCurve | None:
    """Train on the shares that `report.learning_curve` names, if there are any."""
    if not context.config.report.learning_curve:
        return None
    from toolkit.pipeline.stages.learning_curve import learn_from_shares  # torch is loaded only where something is trained

    return learn_from_shares(context, open_ratio(context.out / MODEL, context.config), training=training, test=test)


def plot_style(config: Config) -> PlotStyle:
    """Take the look of the plots from the config."""
    report = config.report
    return PlotStyle(
        report.style,
        status=report.status,
        note=report.status,
        luminosity_ifb=config.luminosity_ifb,
        energy_tev=report.energy_tev,
        processes=process_looks(config),
        parameters=parameter_labels(config),
    )


def root_parameters(config: Config) -> frozenset[str]:
    """Return the parameters on whose square root rates depend, as strengths of amplitudes that interfere, and those they are written in."""
    model = FitModel.of(config)
    found = diverging_parameters(Coefficients.parse(model.coefficients, model.names), model.parameters)
    written = [text for fit in config.likelihood.fits.values() for name, text in fit.express.items() if name in found]
    return found.union(*(Expression.parse(text).names for text in written))


def parameter_labels(config: Config) -> dict[str, str]:
    """Return the symbols that the config gives to parameters, those of fits in other parameters among them."""
    sections = [config.parameters, *(fit.parameters for fit in config.likelihood.fits.values())]
    return {name: section.label for own in sections for name, section in own.items() if section.label}


def cutflow_picture(provenance: Provenance, style: PlotStyle) -> PageFigure:
    """Draw the cut flow for the page; the files of this plot are those of the processing stage."""
    text = "Expected events of each sample after each cut, and the fraction of its simulated events that is left."
    return PageFigure(png_bytes(plot_cutflow(provenance.cutflow, style=style)), text, name="cutflow")


def training_curves(document: Mapping[str, Any], *, processes: Sequence[str] = ()) -> tuple[TrainingCurve, ...]:
    """Return the losses of every network of every member, as training.json holds them.

    Args:
        document: Content of training.json.
        processes: Names of the learned processes: "composition 0" is that of the first one.
    """
    named = {f"composition {k}": f"composition of {name}" for k, name in enumerate(processes)}
    return tuple(
        TrainingCurve(
            member=str(k),
            network=named.get(part["network"], part["network"]),
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
