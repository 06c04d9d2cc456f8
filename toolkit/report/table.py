"""The comparison of methods on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from toolkit.diagnostics.closure import ClosureVerdict, closure_verdicts
from toolkit.likelihood.results import MethodResult, ObservedResults, Results
from toolkit.report.wording import closure_text, interval_lines, notes, number, parameter_name, t0_text, verdict_text

WIDE = 132
"""Columns of a terminal from which measurement and closure fit into one table."""
_COLOURS = {"biased": "bold red", "imprecise": "yellow", "untested": "yellow"}


@dataclass(frozen=True)
class Comparison:
    """Everything about the methods, to be printed on a rich console: one table, or two on a narrow terminal.

    Attributes:
        results: All methods and closure points.

    Examples:
        >>> from rich.console import Console
        >>> from toolkit.likelihood.results import Results
        >>> Console(width=60).print(Comparison(Results("mu", {"mu": 1.0}, 140.0, {}, {})))  # doctest: +ELLIPSIS
        μ from an Asimov set at μ = 1, 140/fb...
    """

    results: Results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the tables that fit the width, then the notes."""
        verdicts = judge(self.results)
        if options.max_width >= WIDE:
            yield methods_table(self.results, verdicts=verdicts)
        else:
            yield methods_table(self.results, verdicts=verdicts, closure=False)
            if self.results.closure:
                yield closure_table(self.results, verdicts=verdicts)
        if self.results.observed is not None:
            yield observed_table(self.results, self.results.observed)
        for line in self.note_lines(verdicts):
            yield Text(line, style="bold" if line.startswith("!") else "")

    def note_lines(self, verdicts: Sequence[ClosureVerdict]) -> list[str]:
        """Return what must be read with the table."""
        poi = parameter_name(self.results.poi)
        lines = [*notes(verdicts, list(self.results.methods.values())), f"t({poi}=0): -2 Delta ln L at {poi} = 0."]
        if self.results.closure:
            lines.append("closure: best fit ± standard error of the finite simulation (distance from the truth in standard errors).")
        return lines


def methods_table(results: Results, *, verdicts: Sequence[ClosureVerdict] | None = None, closure: bool = True) -> Table:
    """Lay out best fit, intervals, t(0) and closure of every method.

    Args:
        results: All methods and closure points.
        verdicts: Closure verdicts; made from the closure points when None.
        closure: Add a column per closure point, and the verdict.

    Returns:
        A rich table. A method whose closure fails is red, one whose closure says little yellow, and its t(0) says which
        way it is off. A star marks an interval that reaches the edge of the allowed range; disjoint pieces stand one
        below the other.
    """
    by_method = {v.method: v for v in (judge(results) if verdicts is None else verdicts)}
    poi = parameter_name(results.poi)
    table = _table(f"{poi} from an Asimov set at {poi} = {results.asimov[results.poi]:g}, {results.luminosity_ifb:g}/fb")
    for header in ("best fit", "68 %", "95 %", f"t({poi}=0)"):
        table.add_column(header, justify="right", no_wrap=True)
    truths = _add_closure_columns(table, results) if closure and results.closure else []
    for name, result in results.methods.items():
        verdict = by_method.get(name)
        table.add_row(name, *_measured(result, verdict), *_closed(verdict, truths), style=_colour(verdict))
    return table


def closure_table(results: Results, *, verdicts: Sequence[ClosureVerdict] | None = None) -> Table:
    """Lay out the closure of every method: best fit at each truth, and the verdict; colours as in `methods_table`."""
    by_method = {v.method: v for v in (judge(results) if verdicts is None else verdicts)}
    table = _table("closure on Asimov sets of test events")
    truths = _add_closure_columns(table, results)
    for name in results.methods:
        table.add_row(name, *_closed(by_method.get(name), truths), style=_colour(by_method.get(name)))
    return table


def observed_table(results: Results, observed: ObservedResults) -> Table:
    """Lay out best fit, intervals and t(0) of every method in the recorded events, and below each what was expected."""
    poi, truth = parameter_name(results.poi), results.asimov[results.poi]
    expected = number(observed.expected, digits=1)
    table = _table(f"{poi} observed, {observed.n_events} recorded events ({expected} expected at {poi} = {truth:g})")
    for header in ("best fit", "68 %", "95 %", f"t({poi}=0)"):
        table.add_column(header, justify="right", no_wrap=True)
    for name, result in observed.methods.items():
        table.add_row(name, *_measured(result, None))
        table.add_row("  expected", *_measured(results.methods[name], None), style="dim")
    return table


def judge(results: Results) -> tuple[ClosureVerdict, ...]:
    """Return the closure verdict of every method, in the order of the results."""
    return closure_verdicts(results.closure, methods=tuple(results.methods), asimov=results.asimov[results.poi], parameter=results.poi)


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    return table


def _add_closure_columns(table: Table, results: Results) -> list[float]:
    truths = sorted({point.mu for point in results.closure})
    for mu in truths:
        table.add_column(f"{parameter_name(results.poi)} = {mu:g}", justify="right", no_wrap=True)
    table.add_column("closure", no_wrap=True)
    return truths


def _measured(result: MethodResult, verdict: ClosureVerdict | None) -> list[str | Text]:
    intervals = [Text("\n".join(interval_lines(i))) for i in (result.interval_68, result.interval_95)]
    return [number(result.mu_hat), *intervals, t0_text(result, verdict)]


def _closed(verdict: ClosureVerdict | None, truths: Sequence[float]) -> list[str | Text]:
    if not truths:
        return []
    checks = {c.mu: c for c in verdict.checks} if verdict else {}
    return [*(Text(closure_text(checks.get(mu)).replace(" (", "\n(")) for mu in truths), verdict_text(verdict)]


def _colour(verdict: ClosureVerdict | None) -> str | None:
    return _COLOURS.get(verdict.status) if verdict else None
