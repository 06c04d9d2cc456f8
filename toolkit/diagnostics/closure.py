"""Verdict on each method from its closure: may its numbers be believed?

A biased estimate moves the best fit and with it t(0): a method that fits 1.4 where 1 is true excludes mu = 0 better
than it can. The verdict stands beside t(0) wherever t(0) is shown, always in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.diagnostics.serialise import jsonable
from toolkit.likelihood.results import ClosurePoint

MAX_PULL = 2.0
"""Largest accepted |mu_hat - mu| in standard errors of the finite simulation."""
MAX_ERROR = 0.25
"""Standard error, as a share of the allowed range, from which a point tests nothing: then hardly any best fit could be far off."""
MIN_P = 0.0455
"""Smallest accepted p-value of the truth of several parameters: that of `MAX_PULL` standard errors."""
EXACT = 1e-3
"""With a standard error of 0: largest |mu_hat - mu| that counts as equal (the accuracy of a fit)."""

Verdict = Literal["compatible", "biased", "not_tested"]
SHOWN: Mapping[Verdict, str] = {"compatible": "compatible", "biased": "biased", "not_tested": "not tested (simulation too small)"}
"""The verdicts as a reader sees them."""
DEFINITION = (
    f"biased: at one or more true values the best fit is more than {MAX_PULL:g} standard errors of the finite simulation off (of several "
    f"parameters of interest: p < {MIN_P:g} for -2 Delta ln L of the truth of all); compatible: at none; not tested (simulation too "
    "small): at no true value there is a standard error below a quarter of the allowed range."
)
"""What the three words mean."""


@dataclass(frozen=True)
class ClosureCheck:
    """One closure point with its deviation and its pull, which is NaN without a standard error.

    Attributes:
        mu: The truth.
        mu_hat: The best fit.
        standard_error: Of the finite simulation.
        deviation: mu_hat - mu.
        pull: Deviation over standard error.
        fails: Whether the best fit is off by more than `MAX_PULL` standard errors; with a p-value, whether that is below `MIN_P`.
        tested: Whether the standard error is known, and small enough to see a deviation.
        truth: All parameters of interest, where there are several.
        twice_delta_nll: -2 Delta lnL of the truth of all parameters, where there are several; NaN if not known.
        p_value: How often the finite simulation makes it as large; NaN if not known.
    """

    mu: float
    mu_hat: float
    standard_error: float
    deviation: float
    pull: float
    fails: bool
    tested: bool = True
    truth: Mapping[str, float] = field(default_factory=dict)
    twice_delta_nll: float = math.nan
    p_value: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        several: dict[str, Any] = {"truth": dict(self.truth)} if self.truth else {}
        if math.isfinite(self.p_value):
            several |= {"twice_delta_nll": self.twice_delta_nll, "p_value": self.p_value}
        names = ("mu", "mu_hat", "standard_error", "deviation", "pull", "fails", "tested")
        return several | {name: jsonable(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class ClosureVerdict:
    """What the closure says about one method.

    Attributes:
        method: Name of the method.
        word: The verdict, the same on terminal and page and in results.json; see `DEFINITION`.
        checks: The points, by increasing truth.
        message: What it rests on, for the reader; empty for a method that is compatible.
        parameter: The parameter that was tested.
    """

    method: str
    word: Verdict
    checks: tuple[ClosureCheck, ...]
    message: str
    parameter: str = "mu"

    @property
    def flagged(self) -> bool:
        """Whether the method's t(0) and intervals must not be quoted without the message."""
        return self.word != "compatible"

    @property
    def shown(self) -> str:
        """The verdict as a reader sees it."""
        return SHOWN[self.word]

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object."""
        return {"verdict": self.word, "message": self.message, "points": [check.to_json() for check in self.checks]}


def closure_verdict(
    points: Iterable[ClosurePoint], *, method: str, parameter: str = "mu", bounds: tuple[float, float] | None = None
) -> ClosureVerdict:
    """Judge one method.

    Args:
        points: Closure points; those of other methods are ignored.
        method: Name of the method.
        parameter: Name of the parameter, for the message.
        bounds: Its allowed range, beside which standard errors are large or small; None judges them all.

    Returns:
        The verdict.

    Notes:
        Of many points that are right, one in twenty is off by more than 2 standard errors: a single point at 2.1 is a
        reason to look, not a proof. The reverse holds too: a small standard error needs many simulated events.

    Examples:
        >>> points = [ClosurePoint(mu=1.0, mu_hat=1.45, standard_error=0.1, method="nsbi")]
        >>> verdict = closure_verdict(points, method="nsbi")
        >>> verdict.word, verdict.message
        ('biased', 'fits mu = 1.45 ± 0.10 where 1 is true (4.5 standard errors)')
        >>> wide = ClosurePoint(mu=1.0, mu_hat=2.45, standard_error=1.7, method="rate")
        >>> closure_verdict([wide], method="rate", bounds=(0.0, 6.0)).shown
        'not tested (simulation too small)'
    """
    largest = math.inf if bounds is None else MAX_ERROR * (bounds[1] - bounds[0])
    checks = tuple(sorted((_check(p, largest) for p in points if p.method == method), key=lambda c: c.mu))
    word: Verdict = "biased" if any(c.fails for c in checks) else "compatible" if any(c.tested for c in checks) else "not_tested"
    return ClosureVerdict(method, word, checks, _message(word, checks, parameter, largest), parameter)


def closure_verdicts(
    points: Iterable[ClosurePoint], *, methods: Sequence[str], parameter: str = "mu", bounds: tuple[float, float] | None = None
) -> tuple[ClosureVerdict, ...]:
    """Judge several methods, in their order; see `closure_verdict`.

    Examples:
        >>> points = [ClosurePoint(mu=1.0, mu_hat=1.05, standard_error=0.1, method="nsbi"), ClosurePoint(1.0, 1.5, 0.1, "m4l")]
        >>> [verdict.word for verdict in closure_verdicts(points, methods=["nsbi", "m4l", "rate"])]
        ['compatible', 'biased', 'not_tested']
    """
    kept = tuple(points)
    return tuple(closure_verdict(kept, method=name, parameter=parameter, bounds=bounds) for name in methods)


def _check(point: ClosurePoint, largest: float) -> ClosureCheck:
    deviation, error = point.mu_hat - point.mu, point.standard_error
    known = math.isfinite(error) and error > 0
    pull = deviation / error if known else math.nan
    # the same events on both sides (an error of 0) may not deviate at all; a best fit that is no number is off
    fails = not abs(pull) <= MAX_PULL if known else error == 0 and not abs(deviation) <= EXACT
    if math.isfinite(point.p_value):
        fails = point.p_value < MIN_P
    tested, together = known and error < largest, (point.twice_delta_nll, point.p_value)
    return ClosureCheck(point.mu, point.mu_hat, error, deviation, pull, fails, tested, point.truth, *together)


def _message(word: Verdict, checks: Sequence[ClosureCheck], parameter: str, largest: float) -> str:
    if word == "compatible":
        return ""
    if word == "biased":
        together = min((c for c in checks if c.fails and math.isfinite(c.p_value)), key=lambda c: c.p_value, default=None)
        if together is not None:
            truth = ", ".join(f"{name} = {value:g}" for name, value in together.truth.items())
            return f"-2 Delta ln L of the truth {truth} is {together.twice_delta_nll:.2g}, p = {together.p_value:.1g}"
        worst = max((c for c in checks if c.fails), key=lambda c: round(abs(c.pull), 1) if math.isfinite(c.pull) else math.inf)
        size = f"{abs(worst.pull):.1f} standard errors" if math.isfinite(worst.pull) else "no standard error"
        error = f" ± {worst.standard_error:.2f}" if math.isfinite(worst.pull) else ""
        elsewhere = ", ".join(f"{name} = {value:g}" for name, value in worst.truth.items() if name != parameter)
        at = f" at {elsewhere}" if elsewhere else ""
        return f"fits {parameter} = {worst.mu_hat:.2f}{error} where {worst.mu:g} is true{at} ({size})"
    errors = [c.standard_error for c in checks if math.isfinite(c.standard_error) and c.standard_error > 0]
    if not checks:
        return "there are no closure points"
    if not errors:
        return "the closure points have no standard error"
    digits = ".2f" if min(errors) < 1000.0 else ".0e"
    return f"the smallest standard error is {min(errors):{digits}}, {largest:g} or more tests nothing"
