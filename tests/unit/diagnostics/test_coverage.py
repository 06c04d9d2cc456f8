"""Coverage: binomial intervals from their definition, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from toolkit.diagnostics.coverage import coverage_curve, coverage_from_toys
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError


def test_interval_from_its_definition():
    """At the lower end as many or more successes have probability 15.9 %, at the upper end as many or fewer."""
    curve = coverage_curve([0.0, 1.0, 2.0], covered=[30, 0, 50], trials=50, level=0.68, name="a")
    tail = stats.norm.sf(1.0)
    assert stats.binom.sf(29, 50, curve.low[0]) == pytest.approx(tail)
    assert stats.binom.cdf(30, 50, curve.high[0]) == pytest.approx(tail)
    assert (curve.low[1], curve.high[2]) == (0.0, 1.0)
    assert stats.binom.cdf(0, 50, curve.high[1]) == pytest.approx(tail)
    assert stats.binom.sf(49, 50, curve.low[2]) == pytest.approx(tail)


def test_toys():
    rng = np.random.default_rng(1)
    hits = rng.uniform(size=(3, 400)) < 0.95
    curve = coverage_from_toys(hits, truth=[0.0, 1.0, 2.0], level=0.95, name="Neyman", parameter="mu")
    assert curve.covered.tolist() == [sum(bool(h) for h in row) for row in hits]
    assert curve.p_value > 0.01
    low = coverage_from_toys(rng.uniform(size=(3, 400)) < 0.85, truth=[0.0, 1.0, 2.0], level=0.95, name="a")
    assert low.p_value < 1e-6
    document = curve.to_json()
    assert document["name"] == "Neyman"
    np.testing.assert_array_equal(document["coverage"], curve.coverage)


def test_bad_input():
    with pytest.raises(ShapeError):
        coverage_curve([0.0, 1.0], covered=[1], trials=5, level=0.68, name="a")
    with pytest.raises(ShapeError):
        coverage_from_toys([True, False], truth=[0.0], level=0.68, name="a")
    with pytest.raises(PhysicsDomainError, match="covered"):
        coverage_curve([0.0], covered=[6], trials=5, level=0.68, name="a")
    with pytest.raises(SchemaError, match="level"):
        coverage_curve([0.0], covered=[1], trials=5, level=68, name="a")
