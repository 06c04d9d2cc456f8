"""Verdict on each method from its closure: may its numbers be believed?

A biased estimate moves the best fit and with it t(0): a method that fits 1.4 where 1 is true excludes mu = 0 better
than it can. The verdict stands beside t(0) wherever t(0) is shown.
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
MAX_DEVIATION = 0.3
"""Largest accepted |mu_hat - mu|, however large the standard error."""
EXACT = 1e-3
"""With no standard error: largest |mu_hat - mu| that counts as equal (the accuracy of a fit)."""

Status = Literal["closes", "biased", "imprecise", "trivial", "untested"]
Word = Literal["compatible", "biased", "not_tested"]
_WORDS: dict[Status, Word] = {
    "closes": "compatible",
    "imprecise": "compatible",
    "biased": "biased",
    "trivial": "not_tested",
    "untested": "not_tested",
}


@dataclass(frozen=True)
class ClosureCheck:
    """One closure point with its deviation, its pull (NaN without a standard error) and whether it passes.

    `fails` is None, "pull" (more than `MAX_PULL` standard errors), "deviation" (more than `MAX_DEVIATION`) or "both"; `truth` holds all
    parameters of interest, where there are several.
    """

    mu: float
    mu_hat: float
    standard_error: float
    deviation: float
    pull: float
    fails: Literal["pull", "deviation", "both"] | None
    truth: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        several = {"truth": dict(self.truth)} if self.truth else {}
        return several | {name: jsonable(getattr(self, name)) for name in ("mu", "mu_hat", "standard_error", "deviation", "pull", "fails")}


@dataclass(frozen=True)
class ClosureVerdict:
    """What the closure says about one method.

    Attributes:
        method: Name of the method.
        status: "closes"; "biased" (a point off by more than 2 standard errors); "imprecise" (off by more than 0.3, but
            within 2 standard errors: the simulation is too small to tell); "trivial" (no standard error and no
            deviation: both sides are the same events); "untested".
        t0_shift: "inflated" or "deflated" when the point at the Asimov value fails upwards or downwards, else None.
        checks: The points, by increasing truth.
        message: One sentence for the reader, empty for a method that closes.
        parameter: The parameter that was tested.
    """

    method: str
    status: Status
    t0_shift: Literal["inflated", "deflated"] | None
    checks: tuple[ClosureCheck, ...]
    message: str
    parameter: str = "mu"

    @property
    def word(self) -> Word:
        """The verdict in one word, the same on terminal and page and in results.json: whether all points are within 2 standard errors."""
        return _WORDS[self.status]

    @property
    def flagged(self) -> bool:
        """Whether the method's t(0) and intervals must not be quoted without the message."""
        return self.status in ("biased", "imprecise", "untested")

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object."""
        return {
            "status": self.status,
            "flagged": self.flagged,
            "t0_shift": self.t0_shift,
            "message": self.message,
            "points": [check.to_json() for check in self.checks],
        }


def closure_verdict(
    points: Iterable[ClosurePoint], *, method: str, asimov: float, parameter: str = "mu", others: Mapping[str, float] | None = None
) -> ClosureVerdict:
    """Judge one method.

    Args:
        points: Closure points; those of other methods are ignored.
        method: Name of the method.
        asimov: Value of the parameter at which t(0) is quoted.
        parameter: Name of the parameter, for the message.
        others: Values of the other parameters of interest at which t(0) is quoted, where there are several.

    Returns:
        The verdict.

    Notes:
        Of many points that are right, one in twenty is off by more than 2 standard errors: a single flag at 2.1 is a
        reason to look, not a proof. The reverse holds too: a small standard error needs many simulated events.

    Examples:
        >>> points = [ClosurePoint(mu=1.0, mu_hat=1.45, standard_error=0.1, method="nsbi")]
        >>> verdict = closure_verdict(points, method="nsbi", asimov=1.0)
        >>> verdict.status, verdict.t0_shift
        ('biased', 'inflated')
        >>> verdict.message
        't(0) is inflated: fits mu = 1.45 ± 0.10 where 1 is true (4.5 standard errors)'
    """
    checks = tuple(sorted((_check(p) for p in points if p.method == method), key=lambda c: c.mu))
    failing = [c for c in checks if c.fails]
    quoted = {parameter: asimov, **(others or {})}
    at_asimov = next((c for c in failing if _is_at(c, quoted, parameter)), None)
    shift: Literal["inflated", "deflated"] | None = None
    if at_asimov is not None:
        shift = "inflated" if at_asimov.deviation > 0 else "deflated"
    return ClosureVerdict(
        method=method,
        status=_status(checks),
        t0_shift=shift,
        checks=checks,
        message=_message(checks, failing, shift, at_asimov, parameter),
        parameter=parameter,
    )


def closure_verdicts(
    points: Iterable[ClosurePoint],
    *,
    methods: Sequence[str],
    asimov: float,
    parameter: str = "mu",
    others: Mapping[str, float] | None = None,
) -> tuple[ClosureVerdict, ...]:
    """Judge several methods, in their order; see `closure_verdict`.

    Examples:
        >>> points = [ClosurePoint(mu=1.0, mu_hat=1.05, standard_error=0.1, method="nsbi"), ClosurePoint(1.0, 1.5, 0.1, "m4l")]
        >>> [verdict.status for verdict in closure_verdicts(points, methods=["nsbi", "m4l", "rate"], asimov=1.0)]
        ['closes', 'biased', 'untested']
    """
    kept = tuple(points)
    return tuple(closure_verdict(kept, method=name, asimov=asimov, parameter=parameter, others=others) for name in methods)


def _is_at(check: ClosureCheck, point: Mapping[str, float], parameter: str) -> bool:
    """Say whether a check was made at a point; parameters that the check does not name do not matter."""
    truth = {**check.truth, parameter: check.mu}
    return all(math.isclose(truth.get(name, value), value, abs_tol=1e-9) for name, value in point.items())


def _check(point: ClosurePoint) -> ClosureCheck:
    deviation = point.mu_hat - point.mu
    known = math.isfinite(point.standard_error) and point.standard_error > 0
    pull = deviation / point.standard_error if known else math.nan
    # an exact repetition (no standard error) may not deviate at all; an unknown fit result fails everything
    far_in_errors = not abs(pull) <= MAX_PULL if known else not abs(deviation) <= EXACT
    far = not abs(deviation) <= MAX_DEVIATION
    if point.parameter and not known and far_in_errors and math.isfinite(deviation):
        # of several parameters a method may determine none by itself: then the error has no end, which is no bias
        far_in_errors, far = False, True
    fails: Literal["pull", "deviation", "both"] | None = None
    if far_in_errors or far:
        fails = "both" if far_in_errors and far else "pull" if far_in_errors else "deviation"
    return ClosureCheck(point.mu, point.mu_hat, point.standard_error, deviation, pull, fails, point.truth)


def _status(checks: Sequence[ClosureCheck]) -> Status:
    if not checks:
        return "untested"
    if any(c.fails in ("pull", "both") for c in checks):
        return "biased"
    if any(c.fails for c in checks):
        return "imprecise"
    if all(math.isnan(c.pull) for c in checks):
        return "trivial"
    return "closes"


def _message(
    checks: Sequence[ClosureCheck], failing: Sequence[ClosureCheck], shift: str | None, at_asimov: ClosureCheck | None, parameter: str
) -> str:
    if not checks:
        return "closure was not tested: t(0) may be biased by an unknown amount"
    if not failing:
        if _status(checks) == "trivial":
            return "closes because both sides are the same events: says nothing about a bias"
        return ""
    shown = at_asimov or max(failing, key=lambda c: abs(c.deviation))
    size = f"{abs(shown.pull):.1f} standard errors" if math.isfinite(shown.pull) else "no standard error known"
    digits = ".2f" if shown.standard_error < 1000.0 else ".0e"
    error = f" ± {shown.standard_error:{digits}}" if math.isfinite(shown.pull) else ""
    elsewhere = ", ".join(f"{name} = {value:g}" for name, value in shown.truth.items() if name != parameter)
    at = f" at {elsewhere}" if elsewhere else ""
    where = f"fits {parameter} = {shown.mu_hat:.2f}{error} where {shown.mu:g} is true{at} ({size})"
    if shift is None:
        failed = any(c.fails in ("pull", "both") for c in failing)
        return f"closure {'fails' if failed else 'is too imprecise to tell'}: {where}"
    certainty = "is" if shown.fails in ("pull", "both") else "may be"
    return f"t(0) {certainty} {shift}: {where}"
