"""Effective numbers of events."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.weights import n_eff


def test_both_definitions_equal_the_loop():
    w = np.random.default_rng(91).normal(loc=1.0, size=500)
    total = squares = largest = 0.0
    for value in w:
        total, squares, largest = total + value, squares + value * value, max(largest, abs(value))
    assert n_eff(w) == pytest.approx(total**2 / squares, rel=1e-12)
    assert n_eff(w, definition="max") == pytest.approx(total / largest, rel=1e-12)


@pytest.mark.parametrize("definition", ["kish", "max"])
def test_limits(definition):
    assert n_eff(np.full(7, 0.3), definition=definition) == pytest.approx(7.0)
    assert n_eff([5.0, 0.0, 0.0], definition=definition) == pytest.approx(1.0)
    assert n_eff([1.0, -1.0], definition=definition) == 0.0
    assert n_eff([], definition=definition) == 0.0
    assert n_eff([0.0, 0.0], definition=definition) == 0.0


@pytest.mark.parametrize("definition", ["kish", "max"])
@pytest.mark.parametrize("scale", [-2.0, 1e-200, 1e200])
def test_the_scale_does_not_matter(definition, scale):
    w = np.random.default_rng(92).exponential(size=100)
    assert n_eff(scale * w, definition=definition) == pytest.approx(n_eff(w, definition=definition), rel=1e-12)


def test_wrong_input():
    with pytest.raises(PhysicsDomainError, match="1 values"):
        n_eff([1.0, np.nan])
    with pytest.raises(SchemaError, match="kish"):
        n_eff([1.0], definition="median")
