"""The verdict flags what must be flagged, next to its t(0)."""

from __future__ import annotations

import math

import pytest

from toolkit.diagnostics import closure_verdict, closure_verdicts
from toolkit.likelihood.results import ClosurePoint


def judge(*triples, asimov=1.0):
    return closure_verdict([ClosurePoint(mu, mu_hat, se, "nsbi") for mu, mu_hat, se in triples], method="nsbi", asimov=asimov)


@pytest.mark.parametrize(
    ("triples", "status", "shift"),
    [
        ([(0.3, 0.35, 0.1), (1.0, 0.9, 0.1), (1.7, 1.8, 0.1)], "closes", None),
        ([(1.0, 1.2, 0.1)], "closes", None),  # exactly 2 standard errors
        ([(1.0, 1.25, 0.1)], "biased", "inflated"),
        ([(1.0, 0.75, 0.1)], "biased", "deflated"),
        ([(1.0, 1.05, 0.1), (1.7, 2.2, 0.1)], "biased", None),
        ([(1.0, 1.35, 0.4)], "imprecise", "inflated"),
        ([(1.0, 1.0, 0.0), (1.7, 1.70001, 0.0)], "trivial", None),
        ([(1.0, 1.1, 0.0)], "biased", "inflated"),
        ([(1.0, 1.0, math.nan)], "trivial", None),
        ([(1.0, math.nan, 0.1)], "biased", "deflated"),
        ([], "untested", None),
    ],
)
def test_status(triples, status, shift):
    verdict = judge(*triples)
    assert verdict.status == status
    word = {"closes": "compatible", "imprecise": "compatible", "biased": "biased", "trivial": "not_tested", "untested": "not_tested"}
    assert verdict.word == word[status]
    if not any(math.isnan(t[1]) for t in triples):
        assert verdict.t0_shift == shift
    assert verdict.flagged == (status in ("biased", "imprecise", "untested"))
    assert bool(verdict.message) == (status != "closes")


def test_message_says_how_far():
    assert judge((1.0, 1.45, 0.1)).message == "t(0) is inflated: fits mu = 1.45 ± 0.10 where 1 is true (4.5 standard errors)"
    assert judge((1.0, 1.35, 0.4)).message == "t(0) may be inflated: fits mu = 1.35 ± 0.40 where 1 is true (0.9 standard errors)"
    assert (
        judge((0.3, 0.7, 0.3)).message == "closure is too imprecise to tell: fits mu = 0.70 ± 0.30 where 0.3 is true (1.3 standard errors)"
    )
    assert judge((1.7, 2.2, 0.1)).message == "closure fails: fits mu = 2.20 ± 0.10 where 1.7 is true (5.0 standard errors)"


def test_methods_are_kept_apart():
    points = [ClosurePoint(1.0, 1.0, 0.1, "rate"), ClosurePoint(1.0, 2.0, 0.1, "nsbi")]
    verdicts = closure_verdicts(points, methods=("rate", "nsbi", "m4l"), asimov=1.0)
    assert [v.status for v in verdicts] == ["closes", "biased", "untested"]
    assert verdicts[1].to_json()["points"][0]["pull"] == pytest.approx(10.0)
