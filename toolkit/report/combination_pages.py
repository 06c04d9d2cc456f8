"""The page of a combination: every fit with its tables and plots, and what the parts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from toolkit.likelihood.results import Results
from toolkit.plots import PlotStyle
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.interpretation import combination_views, interpretation_columns, interpretation_rows, scale_rows
from toolkit.report.other_fits import fit_section, part_of, view_jobs
from toolkit.report.page import Page, PageFigure, PageSection, PageTable
from toolkit.report.systematics_figures import observed_jobs
from toolkit.report.systematics_tables import TEXT, uncertainty_documents
from toolkit.report.wording import method_name

TITLE = "Interpretation"
_ABOUT = (
    "Every method of the runs is combined by itself with the same other parts. Intervals are those of the profile likelihood ratio, all "
    "other parameters profiled; a star marks an interval that reaches the edge of the allowed range."
)


def combination_page(
    results: Results,
    *,
    first: str,
    express: Mapping[str, Mapping[str, str]],
    figures: Mapping[str, tuple[PageFigure, ...]],
    parts: Sequence[tuple[str, ...]],
    agreement: Sequence[tuple[str, ...]],
    scales: Mapping[str, float],
    title: str,
    gamma_sm_mev: float,
    made: str,
) -> Page:
    """Build the page.

    Args:
        results: The results.
        first: Name of the fit of the results themselves.
        express: Expressions of every fit.
        figures: Pictures by part of the report.
        parts: Rows of the table of parts: name, kind, observed and expected events.
        agreement: Rows of the table of agreement with the truth: fit, method, data, -2 Delta ln L, parameters, p-value.
        scales: Lambda in TeV of the fits of Wilson coefficients.
        title: Name of the combination.
        gamma_sm_mev: Width of the Standard Model in MeV.
        made: Version of the toolkit.
    """
    views = combination_views(results, first)
    rows = interpretation_rows(views, gamma_sm_mev=gamma_sm_mev)
    table = PageTable(
        "Parameters of all fits", interpretation_columns(rows), tuple((r.fit, r.parameter, method_name(r.method), *r.cells) for r in rows)
    )
    listed = PageTable("Parts", ("part", "kind", "observed events", "expected events"), tuple(parts), words=True)
    uncertain = any(uncertainty_documents(view.of(poi)) for view in views.values() for poi in view.interest)
    sections = [
        PageSection(TITLE, text=(_ABOUT,), tables=(table, *_further(views, agreement, scales))),
        *(fit_section(name, view, express[name], figures.get(part_of(name), ())) for name, view in views.items()),
        *((PageSection("Uncertainties", text=(TEXT,)),) if uncertain else ()),
        PageSection("Parts", tables=(listed,)),
    ]
    observed = "" if results.observed is None else f"{results.observed.n_events} observed events, "
    uncertainties = "statistical and systematic uncertainties" if uncertain else "statistical uncertainties only"
    subtitle = f"{results.luminosity_ifb:g}/fb, {observed}Asimov set, {uncertainties}"
    return Page(title=title, subtitle=subtitle, sections=tuple(sections), footer=f"Made with h4l-toolkit {made}")


def _further(views: Mapping[str, Results], agreement: Sequence[tuple[str, ...]], scales: Mapping[str, float]) -> tuple[PageTable, ...]:
    """Show the agreement with the truth, and limits on the scale of new physics where coefficients are fitted."""
    columns = ("fit", "method", "data", "-2 Δ ln L", "parameters", "p-value")
    note = "All parameters of interest at the truth of the Asimov set, against the best fit: chi-square with one degree per parameter."
    tables = [PageTable("Agreement with the Standard Model", columns, tuple(agreement), note=note)]
    rows = scale_rows(views, scales)
    if rows:
        sides = ("Λ, c = 1", "Λ, c = -1")
        headers = ("fit", "coefficient", "method", "data", *sides, *(f"{side}, others at truth" for side in sides))
        note = "Lower limits at 95 % in TeV; * where the interval of the coefficient reaches the edge of its range."
        tables.append(PageTable("Limits on the scale of new physics", headers, tuple(rows), note=note))
    return tuple(tables)


def combination_jobs(views: Mapping[str, Results], *, style: PlotStyle) -> Iterator[PlotJob]:
    """List the plots of all fits, those of the observed events included."""
    for name, view in views.items():
        yield from view_jobs(name, view, style=style)
        for job in observed_jobs(view, style=style):
            tail = job.name.removeprefix("observed_")
            yield replace(job, part=part_of(name), name=f"observed_{slug(name)}_{tail}", caption=f"{name}: {job.caption}")
