"""How numbers are written in tables, on the terminal and on the page alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from toolkit.diagnostics.closure import ClosureCheck, ClosureVerdict
from toolkit.kinematics import OBSERVABLES
from toolkit.likelihood.parameter_results import MAX_MISS, ParameterResult
from toolkit.likelihood.results import OF_RUN, ClosurePoint, MethodResult, Results
from toolkit.likelihood.scans import Interval

Point = tuple[float | tuple[str, float], ...]
"""A truth: the value of the parameter, and all parameters of interest by name."""

_NAMES = {
    "rate": "total rate",
    "score": "score histogram",
    "score_2d": "two-score histogram",
    "nsbi": "NSBI, unbinned",
}
_METHODS = {
    "rate": "the number of events alone",
    "d_me": "the bins of the discriminant of leading-order matrix elements, log10(P_H / (P_gg + 0.1 P_qq))",
    "score": "the bins of the score that the networks give S against B and the backgrounds",
    "score_2d": "the bins of two ratios of the networks, between three values of the parameter",
    "nsbi": "the single events, by an extended likelihood whose density ratios are networks (neural simulation-based inference)",
}
DAGGER = "†"
"""Marks an asymptotic interval whose coverage is off."""
_GREEK = {"mu": "μ", "kappa": "κ", "theta": "θ", "lambda": "λ"}


def method_name(name: str) -> str:
    """Return the name of a method for readers; a histogram named after an observable says so, an unknown name stands for itself.

    Examples:
        >>> method_name("nsbi"), method_name("d_me"), method_name("bdt"), method_name("nsbi_trees")
        ('NSBI, unbinned', 'd_me histogram', 'bdt', 'NSBI, trees')
    """
    if name.startswith(OF_RUN):
        return f"NSBI, {name.removeprefix(OF_RUN)}"
    return f"{name} histogram" if name in OBSERVABLES else _NAMES.get(name, name)


def is_histogram(name: str) -> bool:
    """Whether a method is a histogram: neither the count nor an unbinned fit, which is `nsbi`, or `nsbi_RUN` where runs are compared.

    Examples:
        >>> is_histogram("m4l"), is_histogram("nsbi"), is_histogram("nsbi_trees")
        (True, False, False)
    """
    return name not in {"rate", "nsbi"} and not name.startswith(OF_RUN)


def methods_text(names: Sequence[str]) -> str:
    """Say what each method fits; histograms of the user stand for themselves.

    Examples:
        >>> methods_text(["rate", "plane"])
        'What is fitted: total rate, the number of events alone; plane, its bins.'
    """
    return "What is fitted: " + "; ".join(f"{method_name(name)}, {_METHODS.get(name, 'its bins')}" for name in names) + "."


def parameter_name(name: str) -> str:
    """Return the parameter's name with its Greek letter.

    Examples:
        >>> parameter_name("mu"), parameter_name("mu_ggF"), parameter_name("c_W")
        ('μ', 'μ_ggF', 'c_W')
    """
    head, separator, tail = name.partition("_")
    return _GREEK.get(head, head) + separator + tail


def number(value: float | None, *, digits: int = 2) -> str:
    """Write a number with `digits` decimals; a dash for None or NaN.

    Examples:
        >>> number(1.234), number(None), number(-0.5, digits=1)
        ('1.23', '-', '-0.5')
    """
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def significant(value: float | None, *, digits: int = 4) -> str:
    r"""Write a number with so many significant digits, thousands set apart; a dash for None or NaN.

    Examples:
        >>> significant(1234.5).split("\N{NARROW NO-BREAK SPACE}"), significant(0.01231), significant(float("nan"))
        (['1', '234'], '0.01231', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.{digits}g}"


def probability(value: float) -> str:
    """Write a p-value with two digits, "< 0.001" below that, a dash for NaN.

    Examples:
        >>> probability(0.1234), probability(1e-30), probability(float("nan"))
        ('0.12', '< 0.001', '-')
    """
    return "< 0.001" if value < 1e-3 else significant(value, digits=2)


def with_error(value: float, error: float) -> str:
    """Write value and error with the decimals that two digits of the error need.

    Examples:
        >>> with_error(588.94, 1.234), with_error(0.5, 0.0), with_error(1.0, float("nan")), with_error(2312.4, 25.0)
        ('588.9 ± 1.2', '0.5', '1', '2312 ± 25')
    """
    if not math.isfinite(error) or error <= 0:
        return significant(value)
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def interval_lines(intervals: Sequence[Interval]) -> list[str]:
    """Write the pieces of an interval, one string each; a star marks one that reaches the edge of the allowed range.

    Examples:
        >>> interval_lines([Interval(0.0, 0.4, at_boundary=True), Interval(1.2, 2.0)])
        ['[0.00, 0.40]*', '[1.20, 2.00]']
        >>> interval_lines([])
        ['none']
    """
    return [f"[{i.low:.2f}, {i.high:.2f}]" + "*" * i.at_boundary for i in intervals] or ["none"]


def intervals_shown(results: Results, result: MethodResult, level: str) -> list[str]:
    """Write the interval of a level that covers: the one from toys where there is one."""
    own = result.parameters.get(results.poi)
    chosen = result if own is None or own.interval_kind != "neyman" else own
    return interval_lines(getattr(chosen, f"interval_{level}"))


def asymptotic_cells(own: ParameterResult, level: str) -> tuple[str, str]:
    """Write the asymptotic interval beside one from toys, a dagger where its coverage is off, and that coverage, where it is worst."""
    lines = interval_lines(getattr(own, f"asymptotic_{level}"))
    mark, worst = DAGGER if level in own.off else "", own.worst(level)
    covers = "-" if worst is None else f"{100.0 * worst.coverage:.0f} ± {100.0 * worst.error:.0f} %\nat {worst.at:.2f}"
    return "\n".join(line + mark for line in lines), covers


def from_toys(results: Results) -> bool:
    """Whether intervals of the parameter come from toys."""
    return any(m.parameters[results.poi].interval_kind == "neyman" for m in results.methods.values() if results.poi in m.parameters)


def dagger_note(results: Results) -> str:
    """Explain the dagger; empty where there is none."""
    off = [m for m in results.methods.values() if results.poi in m.parameters and m.parameters[results.poi].off]
    if not off:
        return ""
    return f"{DAGGER} asymptotic: at its ends or the best fit it holds the truth more than {100 * MAX_MISS:g} % too often or too seldom."


def closure_text(check: ClosureCheck | None) -> str:
    """Write one closure point: best fit, standard error, distance from the truth in standard errors; "!" where it fails.

    Examples:
        >>> closure_text(ClosureCheck(mu=1.0, mu_hat=1.45, standard_error=0.1, deviation=0.45, pull=4.5, fails=True))
        '1.45 ± 0.10 (+4.5) !'
        >>> closure_text(None)
        '-'
    """
    if check is None:
        return "-"
    known = math.isfinite(check.pull)
    error = f" ± {error_text(check.standard_error)} ({check.pull:+.1f})" if known else ""
    return number(check.mu_hat) + error + (" !" if check.fails else "")


def asimov_text(results: Results) -> str:
    """Write the parameters of interest of the Asimov set.

    Examples:
        >>> asimov_text(Results("mu", {"mu": 1.0, "t0": 1.0}, 140.0, {}, {}))
        'μ = 1'
    """
    return ", ".join(f"{parameter_name(name)} = {results.asimov[name]:g}" for name in results.interest)


def truth_points(results: Results) -> dict[Point, str]:
    """Label the truths of the closure tests of a parameter: those at which it moves alone, then the others, each by increasing value.

    Args:
        results: The results of one parameter (`Results.of`).

    Returns:
        Label by truth. Other parameters of interest are named where they are not those of the Asimov set.

    Examples:
        >>> from toolkit.likelihood.results import ClosurePoint
        >>> points = [ClosurePoint(1.0, 1.1, 0.1, "nsbi", parameter="mu", truth={"mu": 1.0, "c": c}) for c in (2.0, 0.0)]
        >>> list(truth_points(Results("mu", {"mu": 1.0, "c": 0.0}, 140.0, {}, {}, tuple(points))).values())
        ['μ = 1', 'μ = 1, c = 2']
    """
    found: dict[Point, tuple[bool, float, str]] = {}
    for point in results.closure:
        moved = {n: v for n, v in point.truth.items() if n != results.poi and not math.isclose(v, results.asimov.get(n, math.nan))}
        others = "".join(f", {parameter_name(name)} = {value:g}" for name, value in moved.items())
        found[point_of(point)] = (bool(moved), point.mu, f"{parameter_name(results.poi)} = {point.mu:g}{others}")
    return {key: label for key, (_, _, label) in sorted(found.items(), key=lambda item: item[1])}


def point_of(point: ClosurePoint | ClosureCheck) -> Point:
    """Return what tells the truth of a closure point from others."""
    return (point.mu, *sorted(point.truth.items()))


def error_text(error: float) -> str:
    """Write a standard error with two decimals, a large one with one digit: such a fit determines nothing.

    Examples:
        >>> error_text(0.123), error_text(1.4e7)
        ('0.12', '1e+07')
    """
    return f"{error:.2f}" if error < 1000.0 else f"{error:.0e}"


def t0_text(result: MethodResult) -> str:
    """Write -2 Delta lnL at 0 with its standard error from the finite simulation, where that is known.

    Examples:
        >>> from toolkit.likelihood.scans import Scan
        >>> t0_text(MethodResult("nsbi", 1.4, 1.9, (), (), Scan([0.0, 1.0], [1.9, 0.0]), twice_nll_at_0_error=0.47))
        '1.90 ± 0.47'
    """
    text, error = number(result.twice_nll_at_0), result.twice_nll_at_0_error
    return f"{text} ± {error_text(error)}" if math.isfinite(error) and result.twice_nll_at_0 is not None else text


def verdict_text(verdict: ClosureVerdict | None) -> str:
    """Write the verdict, what is in brackets on a line of its own."""
    return "-" if verdict is None else verdict.shown.replace(" (", "\n(")


def notes(verdicts: Sequence[ClosureVerdict], results: Sequence[MethodResult], *, full_names: bool = False) -> list[str]:
    """Write what must be read with the table: flags of the closure, intervals that reach the edge.

    Args:
        verdicts: One per method.
        results: The methods of the table.
        full_names: Write names of methods for readers, not their keys.

    Returns:
        Sentences, the most important first; flagged methods begin with "! ".
    """
    named = {v.method: method_name(v.method) if full_names else v.method for v in verdicts}
    lines = [f"! {named[v.method]}: {v.shown}, {v.message}." for v in verdicts if v.flagged]
    edges = sorted({(float(r.scan.values[0]), float(r.scan.values[-1])) for r in results if r.at_boundary and r.scan.values.size})
    lines += [f"* reaches the edge of the allowed range [{low:g}, {high:g}]." for low, high in edges]
    return lines
