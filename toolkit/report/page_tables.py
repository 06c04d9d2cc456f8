"""The tables of the page, from frozen results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.diagnostics.closure import DEFINITION, MAX_PULL, ClosureVerdict
from toolkit.diagnostics.normalisation import Normalisation
from toolkit.diagnostics.processes import ProcessSummary
from toolkit.diagnostics.suite import Suite
from toolkit.likelihood.parameter_results import LEVELS
from toolkit.likelihood.results import MethodResult, Results
from toolkit.report import prose
from toolkit.report.page import PageTable
from toolkit.report.wording import (
    asimov_text,
    asymptotic_cells,
    closure_text,
    dagger_note,
    from_toys,
    interval_lines,
    intervals_shown,
    method_name,
    notes,
    number,
    parameter_name,
    point_of,
    probability,
    significant,
    t0_text,
    truth_points,
    verdict_text,
    with_error,
)

HOLDS = "holds p at x: in that part of the toys with the truth x the asymptotic interval holds x, the worst of best fit and ends."
SUSPICIOUS = 0.01
"""p-values below this are marked, if the deviation is also"""
RELEVANT = 0.01
"""above this: shared events make the test sensitive to deviations that do not matter."""


def methods_page_table(results: Results, verdicts: Sequence[ClosureVerdict]) -> PageTable:
    """Best fit, intervals and t(0) of every method; the flag of the closure stands in the row.

    Where there are several parameters of interest, the intervals are those with the others profiled, and with the others fixed beside them.
    """
    by_method = {v.method: v for v in verdicts}
    poi = parameter_name(results.poi)
    rows, flagged, toys = [], set(), from_toys(results)
    for i, (name, result) in enumerate(results.methods.items()):
        verdict = by_method.get(name)
        intervals = _intervals(results, result, toys=toys)
        judged = (verdict_text(verdict),) if verdicts else ()
        rows.append((method_name(name), number(result.mu_hat), *intervals, t0_text(result), *judged))
        if verdict is not None and verdict.flagged:
            flagged.add(i)
    remarks = [line for line in notes(verdicts, list(results.methods.values())) if line.startswith("*")]
    remarks += [DEFINITION] if verdicts else []
    remarks += [dagger_note(results), HOLDS] if dagger_note(results) else [HOLDS] if toys else []
    fixed = ("68 %, others fixed", "95 %, others fixed") if len(results.interest) > 1 else ()
    return PageTable(
        title=f"Expected results{f' for {poi}' if fixed else ''}: Asimov set at {asimov_text(results)}",
        columns=("method", f"best fit {poi}", *_headers(toys), *fixed, f"t({poi} = 0)", *(("closure",) if verdicts else ())),
        rows=tuple(rows),
        flagged=frozenset(flagged),
        note="\n".join(
            [f"t({poi} = 0) is minus twice the logarithm of the likelihood ratio between {poi} = 0 and the best fit.", *remarks]
        ),
    )


def _headers(toys: bool) -> tuple[str, ...]:
    return tuple(f"{level} %, {kind}" for kind in ("toys", "asymptotic") for level in LEVELS) if toys else tuple(f"{k} %" for k in LEVELS)


def _intervals(results: Results, result: MethodResult, *, toys: bool) -> list[str]:
    """Write the intervals that the table shows, in its order: those that cover, the asymptotic ones if there are others, others fixed."""
    own = result.parameters.get(results.poi)
    made = own is not None and own.interval_kind == "neyman"
    shown = ["\n".join(intervals_shown(results, result, level)) if made or not toys else "-" for level in LEVELS]
    if toys:
        plain = ["\n".join(interval_lines(pieces)) for pieces in (result.interval_68, result.interval_95)]
        shown += ["\n(holds ".join(asymptotic_cells(own, k)).replace("\nat", " at") + ")" for k in LEVELS] if made and own else plain
    fixed = () if own is None or len(results.interest) < 2 else (own.fixed_others_68, own.fixed_others_95)
    return shown + ["\n".join(interval_lines(pieces)) for pieces in fixed]


def closure_page_table(results: Results, verdicts: Sequence[ClosureVerdict]) -> PageTable:
    """Best fit at each truth with standard error and distance in standard errors."""
    truths = truth_points(results)
    rows, flagged = [], set()
    for i, verdict in enumerate(verdicts):
        checks = {point_of(c): c for c in verdict.checks}
        rows.append((method_name(verdict.method), *(closure_text(checks.get(key)) for key in truths), verdict_text(verdict)))
        if verdict.flagged:
            flagged.add(i)
    poi = parameter_name(results.poi)
    together = any(math.isfinite(point.p_value) for point in results.closure)
    failing = "where the test of all parameters together fails" if together else f"is off by more than {MAX_PULL:g} of them"
    return PageTable(
        title=f"Best fit {poi} on Asimov sets",
        columns=("method", *(f"true {label}" for label in truths.values()), "verdict"),
        rows=tuple(rows),
        flagged=frozenset(flagged),
        note=f"best fit ± standard error (distance from the truth in standard errors); ! {failing}. "
        f"{DEFINITION[0].upper()}{DEFINITION[1:]}",
    )


def normalisation_page_table(result: Normalisation) -> PageTable:
    """E_ref[r] of every process."""
    rows = tuple(
        (name, with_error(mean, error), f"{pull:+.1f}")
        for name, mean, error, pull in zip(result.processes, result.mean_ratio, result.error, result.pull, strict=True)
    )
    flagged = frozenset(i for i, pull in enumerate(result.pull) if abs(pull) > 3)
    p_value = probability(result.test.p_value)
    test = f"All processes against 1: chi-square {result.test.chi2:.1f} for {result.test.ndf} degrees of freedom, p = {p_value}."
    title = "Normalisation: mean of the estimated ratio over the reference"
    return PageTable(title, ("process", "E[r]", "(E[r] - 1) / error"), rows, flagged, note=test)


def reweighting_page_table(suite: Suite) -> PageTable:
    """p-value and mean deviation of every observable (row) and target (column)."""
    observables = tuple(dict.fromkeys(c.observable for c in suite.reweightings))
    found = {(c.observable, c.target_name): c for c in suite.reweightings}
    trained = {c.observable: c.trained_on for c in suite.reweightings}
    rows, flagged = [], set()
    for i, name in enumerate(observables):
        cells = [found[name, target] for target in suite.targets]
        texts = (f"{probability(c.test.p_value)}\n{100 * c.mean_deviation:.1f} %" for c in cells)
        rows.append((name, "yes" if trained[name] else "no", *texts))
        if any(c.test.p_value < SUSPICIOUS and c.mean_deviation > RELEVANT for c in cells):
            flagged.add(i)
    return PageTable(
        title="p-value (chi-square with the full covariance) and mean deviation",
        columns=("observable", "trained on", *suite.targets),
        rows=tuple(rows),
        flagged=frozenset(flagged),
        note=f"Mean deviation: sum of |reweighted - true| over sum of true. Marked: p < {SUSPICIOUS:g}, deviation > {RELEVANT:.0%}.",
    )


def processes_page_table(processes: Sequence[ProcessSummary], yields: Mapping[str, float]) -> PageTable:
    """Expected events and quality of the simulation of every process."""
    rows = tuple(
        (
            p.process,
            number(yields.get(p.process), digits=1),
            with_error(p.expected, p.error),
            significant(float(p.n_events), digits=3),
            significant(p.n_eff_kish, digits=3),
            significant(p.n_eff_max, digits=3),
            f"{100 * p.negative_events:.2g} %",
            f"{100 * p.negative_weight:.2g} %",
        )
        for p in processes
    )
    return PageTable(
        title="Expected events and simulated test events",
        columns=(
            "process",
            "expected (fit)",
            "expected (test)",
            "events",
            "N_eff (Σw)²/Σw²",
            "N_eff |Σw|/max|w|",
            "negative events",
            "negative weight",
        ),
        rows=rows,
        note=prose.YIELDS,
    )


def cutflow_page_table(cutflow: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> PageTable:
    """Expected and simulated events of every sample after each cut."""
    samples = tuple(cutflow)
    cuts = tuple(dict.fromkeys(cut for flow in cutflow.values() for cut in flow))
    rows = []
    for cut in cuts:
        cells = []
        for sample in samples:
            entry = cutflow[sample].get(cut)
            cells.append("-" if entry is None else f"{significant(float(entry['sumw']))} ({significant(float(entry['events']), digits=3)})")
        rows.append((cut, *cells))
    return PageTable("Cut flow: expected events (simulated events)", ("after", *samples), tuple(rows), note=prose.CUTFLOW)


def data_cutflow_page_table(cutflow: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> PageTable:
    """Data events of every sample after each cut.

    Examples:
        >>> data_cutflow_page_table({"data": {"all": {"events": 12, "sumw": 12.0, "sumw2": 12.0}}}).rows
        (('all', '12'),)
    """
    cuts = tuple(dict.fromkeys(cut for flow in cutflow.values() for cut in flow))
    rows = tuple((cut, *(f"{flow[cut]['events']:.0f}" if cut in flow else "-" for flow in cutflow.values())) for cut in cuts)
    return PageTable("Cut flow: data", ("after", *cutflow), rows)


def timing_page_table(timing_s: Mapping[str, float]) -> PageTable:
    """Seconds per stage.

    Examples:
        >>> timing_page_table({"process": 12.34, "train": 90.0}).rows
        (('process', '12.3 s'), ('train', '90.0 s'))
    """
    rows = {name: f"{seconds:.1f} s" for name, seconds in timing_s.items()}
    return two_column_table("Time", rows, columns=("stage", "wall time"))


def two_column_table(title: str, rows: Mapping[str, str], *, columns: tuple[str, str]) -> PageTable:
    """A table of names and values.

    Examples:
        >>> two_column_table("Versions", {"numpy": "2.4"}, columns=("package", "version")).columns
        ('package', 'version')
    """
    return PageTable(title, columns, tuple(rows.items()))
