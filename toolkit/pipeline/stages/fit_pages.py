"""What the fit stage wrote beside the results, as parts of the report: comparison of the methods, intervals from toys, goodness of fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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

HEAD = ("Result", "Observed", "Intervals from toys", "Systematic uncertainties", "Comparison of the methods")
"""The parts of a page behind which these parts come."""


@dataclass(frozen=True, eq=False)
class FitPages:
    """The documents of the fit stage.

    Attributes:
        truth: Parameter of interest in the Asimov set.
        comparison: `workspace/comparison.json`; None where several parameters or regions are fitted.
        goodness: `workspace/goodness.json`, likewise.
        intervals: `workspace/intervals.json`, if intervals were made from toys.
        variations: `variations` of `models/systematics.json`; empty if networks learned none.
        left_out: `variations` of `workspace/left_out.json`: changes of features that the unbinned fit does not know of.
    """

    truth: float
    comparison: Mapping[str, Any] | None
    goodness: Mapping[str, Any] | None
    intervals: Mapping[str, Any] | None
    variations: Mapping[str, Any]
    left_out: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, out: Path, config: Config) -> FitPages:
        """Read what the fit stage wrote.

        Raises:
            InputFileError: A file is missing or damaged.
        """
        learned = read_json(out / VARIATIONS_REPORT)["variations"] if learned_directions(config, out) else {}
        if config.general:
            return cls(config.parameter.asimov, None, None, None, learned)
        intervals = read_json(out / INTERVALS) if config.parameter.interval == "neyman" else None
        left_out = read_json(out / LEFT_OUT)["variations"] if varied_names(config) else ()
        return cls(config.parameter.asimov, read_json(out / COMPARISON), read_json(out / GOODNESS), intervals, learned, left_out)

    def jobs(self, *, style: PlotStyle) -> Iterator[PlotJob]:
        """List the plots."""
        if self.comparison is not None:
            yield from comparison_jobs(self.comparison, truth=self.truth, style=style)
        if self.goodness is not None:
            yield from goodness_jobs(self.goodness, style=style)
        if self.intervals is not None:
            yield from interval_jobs(ToyIntervals.from_json(self.intervals), style=style)
        yield from variation_jobs(self.variations, style=style)

    def on(self, page: Page, figures: Mapping[str, tuple[PageFigure, ...]]) -> Page:
        """Add the sections to the page."""
        if self.intervals is not None:
            page = with_intervals(page, ToyIntervals.from_json(self.intervals), figures["intervals"])
        if self.comparison is not None:
            page = page.with_section(comparison_section(self.comparison, figures["comparison"]), after=HEAD)
        if self.goodness is not None:
            page = page.with_section(goodness_section(self.goodness, figures.get("goodness", ())), after=HEAD)
        if self.variations:
            page = page.with_section(variations_section(self.variations, figures.get("variations", ())), after=HEAD)
        if self.left_out:
            page = page.with_section(left_out_section(self.left_out), after=HEAD)
        return page

    def extras(self) -> dict[str, Any]:
        """Return the entries of results.json."""
        documents = {"comparison": self.comparison, "goodness_of_fit": self.goodness}
        found: dict[str, Any] = {name: document for name, document in documents.items() if document is not None}
        if self.variations:
            found["learned_variations"] = decisions_document(self.variations)
        if self.left_out:
            found["left_out"] = list(self.left_out)
        return found if self.intervals is None else {**found, "intervals": self.intervals}


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote.

    Raises:
        InputFileError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}", got=str(error), expected="a complete JSON file", remedy="run the stage before again") from error
