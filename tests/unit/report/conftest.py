"""Results of four methods, of which the unbinned one does not close."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from toolkit.likelihood.expected_information import Gain, Information
from toolkit.likelihood.results import ClosurePoint, MethodResult, Results
from toolkit.likelihood.scans import Interval, Scan

ENDS = ((1.0, 0.0), (1.0, 2.5), (3.0, 0.0), (0.0, 1.0), (2.5, 1.0), (0.0, 3.0))


@pytest.fixture
def results():
    mu = np.linspace(0, 6, 25)

    def one(name, best, t0, low, high):
        scan = Scan(mu, t0 * (np.sqrt(mu / best) - 1) ** 2)
        gain = None if name == "nsbi" else Gain(1.9 / t0, 0.5)
        told = [Information({"mu": a}, {"mu": b}, t0, 0.05, None if gain is None else replace(gain, error=0.04)) for a, b in ENDS]
        errors = {"twice_nll_at_0_error": t0_error[name], "twice_nll_at_0_gain": gain}
        return MethodResult(name, best, t0, low, high, scan, information=tuple(told), **errors)

    t0_error = {"rate": 0.21, "m4l": 0.22, "score": 0.33, "nsbi": 0.47}
    edge = (Interval(0.0, 5.65, at_boundary=True),)
    methods = {
        "rate": one("rate", 1.0, 0.3, (Interval(0.0, 6.0, at_boundary=True),), (Interval(0.0, 6.0, at_boundary=True),)),
        "m4l": one("m4l", 1.02, 0.54, (Interval(0.0, 0.2, at_boundary=True), Interval(0.7, 2.3)), edge),
        "score": one("score", 0.97, 1.07, (Interval(0.05, 1.85),), (Interval(0.0, 2.6, at_boundary=True),)),
        "nsbi": one("nsbi", 1.4, 1.9, (Interval(0.3, 2.4),), (Interval(0.0, 3.1, at_boundary=True),)),
    }
    shift = {"rate": 0.0, "m4l": 0.02, "score": -0.03, "nsbi": 0.4}
    error = {"rate": 0.2, "m4l": 0.1, "score": 0.1, "nsbi": 0.1}
    closure = tuple(ClosurePoint(truth, truth + shift[name], error[name], name) for name in methods for truth in (0.3, 1.0, 1.7))
    yields = {"ggF_S": 47.4, "ggF_SBI": 575.0, "ggF_B": 610.0, "qqZZ": 2313.5}
    timing = {"process": 12.3, "train": 100.0, "export": 2.0, "fit": 20.0}
    return Results("mu", {"mu": 1.0}, 140.0, yields, methods, closure, timing)
