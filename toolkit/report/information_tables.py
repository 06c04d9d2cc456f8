"""What every method can tell of pairs of hypotheses: one table, on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.likelihood.expected_information import Gain, Information
from toolkit.likelihood.results import MethodResult, Results
from toolkit.report.page import PageTable
from toolkit.report.wording import method_name, parameter_name, t0_text, with_error

TITLE = "What a method can tell: lower bounds of the expected -2 Δ ln L between two hypotheses"
FORMULA = (
    "μ = 1 against 0: twice the sum of a ln r - b (r - 1) over the simulated events, a and b what each counts at μ = 1 and 0, r the ratio "
    "of the rates that the method takes at the event, from networks or templates that other events have made. No bias can raise it."
)
NOTES = (FORMULA, "x 1.5: the unbinned fit has 1.5 times as much, on the same events. Errors are those of the finite simulation.")
"""How to read the table."""


def information_pairs(results: Results) -> tuple[Information, ...]:
    """Return the pairs of hypotheses that the table shows, those of the first method; results.json has them the other way round, too."""
    found = next((m.information for m in results.methods.values() if m.information), ())
    return found[: len(found) // 2]


def pair_label(pair: Information) -> str:
    """Write a pair of hypotheses, the true one first.

    Examples:
        >>> pair_label(Information({"mu": 1.0}, {"mu": 0.0}, 1.1, 0.1))
        'μ = 1 against 0'
        >>> pair_label(Information({"a": 1.0, "b": 0.5}, {"a": 1.0, "b": 1.0}, 1.1, 0.1))
        'b = 0.5 against 1'
    """
    moved = [name for name in pair.truth if pair.truth[name] != pair.against[name]]
    return ", ".join(f"{parameter_name(name)} = {pair.truth[name]:g} against {pair.against[name]:g}" for name in moved)


def information_cells(result: MethodResult, pairs: Sequence[Information], *, zero: bool = True) -> tuple[str, ...]:
    """Write t(0), where that is wanted, and the bounds of one method, each with its error and how much more the unbinned method has."""
    own = {_key(entry): entry for entry in result.information}
    shown = (own.get(_key(pair)) for pair in pairs)
    cells = ["-" if entry is None else _short(entry) + _times(entry.gain) for entry in shown]
    plain = result if result.statistical_only is None else result.statistical_only
    return ((t0_text(plain) + _times(plain.twice_nll_at_0_gain),) if zero else ()) + tuple(cells)


def information_page_table(results: Results) -> PageTable | None:
    """Lay out the bounds of all methods; None where there are none."""
    pairs = information_pairs(results)
    if not pairs:
        return None
    zero = len(results.interest) == 1
    rows = tuple((method_name(name), *information_cells(result, pairs, zero=zero)) for name, result in results.methods.items())
    first = (f"t({parameter_name(results.poi)} = 0) of the fit",) if zero else ()
    return PageTable(TITLE, ("method", *first, *(pair_label(pair) for pair in pairs)), rows, note="\n".join(NOTES))


def gain_text(gain: Gain | None) -> str:
    """Write a gain with its error.

    Examples:
        >>> gain_text(Gain(1.4861, 0.0272)), gain_text(Gain(2.2, 1.1)), gain_text(None)
        ('1.486 ± 0.027', '2.2 ± 1.1', '-')
    """
    return "-" if gain is None else _short(gain)


def _short(number: Gain | Information) -> str:
    """Write value and error with at most three decimals."""
    if number.error >= 0.0095 or not number.error > 0.0:
        return with_error(number.value, number.error)
    return f"{round(number.value, 3) + 0.0:.3f} ± {number.error:.3f}"


def _times(gain: Gain | None) -> str:
    return "" if gain is None else f"\nx {gain_text(gain)}"


def _key(entry: Information) -> tuple[tuple[str, float], ...]:
    sides: tuple[Mapping[str, float], ...] = (entry.truth, entry.against)
    return tuple(item for side in sides for item in sorted(side.items()))
