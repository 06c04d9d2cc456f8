"""What the fit stage wrote beside the results, as parts of the report: comparison of the methods, intervals from toys, goodness of fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolkit.analysis.layout import COMPARISON, GOODNESS, INTERVALS, LEFT_OUT, VARIATIONS_REPORT
from toolkit.analysis.learned import learned_directions
from toolkit.analysis.left_out import varied_names
from toolkit.config import Config
from toolkit.errors import InputFileError
from toolkit.plots import PlotStyle
from toolkit.report import Page, PageFigure
from toolkit.report.comparison_pages import comparison_jobs, comparison_section
from toolkit.report.figures import PlotJob
from toolkit.report.goodness_pages import goodness_jobs, goodness_section
from toolkit.report.interval_pages import ToyIntervals, interval_jobs, with_intervals
from toolkit.report.left_out import left_out_section
from toolkit.report.ratio_systematics import decisions_document, variation_jobs, variations_section
from toolkit.report.wording import parameter_name

HEAD = ("Result", "Observed", "Intervals from toys", "Systematic uncertainties", "Comparison of the methods")
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
        documents: `workspace/comparison.json` and, if there is one, `workspace/intervals.json` for results.json, by name of the entry.
    """

    parameters: tuple[_OfParameter, ...]
    goodness: Mapping[str, Any]
    variations: Mapping[str, Any]
    left_out: Sequence[Mapping[str, Any]] = ()
    documents: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path, config: Config) -> FitPages:
        """Read what the fit stage wrote.

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
        if not config.general:
            return cls((_OfParameter(config.parameter.asimov, comparison, intervals),), goodness, learned, left_out, documents)
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
        return cls(parts, goodness, learned, left_out, documents)

    def jobs(self, *, style: PlotStyle) -> Iterator[PlotJob]:
        """List the plots."""
        for part in self.parameters:
            yield from part.jobs(style=style)
        yield from goodness_jobs(self.goodness, style=style)
        yield from variation_jobs(self.variations, style=style)

    def on(self, page: Page, figures: Mapping[str, tuple[PageFigure, ...]]) -> Page:
        """Add the sections to the page."""
        for part in self.parameters:
            page = part.on(page, figures)
        page = page.with_section(goodness_section(self.goodness, figures.get("goodness", ())), after=_head(page))
        if self.variations:
            page = page.with_section(variations_section(self.variations, figures.get("variations", ())), after=_head(page))
        if self.left_out:
            page = page.with_section(left_out_section(self.left_out), after=_head(page))
        return page

    def extras(self) -> dict[str, Any]:
        """Return the entries of results.json."""
        found: dict[str, Any] = {**self.documents, "goodness_of_fit": self.goodness}
        if self.variations:
            found["learned_variations"] = decisions_document(self.variations)
        if self.left_out:
            found["left_out"] = list(self.left_out)
        return found


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
