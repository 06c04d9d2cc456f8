"""The verdict flags what must be flagged, in three words."""

from __future__ import annotations

import math

import pytest

from toolkit.diagnostics import closure_verdict, closure_verdicts
from toolkit.diagnostics.closure import SHOWN
from toolkit.likelihood.results import ClosurePoint


def judge(*triples, bounds=(0.0, 6.0)):
    return closure_verdict([ClosurePoint(mu, mu_hat, se, "nsbi") for mu, mu_hat, se in triples], method="nsbi", bounds=bounds)


@pytest.mark.parametrize(
    ("triples", "word"),
    [
        ([(0.3, 0.35, 0.1), (1.0, 0.9, 0.1), (1.7, 1.8, 0.1)], "compatible"),
        ([(1.0, 1.2, 0.1)], "compatible"),  # exactly 2 standard errors
        ([(1.0, 1.25, 0.1)], "biased"),
        ([(1.0, 0.75, 0.1)], "biased"),
        ([(1.0, 1.05, 0.1), (1.7, 2.2, 0.1)], "biased"),
        ([(1.0, 1.35, 0.4)], "compatible"),  # 0.9 standard errors are no failure, however much 0.35 would matter
        ([(1.0, 1.3, 1.5)], "not_tested"),  # a quarter of the range of 6
        ([(1.0, 1.3, 1.49)], "compatible"),
        ([(1.0, 1.3, 1.5), (2.0, 2.0, 0.2)], "compatible"),
        ([(1.0, 5.9, 1.6)], "biased"),
        ([(1.0, 1.0, 0.0), (1.7, 1.70001, 0.0)], "not_tested"),
        ([(1.0, 1.1, 0.0)], "biased"),
        ([(1.0, 1.0, math.nan)], "not_tested"),
        ([(1.0, math.nan, 0.1)], "biased"),
        ([], "not_tested"),
    ],
)
def test_verdict(triples, word):
    verdict = judge(*triples)
    assert verdict.word == verdict.to_json()["verdict"] == word
    assert verdict.shown == SHOWN[word]
    assert verdict.flagged == (word != "compatible")
    assert bool(verdict.message) == (word != "compatible")


def test_message_says_how_far():
    assert judge((1.0, 1.45, 0.1)).message == "fits mu = 1.45 ± 0.10 where 1 is true (4.5 standard errors)"
    assert judge((1.0, 1.45, 0.1), (1.7, 2.7, 0.1)).message == "fits mu = 2.70 ± 0.10 where 1.7 is true (10.0 standard errors)"
    assert judge((1.0, 1.3, 2.0)).message == "the smallest standard error is 2.00, 1.5 or more tests nothing"
    assert judge((1.0, 1.0, 0.0)).message == "the closure points have no standard error"
    assert judge().message == "there are no closure points"


def test_methods_are_kept_apart():
    points = [ClosurePoint(1.0, 1.0, 0.1, "rate"), ClosurePoint(1.0, 2.0, 0.1, "nsbi")]
    verdicts = closure_verdicts(points, methods=("rate", "nsbi", "m4l"))
    assert [v.word for v in verdicts] == ["compatible", "biased", "not_tested"]
    assert verdicts[1].to_json()["points"][0]["pull"] == pytest.approx(10.0)


@pytest.mark.parametrize(("p_value", "word"), [(0.06, "compatible"), (0.04, "biased")])
def test_several_parameters_are_judged_together(p_value, word):
    """Along a flat valley the best fit is far from the truth, and its distance in standard errors has no known distribution."""
    far = ClosurePoint(1.5, 0.9, 0.25, "nsbi", parameter="a", truth={"a": 1.5, "b": -0.5}, twice_delta_nll=0.061, p_value=p_value)
    verdict = closure_verdict([far], method="nsbi", parameter="a", bounds=(-2.0, 4.0))
    assert verdict.word == word
    assert verdict.message == ("" if word == "compatible" else "-2 Delta ln L of the truth a = 1.5, b = -0.5 is 0.061, p = 0.04")
    assert verdict.to_json()["points"][0]["p_value"] == p_value
    document = far.to_json()
    assert ClosurePoint.from_json(document).to_json() == document
    assert document["twice_delta_nll"] == 0.061
