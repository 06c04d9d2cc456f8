"""Put numbers, tables and pictures together into the page of one analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from toolkit.diagnostics.closure import ClosureVerdict
from toolkit.diagnostics.learning_curve import LearningCurve
from toolkit.diagnostics.regions import RegionYields
from toolkit.diagnostics.review import Review
from toolkit.diagnostics.suite import Suite
from toolkit.likelihood.results import Results
from toolkit.report import prose
from toolkit.report.contours import area_rows, areas_page_table, best_histogram, pairs_of
from toolkit.report.fitted import fitted_section, region_table
from toolkit.report.information_tables import gain_text, information_page_table, pair_label
from toolkit.report.moment_tables import moments_page_table
from toolkit.report.observed_tables import observed_section
from toolkit.report.other_fits import fit_sections
from toolkit.report.page import Page, PageFigure, PageSection, PageTable
from toolkit.report.page_tables import (
    closure_page_table,
    cutflow_page_table,
    data_cutflow_page_table,
    methods_page_table,
    normalisation_page_table,
    processes_page_table,
    reweighting_page_table,
    timing_page_table,
    two_column_table,
)
from toolkit.report.review_tables import importance_page_table, learning_page_table, merits_page_table, normalisations_page_table
from toolkit.report.systematics_tables import systematics_section, uncertainty_documents
from toolkit.report.table import verdicts_on
from toolkit.report.truths import together_page_table
from toolkit.report.weight_tables import negative_page_table
from toolkit.report.wording import asimov_text, method_name, methods_text, notes, number, parameter_name

Figures = Mapping[str, tuple[PageFigure, ...]]


@dataclass(frozen=True)
class Provenance:
    """From what the report was made.

    Attributes:
        samples: Rows of the table of samples, under `sample_columns`.
        sample_columns: Its headers.
        cutflow: Simulated sample -> cut -> {"events", "sumw", "sumw2"}, in the order of the cuts.
        data_cutflow: The same of the data samples; empty while they are blinded.
        versions: Library -> version.
        seeds: Name -> seed.
        config_hash: Hash of the configuration.
        selection: What is demanded of the events, in words: rows of two cells.
        networks: How the networks were trained, in words: rows of two cells.
        inputs: Sample, file, size and hash of every input file.
        notes: Further sentences, for example on the split of the events.
    """

    samples: tuple[tuple[str, ...], ...] = ()
    sample_columns: tuple[str, ...] = ()
    cutflow: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    data_cutflow: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    config_hash: str = ""
    selection: tuple[tuple[str, str], ...] = ()
    networks: tuple[tuple[str, str], ...] = ()
    inputs: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def build_page(
    results: Results,
    verdicts: Sequence[ClosureVerdict],
    suite: Suite | None,
    figures: Figures,
    *,
    title: str,
    provenance: Provenance,
    review: Review | None = None,
    training_warnings: Sequence[str] = (),
    learning: LearningCurve | None = None,
    regions: RegionYields | None = None,
    left_out: Sequence[str] = (),
) -> Page:
    """Build the page.

    Args:
        results: All methods, closure points, yields, timings.
        verdicts: Closure verdicts.
        suite: Results of the diagnostics, if they were run.
        figures: Pictures by part of the report; see `Drawing.finish`.
        title: Name of the analysis.
        provenance: Samples, cut flow, versions.
        review: Review of the networks, if it was made.
        training_warnings: What the trainings noticed about weights and gradients.
        learning: Learning curve, if one was asked for.
        regions: Expected events of the regions of the fit, where there are several or parts of processes.
        left_out: Sentences on what of the report the physics model does not allow.

    Returns:
        The page; sections without content are left out. The order is that of an analysis note: result, closure, selection, inputs,
        training, tests of the ratios, what they are worth, provenance.
    """
    fitted = fitted_section(results, figures.get("fitted", ()))
    systematics = systematics_section(results, figures.get("systematics", ()))
    uncertainties = "statistical uncertainties only" if systematics is None else "statistical and systematic uncertainties"
    observed = "" if results.observed is None else f"{results.observed.n_events} data events, "
    sections = [
        _summary(results, verdicts, figures),
        *fit_sections(results, figures),
        *(section for section in (observed_section(results, figures.get("observed", ())), systematics) if section is not None),
        _closure(results, verdicts, figures),
        *((fitted,) if fitted is not None else ()),
        _samples(provenance, figures),
        PageSection("Observables", text=_where(regions, figures), tables=_moments(suite), figures=figures.get("observables", ())),
        _yields(results, suite, figures, regions),
        _training(review, figures, training_warnings, provenance, learning),
        *(_diagnostic_sections(suite, review, figures) if suite is not None else ()),
        *(_worth(results, review, figures) if review is not None else ()),
        PageSection("Left out", text=tuple(left_out)),
        _origin(results, provenance),
    ]
    shown = tuple(s for s in sections if s.tables or s.figures or s.text or s.warnings)
    return Page(
        title=title,
        subtitle=f"{results.luminosity_ifb:g}/fb, {observed}Asimov set at {asimov_text(results)}, {uncertainties}",
        sections=shown,
        footer=f"Made with h4l-toolkit {provenance.versions['h4l-toolkit']}" if "h4l-toolkit" in provenance.versions else "",
    )


def _summary(results: Results, verdicts: Sequence[ClosureVerdict], figures: Figures) -> PageSection:
    told = information_page_table(results)
    flagged = tuple(f"{method_name(v.method)}: {v.shown}, {v.message}." for v in verdicts if v.flagged)
    return PageSection(
        title="Result",
        warnings=flagged,
        text=(
            prose.RESULT if len(results.interest) == 1 else prose.RESULT_SEVERAL,
            methods_text(tuple(results.methods)),
            *(_headline(results, verdicts) if len(results.interest) == 1 else _areas(results)),
        ),
        tables=(
            *((told,) if told is not None else ()),
            *(methods_page_table(results.of(name), verdicts_on(name, verdicts)) for name in results.interest),
            *(areas_page_table(results, pair) for pair in pairs_of(results)),
        ),
        figures=figures.get("results", ()),
    )


def _headline(results: Results, verdicts: Sequence[ClosureVerdict]) -> tuple[str, ...]:
    """Compare the unbinned method with the m4l histogram, and say whether the comparison stands."""
    nsbi, m4l = results.methods.get("nsbi"), results.methods.get("m4l")
    plain = m4l if m4l is None or m4l.statistical_only is None else m4l.statistical_only
    if nsbi is None or m4l is None or plain is None or plain.twice_nll_at_0_gain is None:
        return ()
    judged = [f"{method_name(v.method)} is {v.shown}" for v in verdicts if v.method in ("nsbi", "m4l") and v.flagged]
    told = [f"{gain_text(entry.gain)} at {pair_label(entry)}" for entry in m4l.information[: len(m4l.information) // 2] if entry.gain]
    fitted = f"its t(0) is {gain_text(plain.twice_nll_at_0_gain)} times as large"
    text = f"{method_name('nsbi')} against the {method_name('m4l')}: {fitted}, the bounds on -2 Δ ln L {', '.join(told)}"
    return (f"{text}. Do not quote that: {', and '.join(judged)}." if judged else f"{text}.",)


def _areas(results: Results) -> tuple[str, ...]:
    """Compare the 68 % area of the unbinned method with that of the best histogram, pair by pair."""
    found = []
    for pair in pairs_of(results):
        best, nsbi = best_histogram(results, pair), next((r for r in area_rows(results, pair) if r.method == "nsbi"), None)
        if best is not None and nsbi is not None and 0.68 in nsbi.areas:
            names = " and ".join(parameter_name(name) for name in pair)
            ratio = number(nsbi.areas[0.68][1])
            found.append(
                f"The area of the 68 % contour of {names} of {method_name('nsbi')} is {ratio} times that of the {method_name(best)}."
            )
    return tuple(found)


def _closure(results: Results, verdicts: Sequence[ClosureVerdict], figures: Figures) -> PageSection:
    if not results.closure:
        return PageSection("Closure", warnings=(prose.CLOSURE_MISSING,))
    remarks = tuple(line for line in notes(verdicts, (), full_names=True) if not line.startswith("!"))
    apart = (prose.CLOSURE_STATISTICAL,) if uncertainty_documents(results.of(results.poi)) else ()
    text = (prose.CLOSURE, prose.CLOSURE_ERRORS, *apart, *remarks)
    together = together_page_table(results)
    tables = [closure_page_table(results.of(name), verdicts_on(name, verdicts)) for name in results.interest]
    tables = tables if together is None else [together, *tables]
    return PageSection("Closure", text=text, tables=tuple(tables), figures=figures.get("closure", ()))


def _training(
    review: Review | None, figures: Figures, warnings: Sequence[str], provenance: Provenance, learning: LearningCurve | None
) -> PageSection:
    shown = tuple(figure for part in ("training", "overlay", "spread", "learning") for figure in figures.get(part, ()))
    text = [prose.TRAINING, prose.OVERLAY, prose.SPREAD] if review is not None else []
    tables = [PageTable("Networks", ("what", "value"), provenance.networks, words=True)] if provenance.networks else []
    if learning is not None:
        text.append(prose.LEARNING)
        tables.append(learning_page_table(learning))
    return PageSection("Training", text=tuple(text) if shown else (), tables=tuple(tables), warnings=tuple(warnings), figures=shown)


def _diagnostic_sections(suite: Suite, review: Review | None, figures: Figures) -> tuple[PageSection, ...]:
    table = normalisation_page_table(suite.normalisation) if review is None else normalisations_page_table(review.normalisations)
    calibration = PageSection(
        "Calibration",
        text=(prose.CALIBRATION,) if review is None else (prose.CALIBRATION, prose.CHANGE),
        warnings=(*suite.problems, *(review.problems if review is not None else ())),
        tables=(table,),
        figures=(*figures.get("change", ()), *figures.get("calibration", ())),
    )
    reweighting = PageSection(
        "Reweighting closure",
        text=(prose.REWEIGHTING,),
        tables=(reweighting_page_table(suite),),
        figures=figures.get("reweighting", ()),
    )
    return calibration, reweighting


def _worth(results: Results, review: Review, figures: Figures) -> tuple[PageSection, ...]:
    table = merits_page_table(review)
    sections = [PageSection("Figures of merit", text=(prose.MERITS,), tables=(table,))] if review.merits else []
    if review.importances:
        tables = (importance_page_table(review.importances),)
        sections.append(PageSection("Importance", text=(prose.IMPORTANCE,), tables=tables, figures=figures.get("importance", ())))
    return tuple(sections)


def _yields(results: Results, suite: Suite | None, figures: Figures, regions: RegionYields | None) -> PageSection:
    shown = [] if regions is None else [region_table(regions)]
    text = () if regions is None else (prose.REGIONS,)
    if suite is None:
        rows = {name: number(value) for name, value in results.yields.items()}
        total = two_column_table("Expected events", rows, columns=("process", "events"))
        return PageSection("Yields", text=text, tables=(*shown, total))
    tables = [*shown, _processes(suite, results, several=regions is not None)]
    negative = None if suite.weights is None else negative_page_table(suite.weights)
    tables += [] if negative is None else [negative]
    return PageSection("Yields", text=text, tables=tuple(tables), figures=figures.get("yields", ()))


def _where(regions: RegionYields | None, figures: Figures) -> tuple[str, ...]:
    """Say which events the spectra show, where there are several regions."""
    return (prose.SPECTRA,) if regions is not None and figures.get("observables") else ()


def _moments(suite: Suite | None) -> tuple[PageTable, ...]:
    table = None if suite is None else moments_page_table(suite.moments)
    return () if table is None else (table,)


def _processes(suite: Suite, results: Results, *, several: bool) -> PageTable:
    """Expected and simulated events; those of the unbinned regions where there are several regions."""
    if not several:
        return processes_page_table(suite.processes, results.yields)
    table = processes_page_table(suite.processes, suite.expected)
    return replace(table, title=f"{table.title} that the networks serve, those of the unbinned regions")


def _samples(provenance: Provenance, figures: Figures) -> PageSection:
    tables = [PageTable("Samples", provenance.sample_columns, provenance.samples, words=True)] if provenance.samples else []
    tables += [PageTable("Selection", ("object", "requirement"), provenance.selection, words=True)] if provenance.selection else []
    tables += [cutflow_page_table(provenance.cutflow)] if provenance.cutflow else []
    tables += [data_cutflow_page_table(provenance.data_cutflow)] if provenance.data_cutflow else []
    return PageSection("Samples and selection", text=provenance.notes, tables=tuple(tables), figures=figures.get("selection", ()))


def _origin(results: Results, provenance: Provenance) -> PageSection:
    tables = []
    if results.timing_s:
        tables.append(timing_page_table(results.timing_s))
    facts = {f"seed of {name}": str(seed) for name, seed in provenance.seeds.items()}
    if provenance.config_hash:
        facts["hash of the configuration"] = provenance.config_hash
    if facts:
        tables.append(two_column_table("Reproduction", facts, columns=("what", "value")))
    if provenance.inputs:
        note = "First 16 digits of the SHA-256 of the content; manifest.json holds all digits, and those of every file that was written."
        tables.append(PageTable("Input files", ("sample", "file", "size", "SHA-256"), provenance.inputs, note=note))
    if provenance.versions:
        tables.append(two_column_table("Versions", provenance.versions, columns=("library", "version")))
    return PageSection("Provenance", tables=tuple(tables))
