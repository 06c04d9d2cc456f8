"""The page of a comparison of two runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolkit.diagnostics.angular_moments import MomentDifference
from toolkit.diagnostics.two_samples import PairedHistogram, YieldPair
from toolkit.report.moment_tables import differences_page_table
from toolkit.report.page import Page, PageFigure, PageSection, PageTable

SHOWN = 12
"""Plots of a sample that the page shows; all lie beside it."""
FLAGGED = 0.01
"""p-values below are marked."""


@dataclass(frozen=True)
class TwoRunsSample:
    """One sample of the page.

    Attributes:
        name: Its name.
        yields: By term.
        histograms: (term, histogram, name of its plot), the most remarkable first.
        figures: Pictures of the first `SHOWN` of them.
        moments: Angular moments by term.
        warnings: That A and B are not independent.
        notes: What else must be read with it.
    """

    name: str
    yields: dict[str, YieldPair]
    histograms: Sequence[tuple[str, PairedHistogram, str]]
    figures: Sequence[PageFigure]
    moments: Mapping[str, MomentDifference]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def two_runs_page(
    labels: tuple[str, str], samples: Sequence[TwoRunsSample], *, normalised: bool, summary: Sequence[str], made: str
) -> Page:
    """Lay out the comparison: one part per sample with yields, chi-square of every observable, and plots.

    Args:
        labels: What A and B are called.
        samples: Their samples.
        normalised: Whether shapes were compared.
        summary: Sentences on all of it.
        made: Version of the toolkit.

    Returns:
        The page, for `toolkit.report.write_page`.
    """
    kind = "shapes" if normalised else "yields and shapes"
    method = (
        "Errors are square roots of sums of squared weights. Chi-square is that of the differences of both histograms with their "
        "covariance; shapes have one degree of freedom less than bins. First and last bin hold what lies beyond. Bins in which A or B has "
        "fewer than 25 effective events are joined. Terms of the interference: K is the contribution of the square of amplitude K, K*L "
        "that of the product of two, both from the events' own weights under the benchmarks; I = SBI - S - B is S*B."
    )
    first = PageSection("Summary", text=(*summary, method))
    parts = [_section(sample) for sample in samples]
    return Page(
        f"{labels[1]} over {labels[0]}", f"A: {labels[0]}, B: {labels[1]}; {kind}", (first, *parts), f"Made with h4l-toolkit {made}"
    )


def _section(sample: TwoRunsSample) -> PageSection:
    tables: tuple[PageTable, ...] = (
        PageTable(
            "Sums of weights", ("term", "A", "B", "B / A"), tuple((term, *yield_cells(pair)) for term, pair in sample.yields.items())
        ),
        PageTable(
            "Observables",
            ("observable", "term", "chi2 / ndf", "p-value", "bins", "plot"),
            tuple((h.observable, term, *chi_square_cells(h), plot) for term, h, plot in sample.histograms),
            flagged=frozenset(i for i, (_, h, _) in enumerate(sample.histograms) if h.chi2.p_value < FLAGGED),
            note=f"Marked: p < {FLAGGED:g}. The observables of a sample are of the same events: their p-values are not independent.",
        ),
    )
    moments = differences_page_table(sample.moments, independent=not sample.warnings)
    tables = tables if moments is None else (*tables, moments)
    rest = len(sample.histograms) - len(sample.figures)
    more = (f"{rest} more plots lie in the folder plots.",) if rest > 0 else ()
    return PageSection(sample.name, text=(*sample.notes, *more), tables=tables, figures=tuple(sample.figures), warnings=sample.warnings)


def yield_cells(pair: YieldPair) -> Iterator[str]:
    """Yield the cells A, B and B/A of a pair of sums of weights."""
    yield f"{pair.a:.5g} ± {pair.a_error:.2g}"
    yield f"{pair.b:.5g} ± {pair.b_error:.2g}"
    yield "-" if math.isnan(pair.ratio) else f"{pair.ratio:.4f} ± {pair.ratio_error:.4f}"


def chi_square_cells(histogram: PairedHistogram) -> Iterator[str]:
    """Yield the cells chi-square, p-value and number of bins of a histogram."""
    test = histogram.chi2
    yield f"{test.chi2:.1f} / {test.ndf}"
    yield "-" if math.isnan(test.p_value) else f"{test.p_value:.2g}"
    bins = histogram.edges.size - 1
    joined = f"{bins} of {histogram.bins}" if bins < histogram.bins else str(bins)
    yield f"{joined}, few events" if histogram.thin else joined
