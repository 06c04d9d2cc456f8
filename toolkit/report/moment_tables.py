"""Tables of the moments of f_1 ... f_9, of one analysis and of two runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from toolkit.diagnostics.angular_moments import OBSERVABLES, AngularMoments, MomentDifference
from toolkit.report.page import PageTable
from toolkit.report.wording import with_error

FAR = 3.0
"""Differences of so many errors are marked."""


def moments_page_table(moments: Mapping[str, AngularMoments]) -> PageTable | None:
    """Show the means of the functions (rows) of every process (columns); None where there are none."""
    if not moments:
        return None
    rows = tuple(
        (name, *(with_error(float(m.means[k]), float(m.errors[k])) for m in moments.values())) for k, name in enumerate(OBSERVABLES)
    )
    without = {name: m.n_undefined for name, m in moments.items() if m.n_undefined}
    note = "Weighted means over the selected test events, with their errors from finite simulation."
    more = f" Events without an angle are left out: {max(without.values())}." if without else ""
    return PageTable(
        "Angular moments: means of the functions of production and decay of Z1", ("function", *moments), rows, note=note + more
    )


def differences_page_table(moments: Mapping[str, MomentDifference], *, independent: bool) -> PageTable | None:
    """Show the means in A and in B by term (rows: term and function); None where there are none."""
    rows, flagged = [], set()
    for term, found in moments.items():
        for k, name in enumerate(OBSERVABLES):
            pair = (with_error(float(m.means[k]), float(m.errors[k])) for m in (found.a, found.b))
            rows.append((name, term, *pair, f"{found.pulls[k]:+.1f}" if independent else "-"))
            if independent and abs(found.pulls[k]) > FAR:
                flagged.add(len(rows) - 1)
    if not rows:
        return None
    tests = "; ".join(f"{term}: {' '.join(moment_cells(found, independent=independent)[:2])}" for term, found in moments.items())
    note = f"Chi-square / degrees of freedom and p-value of the nine means of a term with their covariance: {tests}."
    return PageTable("Angular moments", ("function", "term", "A", "B", "(B - A) / error"), tuple(rows), frozenset(flagged), note=note)


def moment_cells(found: MomentDifference, *, independent: bool) -> tuple[str, str, str]:
    """Write chi-square, p-value, and the function that differs most with its distance in errors."""
    if not independent:
        return "-", "-", "-"
    k = int(np.argmax(np.abs(found.pulls)))
    p_value = "-" if math.isnan(found.test.p_value) else f"{found.test.p_value:.2g}"
    return f"{found.test.chi2:.1f} / {found.test.ndf}", p_value, f"{OBSERVABLES[k]} {found.pulls[k]:+.1f}"


def moment_rows(samples: Mapping[str, tuple[Mapping[str, MomentDifference], bool]]) -> Iterator[tuple[str, ...]]:
    """Yield a row for every sample and term: both names, then `moment_cells`; the flag says whether A and B are independent."""
    for name, (moments, independent) in samples.items():
        for term, found in moments.items():
            yield (name, term, *moment_cells(found, independent=independent))
