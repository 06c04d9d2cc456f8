"""The part of the report on the data: what was observed beside what was expected."""

from __future__ import annotations

from dataclasses import replace

from toolkit.likelihood.results import MethodResult, Results
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.systematics_tables import breakdown_page_table, impacts_page_table, uncertainty_documents
from toolkit.report.wording import asimov_text, interval_lines, method_name, number, parameter_name

TITLE = "Observed"
TEXT = (
    "Every method fits the data, with the templates, yields, networks and uncertainties that the Asimov set was fitted with. "
    "Expected: the same method on the Asimov set."
)
FURTHER = "Impacts and pulls of the data are those that the part on systematic uncertainties explains."


def observed_section(results: Results, figures: tuple[PageFigure, ...]) -> PageSection | None:
    """Build the section; None while the data are blinded."""
    observed = results.observed
    if observed is None:
        return None
    counted = f"{observed.n_events} data events; {number(observed.expected, digits=1)} expected at {asimov_text(results)}."
    by_sample = ", ".join(f"{name}: {n}" for name, n in observed.counts.items())
    found = [table for poi in results.interest for table in observed_page_tables(results.of(poi))]
    text = (TEXT, f"{counted} By sample: {by_sample}.", *((FURTHER,) if len(found) > len(results.interest) else ()))
    return PageSection(TITLE, text=text, tables=tuple(found), figures=figures)


def observed_page_tables(results: Results) -> tuple[PageTable, ...]:
    """Set what the data say about one parameter, `results.poi`, beside what was expected, and the sources of its uncertainty."""
    observed = results.observed
    if observed is None:
        return ()
    rows = tuple((method_name(name), *_cells(result, results.methods[name])) for name, result in observed.methods.items())
    what = f" for {parameter_name(results.poi)}" if len(results.interest) > 1 else ""
    table = PageTable(
        f"Observed and expected results{what}", _columns(results.poi), rows, note="A star marks the edge of the allowed range."
    )
    documents = uncertainty_documents(replace(results, methods=observed.methods))
    if not documents:
        return (table,)
    ranking = (impacts_page_table(name, own, poi=results.poi) for name, own in documents.items() if own.get("impacts_auxiliary"))
    return (table, *(replace(t, title=f"{t.title}, data") for t in (breakdown_page_table(documents, poi=results.poi), *ranking)))


def _columns(poi: str) -> tuple[str, ...]:
    """Return the headers of a table of observed beside expected results, that of the method first."""
    name = parameter_name(poi)
    columns = (f"best fit {name}", "68 %", "95 %", f"t({name} = 0)")
    return ("method", *columns, *(f"expected {column}" for column in columns[1:]))


def _cells(observed: MethodResult, expected: MethodResult) -> tuple[str, ...]:
    """Write the cells under `_columns`, without the method."""
    intervals, wanted = (["\n".join(interval_lines(i)) for i in (r.interval_68, r.interval_95)] for r in (observed, expected))
    return (number(observed.mu_hat), *intervals, number(observed.twice_nll_at_0), *wanted, number(expected.twice_nll_at_0))
