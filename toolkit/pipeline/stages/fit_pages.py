"""What the fit stage wrote beside the results, as parts of the report: comparison of the methods, intervals from toys, goodness of fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.analysis.fitted_histograms import read_fitted_histograms
from toolkit.analysis.layout import CLASSIFIERS_REPORT, COMPARISON, CUTFLOW, GOODNESS, INTERVALS, LEFT_OUT, VARIATIONS_REPORT
from toolkit.analysis.learned import learned_directions
from toolkit.analysis.left_out import varied_names
from toolkit.config import Config
from toolkit.diagnostics.fitted_histograms import FittedHistograms
from toolkit.errors import InputFileError
from toolkit.likelihood import Results
from toolkit.plots import PlotStyle
from toolkit.report import Page, PageFigure
from toolkit.report.classifier_pages import PART as CLASSIFIERS_PART
from toolkit.report.classifier_pages import ClassifierPages
from toolkit.report.comparison_pages import comparison_jobs, comparison_section
from toolkit.report.drawing import PlotJob
from toolkit.report.fitted_histograms import PART, TESTS, post_fit_jobs, post_fit_section, tests_section
from toolkit.report.goodness_pages import goodness_jobs, goodness_section
from toolkit.report.interval_pages import ToyIntervals, interval_jobs, with_intervals
from toolkit.report.left_out import left_out_section
from toolkit.report.ratio_systematics import decisions_document, variation_jobs, variations_section
from toolkit.report.source_sizes import sources_section
from toolkit.report.wording import parameter_name
from toolkit.typing import FloatArray

HEAD = ("Result", TESTS, "Observed", "Intervals from toys", "Systematic uncertainties", "Comparison of the methods")
"""The parts of a page behind which these parts come."""


@dataclass(frozen=True, eq=False)
class _OfParameter:
    """The documents on one parameter of interest.

    Attributes:
        truth: Its value in the Asimov set.
        comparison: Rows of `workspace/comparison.json`.
        intervals: Of `workspace/intervals.json`, if its intervals were made from toys.
        label: Ends titles, parts and names of plots, where there are several parameters.
    """

    truth: float
    comparison: Mapping[str, Any]
    intervals: Mapping[str, Any] | None
    label: str = ""

    def jobs(self, *, style: PlotStyle) -> Iterator[PlotJob]:
        """List the plots."""
        own = list(comparison_jobs(self.comparison, truth=self.truth, style=style))
        if self.intervals is not None:
            own += interval_jobs(ToyIntervals.from_json(self.intervals), style=style)
        yield from (replace(job, part=self._named(job.part), name=self._named(job.name)) for job in own)

    def on(self, page: Page, figures: Mapping[str, tuple[PageFigure, ...]]) -> Page:
        """Add the sections to the page."""
        label = parameter_name(self.label) if self.label else ""
        if self.intervals is not None:
            page = with_intervals(page, ToyIntervals.from_json(self.intervals), figures[self._named("intervals")], label=label)
        section = comparison_section(self.comparison, figures[self._named("comparison")])
        section = replace(section, title=f"{section.title}, {label}") if label else section
        return page.with_section(section, after=_head(page))

    def _named(self, text: str) -> str:
        return f"{text}_{self.label}" if self.label else text


@dataclass(frozen=True, eq=False)
class FitPages:
    """The documents of the fit stage.

    Attributes:
        parameters: Those on every parameter of interest.
        goodness: `workspace/goodness.json`.
        variations: `variations` of `models/systematics.json`; empty if networks learned none.
        left_out: `variations` of `workspace/left_out.json`: changes of features that the unbinned fit does not know of.
        results: Results of the fits.
        histograms: The histogram fits before and after the fit.
        edges: Observable and bin edges of the methods whose bins are those of one observable.
        cutflow: `cutflow.json`.
        luminosity: Relative uncertainty of the luminosity.
        classifiers: `models/classifiers.json`; None without classifiers.
        documents: `workspace/comparison.json` and, if there is one, `workspace/intervals.json` for results.json, by name of the entry.
    """

    parameters: tuple[_OfParameter, ...]
    goodness: Mapping[str, Any]
    variations: Mapping[str, Any]
    results: Results
    histograms: FittedHistograms
    edges: Mapping[str, tuple[str, FloatArray]] = field(default_factory=dict)
    cutflow: Mapping[str, Any] = field(default_factory=dict)
    luminosity: float = 0.0
    left_out: Sequence[Mapping[str, Any]] = ()
    classifiers: ClassifierPages | None = None
    documents: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path, config: Config, results: Results) -> FitPages:
        """Read what the fit stage wrote beside its results.

        Raises:
            InputFileError: A file is missing or damaged.
        """
        learned = read_json(out / VARIATIONS_REPORT)["variations"] if learned_directions(config, out) else {}
        comparison, goodness = read_json(out / COMPARISON), read_json(out / GOODNESS)
        intervals = read_json(out / INTERVALS) if config.neyman or config.quick_neyman else None
        if intervals is not None and not (intervals.get("methods") or intervals.get("parameters")):
            intervals = None  # `interval: auto` found toys to be too slow, which a note says
        documents = {"comparison": comparison} | ({} if intervals is None else {"intervals": intervals})
        left_out = read_json(out / LEFT_OUT)["variations"] if varied_names(config) else ()
        common: dict[str, Any] = {
            "histograms": read_fitted_histograms(out, results),
            "edges": histogram_edges(config),
            "cutflow": read_json(out / CUTFLOW),
            "luminosity": config.likelihood.luminosity_uncertainty,
            "left_out": left_out,
            "classifiers": ClassifierPages.from_json(read_json(out / CLASSIFIERS_REPORT)) if config.classifiers else None,
            "documents": documents,
        }
        if not config.general:
            parts: tuple[_OfParameter, ...] = (_OfParameter(config.parameter.asimov, comparison, intervals),)
            return cls(parts, goodness, learned, results, **common)
        names = list(comparison["parameters"])
        own = {} if intervals is None else {name: {**intervals, **part} for name, part in intervals["parameters"].items()}
        parts = tuple(
            _OfParameter(
                config.model.truth[name],
                {"poi": name, "planes": {}, **comparison["parameters"][name]},
                own.get(name),
                label=name if len(names) > 1 else "",
            )
            for name in names
        )
        return cls(parts, goodness, learned, results, **common)

    def jobs(self, *, style: PlotStyle) -> Iterator[PlotJob]:
        """List the plots."""
        for part in self.parameters:
            yield from part.jobs(style=style)
        if self.classifiers is not None:
            yield from self.classifiers.jobs(style=style)
        yield from post_fit_jobs(self.histograms, edges=self.edges, style=style)
        yield from goodness_jobs(self.goodness, style=style)
        yield from variation_jobs(self.variations, style=style)

    def on(self, page: Page, figures: Mapping[str, tuple[PageFigure, ...]]) -> Page:
        """Add the sections to the page."""
        tests = tests_section(self.results, self.histograms)
        page = page if tests is None else page.with_section(tests, after=_head(page))
        sources = sources_section(self.cutflow, luminosity=self.luminosity)
        page = page if sources is None else page.with_section(sources, after=_head(page))
        for part in self.parameters:
            page = part.on(page, figures)
        fitted = post_fit_section(self.histograms, figures.get(PART, ()))
        page = page if fitted is None else page.with_section(fitted, after=_head(page))
        page = page.with_section(goodness_section(self.goodness, figures.get("goodness", ())), after=_head(page))
        if self.variations:
            page = page.with_section(variations_section(self.variations, figures.get("variations", ())), after=_head(page))
        if self.classifiers is not None:
            page = page.with_section(self.classifiers.section(figures.get(CLASSIFIERS_PART, ())), after=("Training", *_head(page)))
        if self.left_out:
            page = page.with_section(left_out_section(self.left_out), after=_head(page))
        return page

    def extras(self) -> dict[str, Any]:
        """Return the entries of results.json."""
        found: dict[str, Any] = {**self.documents, "goodness_of_fit": self.goodness, **self.histograms.to_json()}
        if self.variations:
            found["learned_variations"] = decisions_document(self.variations)
        if self.left_out:
            found["left_out"] = list(self.left_out)
        return found


def histogram_edges(config: Config) -> dict[str, tuple[str, FloatArray]]:
    """Return observable and bin edges of the histograms of the config that have one observable and edges of their own."""
    named = {name: section for name, section in config.histograms.items() if section.edges and len(section.observables) == 1}
    return {name: (section.observables[0], np.asarray(section.axes[0], dtype=np.float64)) for name, section in named.items()}


def _head(page: Page) -> list[str]:
    """Return the titles of the parts of a page behind which the next part comes; those of one parameter end with its name."""
    return [s.title for s in page.sections if s.title.startswith(HEAD)]


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote.

    Raises:
        InputFileError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}", got=str(error), expected="a complete JSON file", remedy="run the stage before again") from error
