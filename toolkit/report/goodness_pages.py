"""The part of the report on the goodness of the fits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from toolkit.likelihood.goodness import LOG_DENSITY, SATURATED, GoodnessTest
from toolkit.plots import PlotStyle
from toolkit.plots.goodness import plot_goodness
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.wording import method_name, number, probability

TITLE = "Goodness of fit"
TEXT = (
    "Saturated model: minus twice the log likelihood ratio between the best fit and a model that expects in every bin what was observed. "
    "For the unbinned fit: the same distance between data and fitted density in the bins of the histograms, and minus twice the mean log "
    "density of the events, which alone is a weak test. Degrees of freedom are bins less parameters without a constraint; for the unbinned "
    "fit they are a lower limit, as it does not minimise this distance. An Asimov set does not fluctuate, so that p-values near 1 are what "
    "should be seen."
)
SUSPICIOUS = 0.01


def goodness_tests(document: Mapping[str, Any]) -> dict[str, tuple[GoodnessTest, ...]]:
    """Read `workspace/goodness.json`: tests by method."""
    return {name: tuple(GoodnessTest.from_json(t) for t in tests) for name, tests in document["methods"].items()}


def goodness_jobs(document: Mapping[str, Any], *, style: PlotStyle) -> Iterator[PlotJob]:
    """List the plots, one per method if there are toys; their part is "goodness"."""
    if not document["toys"]:
        return
    text = "toys drawn at the best fit and fitted like the data; p is the fraction of them that fits worse."
    for label, own in _datasets(document).items():
        shown = style.for_data() if label else style
        for name, tests in goodness_tests({"methods": own}).items():
            file, caption = f"{label}goodness_{slug(name)}", f"{method_name(name)}: {text}"
            caption = f"Data. {caption}" if label else caption
            yield PlotJob("goodness", file, caption, partial(plot_goodness, tests, style=shown), wide=len(tests) > 1)


def _datasets(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the tests of the Asimov set, and of the data if they are there, by the beginning of file names."""
    return {"": document["methods"], **({"observed_": document["observed"]} if "observed" in document else {})}


def goodness_section(document: Mapping[str, Any], figures: tuple[PageFigure, ...]) -> PageSection:
    """Build the section: a table of the Asimov set, and one of the data if they are there."""
    titles = {"": "Asimov set", "observed_": "Data"}
    tables = tuple(_table({**document, "methods": own}, title=titles[label]) for label, own in _datasets(document).items())
    return PageSection(TITLE, text=(TEXT,), tables=tables, figures=figures)


def _table(document: Mapping[str, Any], *, title: str) -> PageTable:
    rows: list[tuple[str, ...]] = []
    flagged: set[int] = set()
    for name, tests in goodness_tests(document).items():
        for test in tests:
            what = test.name if test.name in {SATURATED, LOG_DENSITY} else f"bins of {method_name(test.name)}"
            ps = (test.p_asymptotic, test.p_toys)
            degrees = "-" if test.degrees is None else str(test.degrees)
            if min(p for p in (*ps, 1.0) if not math.isnan(p)) < SUSPICIOUS:
                flagged.add(len(rows))
            rows.append((f"{method_name(name)}: {what}", number(test.statistic), degrees, *map(probability, ps)))
    toys = document["toys"]
    columns = ("fit and test", "statistic", "degrees of freedom", "p, asymptotic", f"p, {toys} toys")
    if toys:
        return PageTable(title, columns, tuple(rows), frozenset(flagged))
    note = "p-values from toys, and with them those of the mean log density, come with likelihood.goodness.toys in the config."
    return PageTable(title, columns[:-1], tuple(row[:-1] for row in rows), frozenset(flagged), note)
