"""Tables of the review of the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.diagnostics.importance import Importance
from toolkit.diagnostics.learning_curve import LearningCurve
from toolkit.diagnostics.merit_rows import EFFICIENCY, MeritRow
from toolkit.diagnostics.normalisation import Normalisation
from toolkit.diagnostics.review import Review
from toolkit.report.information_tables import gain_text
from toolkit.report.page import PageTable
from toolkit.report.wording import method_name, probability, with_error

COLUMNS = (
    ("z", "Z"),
    ("interference_z", "iZ"),
    ("asimov_z", "Z'"),
    ("interference_asimov_z", "iZ'"),
    ("rate_at_efficiency", f"N_s/√N_b at {EFFICIENCY:.0%}"),
    ("auc", "AUC"),
)
FITTED = "out of bag, after"
"""The normalisation that is 1 by construction."""


def normalisations_page_table(results: Mapping[str, Normalisation]) -> PageTable:
    """E_ref[r] of every process before and after the calibration, on test events and out of bag."""
    processes = next(iter(results.values())).processes
    rows = []
    for j, process in enumerate(processes):
        cells = [f"{with_error(r.mean_ratio[j], r.error[j])}\n({r.pull[j]:+.1f})" for r in results.values()]
        rows.append((process, *cells))
    tests = (f"{r.test.chi2:.1f}/{r.test.ndf}\n(p {_equals(r.test.p_value)})" for r in results.values())
    final = results["test, after"]
    flagged = frozenset(j for j, pull in enumerate(final.pull) if abs(pull) > 3)
    columns = tuple(name + (" (fitted on these)" if name == FITTED else "") for name in results)
    return PageTable(
        title="Normalisation: mean of the estimated ratio over the reference, E[r]",
        columns=("process", *columns),
        rows=(*rows, ("all against 1: χ²/ndf", *tests)),
        flagged=flagged,
        note="In brackets: distance from 1 in standard errors of the finite simulation. The calibration was fitted to the out-of-bag "
        "values of the training sample, which say little about it afterwards; the test events had no part in it. Marked: the calibrated "
        "ratio is off "
        "by more than 3 standard errors on test events.",
    )


def merits_page_table(review: Review) -> PageTable:
    """Figures of merit of the rate, of every histogram's observable and of the networks' score."""
    rows = []
    for row in review.merits:
        shown = [_cell(row, name) for name, _ in COLUMNS]
        rows.append((row.name, str(row.n_bins), *shown))
    return PageTable(
        title="Figures of merit on test events, errors of the finite simulation",
        columns=("score", "bins", *(text for _, text in COLUMNS)),
        rows=tuple(rows),
        note="S: signal amplitude alone; SVI: signal, interfering background and interference; V: interfering background; B2: all else; "
        "B = V + B2. Z = S/√(S+B); iZ = (S+SVI-V)/(2√(SVI+B2)); Z', iZ': the same from the Poisson likelihood (Asimov); N_s/√N_b above "
        f"the cut that keeps {EFFICIENCY:.0%} of S; AUC: S against B, signed weights. Bins add in quadrature, which few events per bin "
        f"inflate.",
    )


def importance_page_table(results: Sequence[Importance]) -> PageTable:
    """Loss of every figure of merit for every feature, the most important first."""
    first = results[0]
    rows = []
    for k in first.order:
        cells = (with_error(float(r.loss[k]), float(r.error[k])) for r in results)
        members = first.members[k]
        name = first.names[k] if members == (first.names[k],) else f"{first.names[k]}: {', '.join(members)}"
        rows.append((name, *cells))
    return PageTable(
        title="Permutation importance",
        columns=("feature", *(f"loss of {r.metric}\n(all features: {with_error(r.baseline, r.baseline_error)})" for r in results)),
        rows=tuple(rows),
        note="A loss above the whole value says that the networks, fed with the wrong feature, do worse than knowing nothing.",
    )


def learning_page_table(curve: LearningCurve) -> PageTable:
    """Bound and gain over the histogram for every share of the training events."""
    rows = [(f"{p.share:.3g}", str(p.events), with_error(p.bound, p.error), gain_text(p.gain)) for p in curve.points]
    other = method_name(curve.histogram)
    return PageTable(
        title="Learning curve",
        columns=("share", "training events", "lower bound of -2 Δ ln L", f"over that of {other}"),
        rows=(*rows, (other, "", with_error(curve.bound, curve.error), "")),
        note="Errors of the ratios are paired: both numbers come from the same test events. One training each: where points differ by less "
        "than their errors, the curve is flat.",
    )


def _cell(row: MeritRow, name: str) -> str:
    merit = row.merits.get(name)
    return "-" if merit is None else with_error(merit.value, merit.error)


def _equals(p_value: float) -> str:
    text = probability(p_value)
    return text if text.startswith("<") else f"= {text}"
