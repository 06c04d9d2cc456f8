"""The comparison of methods on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from toolkit.diagnostics.closure import DEFINITION, ClosureVerdict, closure_verdicts
from toolkit.likelihood.parameter_results import LEVELS
from toolkit.likelihood.results import MethodResult, ObservedResults, Results
from toolkit.report.contours import area_rows, pairs_of
from toolkit.report.information_tables import NOTES, TITLE, information_cells, information_pairs, pair_label
from toolkit.report.truths import TITLE as TOGETHER
from toolkit.report.truths import rows_together
from toolkit.report.wording import (
    Point,
    asimov_text,
    asymptotic_cells,
    closure_text,
    dagger_note,
    from_toys,
    interval_lines,
    intervals_shown,
    notes,
    number,
    parameter_name,
    point_of,
    t0_text,
    truth_points,
    verdict_text,
)

PAIRS = 3
"""Pairs of hypotheses that fit beside each other."""
_COLOURS = {"biased": "bold red", "not_tested": "yellow"}


@dataclass(frozen=True)
class Comparison:
    """Everything about the methods, to be printed on a rich console: what they measure, and how they close.

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
        """Yield the tables, then the notes."""
        verdicts = judge(self.results)
        for name in self.results.interest:
            own, judged = self.results.of(name), verdicts_on(name, verdicts)
            yield methods_table(own, verdicts=judged)
            if from_toys(own):
                yield asymptotic_table(own)
            if own.closure:
                yield closure_table(own, verdicts=judged)
            if own.observed is not None:
                yield observed_table(own, own.observed)
        yield from together_tables(self.results)
        yield from information_tables(self.results)
        if any(method.contours for method in self.results.methods.values()):
            yield from contour_tables(self.results)
        for name in self.results.fit_parameters:
            yield from fit_tables(name, self.results.in_other_parameters(name))
        for line in self.note_lines(verdicts):
            yield Text(line, style="bold" if line.startswith("!") else "")

    def note_lines(self, verdicts: Sequence[ClosureVerdict]) -> list[str]:
        """Return what must be read with the table."""
        lines: list[str] = []
        for name in self.results.interest:
            own = self.results.of(name)
            lines += notes(verdicts_on(name, verdicts), list(own.methods.values()))
            lines += [dagger_note(own)] if dagger_note(own) else []
        names = [parameter_name(name) for name in self.results.interest]
        lines += NOTES if information_pairs(self.results) else ()
        lines = [*dict.fromkeys(lines), f"{', '.join(f't({poi}=0)' for poi in names)}: -2 Delta ln L at {' or '.join(names)} = 0."]
        if len(names) > 1:
            lines.append("68 %, 95 %: the other parameters profiled; fixed: the other parameters of interest at their truth.")
        if self.results.closure:
            lines.append("closure: best fit ± standard error of the finite simulation (distance from the truth in standard errors).")
            lines.append(DEFINITION)
        return lines


def information_tables(results: Results) -> Iterator[Table]:
    """Lay out what every method can tell of pairs of hypotheses, `PAIRS` of them beside each other."""
    pairs = information_pairs(results)
    for k in range(0, len(pairs), PAIRS):
        table, some = _table(TITLE), pairs[k : k + PAIRS]
        for pair in some:
            table.add_column(Text(pair_label(pair).replace(", ", "\n")), justify="right", no_wrap=True)
        for name, result in results.methods.items():
            table.add_row(name, *(Text(cell) for cell in information_cells(result, some, zero=False)))
        yield table


def methods_table(results: Results, *, verdicts: Sequence[ClosureVerdict] | None = None) -> Table:
    """Lay out best fit, intervals, t(0) and verdict of every method.

    Args:
        results: All methods and closure points.
        verdicts: Closure verdicts; made from the closure points when None, left out when empty.

    Returns:
        A rich table. A method that is biased is red, one that is not tested yellow. A star marks an interval that reaches the edge of the
        allowed range; disjoint pieces stand one below the other.
    """
    by_method = {v.method: v for v in (verdicts_on(results.poi, judge(results)) if verdicts is None else verdicts)}
    poi = parameter_name(results.poi)
    table = _table(f"{poi} from an Asimov set at {asimov_text(results)}, {results.luminosity_ifb:g}/fb")
    fixed = ("68 %, fixed", "95 %, fixed") if len(results.interest) > 1 else ()
    kind = ", toys" if from_toys(results) else ""
    for header in ("best fit", f"68 %{kind}", f"95 %{kind}", *fixed, f"t({poi}=0)"):
        table.add_column(header, justify="right", no_wrap=True)
    if by_method:
        table.add_column("closure")
    for name, result in results.methods.items():
        verdict = by_method.get(name)
        cells = _measured(result, poi=results.poi if fixed else None, results=results)
        table.add_row(name, *cells, *([Text(verdict_text(verdict))] if by_method else []), style=_colour(verdict))
    return table


def asymptotic_table(results: Results) -> Table:
    """Lay out the asymptotic intervals of the methods that have others from toys, with their coverage where it is worst."""
    table = _table(f"asymptotic intervals of {parameter_name(results.poi)}, and how often they hold the truth")
    for level in LEVELS:
        table.add_column(f"{level} %", justify="right", no_wrap=True)
        table.add_column("holds", justify="right", no_wrap=True)
    for name, result in results.methods.items():
        own = result.parameters.get(results.poi)
        if own is not None and own.interval_kind == "neyman":
            table.add_row(name, *(Text(cell) for level in LEVELS for cell in asymptotic_cells(own, level)))
    return table


def closure_table(results: Results, *, verdicts: Sequence[ClosureVerdict] | None = None) -> Table:
    """Lay out the closure of every method: best fit at each truth, and the verdict; colours as in `methods_table`."""
    by_method = {v.method: v for v in (judge(results) if verdicts is None else verdicts)}
    what = f" of {parameter_name(results.poi)}" if len(results.interest) > 1 else ""
    table = _table(f"closure{what} on Asimov sets")
    truths = _add_closure_columns(table, results)
    for name in results.methods:
        table.add_row(name, *_closed(by_method.get(name), truths), style=_colour(by_method.get(name)))
    return table


def together_tables(results: Results) -> Iterator[Table]:
    """Lay out -2 Delta lnL of every truth of several parameters with its p-value; nothing where one is measured."""
    truths, rows = rows_together(results)
    if rows:
        table = _table(TOGETHER)
        for label in truths:
            table.add_column(Text(label.replace(", ", "\n")), justify="right", no_wrap=True)
        for name, cells in rows.items():
            table.add_row(name, *(Text(cell.replace(" (", "\n(")) for cell in cells))
        yield table


def observed_table(results: Results, observed: ObservedResults) -> Table:
    """Lay out best fit, intervals and t(0) of every method in the data, and below each what was expected."""
    poi, truth = parameter_name(results.poi), results.asimov[results.poi]
    expected = number(observed.expected, digits=1)
    table = _table(f"{poi} observed, {observed.n_events} data events ({expected} expected at {poi} = {truth:g})")
    for header in ("best fit", "68 %", "95 %", f"t({poi}=0)"):
        table.add_column(header, justify="right", no_wrap=True)
    for name, result in observed.methods.items():
        table.add_row(name, *_measured(result))
        table.add_row("  expected", *_measured(results.methods[name]), style="dim")
    return table


def fit_tables(name: str, results: Results) -> Iterator[Table]:
    """Lay out a fit in other parameters: a table per parameter of interest, and the areas of its contours."""
    for poi in results.interest:
        table = methods_table(results.of(poi), verdicts=())
        table.title = f"{name}: {table.title}"
        yield table
    yield from contour_tables(results)


def contour_tables(results: Results) -> Iterator[Table]:
    """Lay out the areas of the contours of every pair of parameters, one table each."""
    for pair in pairs_of(results):
        table = _table(f"areas of the contours of {' and '.join(parameter_name(name) for name in pair)}")
        for header in ("68 %", "over best histogram", "95 %", "over best histogram"):
            table.add_column(header, justify="right", no_wrap=True)
        for row in area_rows(results, pair):
            table.add_row(row.method, *row.cells)
        yield table


def judge(results: Results) -> tuple[ClosureVerdict, ...]:
    """Return the closure verdict of every method on every parameter of interest, parameter by parameter, in the order of the results."""
    verdicts: list[ClosureVerdict] = []
    for name in results.interest:
        own = results.of(name)
        known = results.parameters.get(name)
        verdicts += closure_verdicts(own.closure, methods=tuple(own.methods), parameter=name, bounds=None if known is None else known.range)
    return tuple(verdicts)


def verdicts_on(parameter: str, verdicts: Sequence[ClosureVerdict]) -> tuple[ClosureVerdict, ...]:
    """Return the verdicts on one parameter."""
    return tuple(v for v in verdicts if v.parameter == parameter)


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    return table


def _add_closure_columns(table: Table, results: Results) -> list[Point]:
    truths = truth_points(results)
    for label in truths.values():
        table.add_column(Text(label.replace(", ", "\n")), justify="right", no_wrap=True)
    table.add_column("closure")
    return list(truths)


def _measured(result: MethodResult, *, poi: str | None = None, results: Results | None = None) -> list[str | Text]:
    """Write best fit, intervals and t(0); with the name of the parameter also the intervals with the others fixed."""
    own = None if poi is None else result.parameters.get(poi)
    fixed = () if own is None else (own.fixed_others_68, own.fixed_others_95)
    lines = [interval_lines(i) for i in (result.interval_68, result.interval_95)]
    if results is not None:
        lines = [intervals_shown(results, result, level) for level in LEVELS]
    intervals = [Text("\n".join(own)) for own in (*lines, *(interval_lines(i) for i in fixed))]
    return [number(result.mu_hat), *intervals, t0_text(result)]


def _closed(verdict: ClosureVerdict | None, truths: Sequence[Point]) -> list[str | Text]:
    checks = {point_of(c): c for c in verdict.checks} if verdict else {}
    return [*(Text(closure_text(checks.get(key)).replace(" (", "\n(")) for key in truths), Text(verdict_text(verdict))]


def _colour(verdict: ClosureVerdict | None) -> str | None:
    return _COLOURS.get(verdict.word) if verdict else None
