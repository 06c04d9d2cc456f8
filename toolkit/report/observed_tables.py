"""The part of the report on the recorded events: what was observed beside what was expected."""

from __future__ import annotations

from dataclasses import replace

from toolkit.likelihood.results import Results
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.systematics_tables import breakdown_page_table, uncertainty_documents
from toolkit.report.wording import method_name, number, observed_cells, observed_columns, parameter_name

TITLE = "Observed"
TEXT = (
    "Every method fits the recorded events, with the templates, yields, networks and uncertainties that the Asimov set was fitted with. "
    "Expected: the same method on the Asimov set."
)


def observed_section(results: Results, figures: tuple[PageFigure, ...]) -> PageSection | None:
    """Build the section; None while the recorded events are blinded."""
    observed = results.observed
    if observed is None:
        return None
    poi, truth = parameter_name(results.poi), results.asimov[results.poi]
    counted = f"{observed.n_events} recorded events; {number(observed.expected, digits=1)} expected at {poi} = {truth:g}."
    by_sample = ", ".join(f"{name}: {n}" for name, n in observed.counts.items())
    rows = tuple((method_name(name), *observed_cells(result, results.methods[name])) for name, result in observed.methods.items())
    tables = [PageTable("", observed_columns(results.poi), rows, note="A star marks the edge of the allowed range.")]
    documents = uncertainty_documents(replace(results, methods=observed.methods))
    if documents:
        tables.append(breakdown_page_table(documents, poi=results.poi))
    return PageSection(TITLE, text=(TEXT, f"{counted} By sample: {by_sample}."), tables=tuple(tables), figures=figures)
