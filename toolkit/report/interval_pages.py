"""The part of the report on intervals from toys: a table, the critical values, the coverage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from toolkit.diagnostics.coverage import CoverageCurve, coverage_curve
from toolkit.likelihood.coverage import CoverageCheck
from toolkit.likelihood.neyman import NeymanInterval, NeymanResult
from toolkit.likelihood.p_values import Significance, ToyPValue
from toolkit.plots import PlotStyle, plot_coverage, plot_critical_values
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.observed_tables import TITLE as OBSERVED
from toolkit.report.page import Page, PageFigure, PageSection, PageTable
from toolkit.report.wording import interval_lines, method_name, number, parameter_name, probability, with_error

TITLE = "Intervals from toys"
TEXT = (
    "Neyman construction: at each value of the parameter the test statistic t is compared with its distribution in simulated "
    "experiments (toys) at that value. Such intervals cover by construction, also where interference or the edge of the range makes the "
    "chi-square values of the asymptotic intervals wrong. Errors of the ends are those of the finite number of toys."
)
NUISANCES = {
    "none": "with statistical uncertainties only.",
    "fixed": "with statistical uncertainties only: all nuisance parameters keep their nominal values.",
    "profiled": "with the auxiliary measurements of all systematic uncertainties; every toy is fitted with all nuisance parameters. The "
    "truth of the nuisance parameters at each value of the parameter of interest is their conditional best fit to the data.",
}


@dataclass(frozen=True)
class ToyIntervals:
    """Constructions by method, with their coverage checks.

    Attributes:
        results: Intervals by method.
        coverage: Checks by method; may be empty.
        draw: What the toys were drawn from.
        nuisances: "profiled", "fixed" at their nominal values, or "none".
        observed: Intervals of the data by method; empty while they are blinded.
        automatic: Whether they were made because that was quick: then the critical values of the unbinned method alone are drawn.
    """

    results: dict[str, NeymanResult]
    coverage: dict[str, tuple[CoverageCheck, ...]]
    draw: str
    nuisances: str = "none"
    observed: dict[str, NeymanResult] = field(default_factory=dict)
    automatic: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ToyIntervals:
        """Read what the fit wrote."""
        parts = document["methods"]
        coverage = {name: tuple(CoverageCheck.from_json(c) for c in part["coverage"]) for name, part in parts.items()}
        results, observed = (
            {name: NeymanResult.from_json(part) for name, part in found.items()} for found in (parts, document.get("observed", {}))
        )
        return cls(results, coverage, document["draw"], document["nuisances"], observed, document.get("automatic", False))


def interval_jobs(intervals: ToyIntervals, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List the plots; their part is "intervals"."""
    for name, result in intervals.results.items():
        if intervals.automatic and name != "nsbi" and "nsbi" in intervals.results:
            continue
        yield _critical_values(name, result, data="the Asimov set", style=style)
        if name in intervals.observed:
            job = _critical_values(name, intervals.observed[name], data="the data", style=style.for_data())
            yield replace(job, name=f"observed_{job.name}")
        curves = coverage_curves(intervals.coverage[name], parameter=result.bands.parameter)
        if curves:
            text = f"{method_name(name)}: fraction of independent toys whose interval holds the truth."
            yield PlotJob("intervals", f"coverage_{slug(name)}", text, partial(plot_coverage, curves, style=style))


def _critical_values(name: str, result: NeymanResult, *, data: str, style: PlotStyle) -> PlotJob:
    poi = parameter_name(result.bands.parameter)
    text = (
        f"{method_name(name)}: critical values of t({poi}) from {result.bands.toys} toys per point, smoothed, against the chi-square "
        f"values (dashed), and t of {data}. An interval is where t lies below."
    )
    return PlotJob("intervals", f"critical_values_{slug(name)}", text, partial(plot_critical_values, result, data=data, style=style))


def coverage_curves(checks: Sequence[CoverageCheck], *, parameter: str) -> tuple[CoverageCurve, ...]:
    """Return the coverage of both kinds of interval against the truth, per level."""
    curves = []
    for name in dict.fromkeys(check.name for check in checks):
        own = [check for check in checks if check.name == name]
        for kind, covered in (("from toys", [c.covered for c in own]), ("asymptotic", [c.asymptotic_covered for c in own])):
            truths, trials = [c.truth for c in own], [c.toys for c in own]
            curves.append(coverage_curve(truths, covered=covered, trials=trials, level=own[0].level, name=kind, parameter=parameter))
    return tuple(curves)


def with_intervals(page: Page, intervals: ToyIntervals, figures: Sequence[PageFigure], *, label: str = "") -> Page:
    """Add the section after the results, those of the data included; a label ends its title, where there are several."""
    tables = [_intervals_table(intervals.results, "Intervals of the Asimov set")]
    if intervals.observed:
        tables.insert(0, _intervals_table(intervals.observed, "Intervals of the data"))
    tables += _significance_tables(intervals)
    if any(intervals.coverage.values()):
        tables.append(_coverage_table(intervals))
    drawn = "Toys are drawn from " + ("the fitted densities" if intervals.draw == "model" else "the simulated test events")
    title = f"{TITLE}, {label}" if label else TITLE
    section = PageSection(title, text=(TEXT, f"{drawn}, {NUISANCES[intervals.nuisances]}"), tables=tuple(tables), figures=tuple(figures))
    others = [s.title for s in page.sections if s.title.startswith(TITLE)]
    return page.with_section(section, after=(page.sections[0].title, OBSERVED, *others))


def _intervals_table(results: Mapping[str, NeymanResult], title: str) -> PageTable:
    rows = [
        (
            f"{method_name(name)}, {level} %",
            "\n".join(_with_errors(piece) for piece in pieces),
            "\n".join(interval_lines(result.asymptotic[level])),
        )
        for name, result in results.items()
        for level, pieces in result.intervals.items()
    ]
    return PageTable(title, ("method, level", "from toys", "asymptotic"), tuple(rows))


def _significance_tables(intervals: ToyIntervals) -> list[PageTable]:
    """Tables of the test of the background-only hypothesis; none without toys at 0."""
    rows = []
    for kind, results in (("observed", intervals.observed), ("expected", intervals.results)):
        for name, result in results.items():
            found = result.p_value
            if found is not None:
                low, high = found.interval
                asymptotic = Significance(found.q)
                z = f"{found.z:.2f}" if math.isfinite(found.z) else f"> {ToyPValue(found.q, 1, found.n_toys).z:.2f}"
                shown = f"{probability(found.value)} [{probability(low)}, {probability(high)}]"
                rows.append((f"{method_name(name)}, {kind}", shown, z, probability(asymptotic.p_value), f"{asymptotic.z:.2f}"))
    if not rows:
        return []
    columns = ("method", "p-value from toys", "Z", "asymptotic p-value", "Z, asymptotic")
    note = "Probability of the data, or of more signal-like ones, without signal; in brackets its 68 % interval from the number of toys."
    return [PageTable("Test of the background-only hypothesis", columns, tuple(rows), note=note)]


def _with_errors(piece: NeymanInterval) -> str:
    ends = zip((piece.low, piece.high), (piece.low_error, piece.high_error), strict=True)
    low, high = (with_error(end, error) if error > 0 else number(end) for end, error in ends)
    return f"[{low}, {high}]" + "*" * piece.at_boundary


def _coverage_table(intervals: ToyIntervals) -> PageTable:
    rows: list[tuple[str, ...]] = []
    flagged: set[int] = set()
    for name, checks in intervals.coverage.items():
        for c in checks:
            if abs(c.coverage - c.level) > 3.0 * (c.binomial_error**2 + c.construction_error**2) ** 0.5:
                flagged.add(len(rows))
            shown = (with_error(c.coverage, c.binomial_error), with_error(c.asymptotic_coverage, c.binomial_error))
            rows.append((f"{method_name(name)}, {c.name} %", f"{c.truth:g}", *shown))
    columns = ("method, level", "truth", "from toys", "asymptotic")
    note = "Errors are those of the number of toys of the check; a marked row is three standard deviations off, both errors counted."
    return PageTable("Coverage", columns, tuple(rows), flagged=frozenset(flagged), note=note)
