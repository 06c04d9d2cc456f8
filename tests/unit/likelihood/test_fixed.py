"""A likelihood with some parameters held is that of the others, and looks for minima where the whole one does."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.likelihood import BinnedLikelihood
from toolkit.likelihood.fixed import FixedLikelihood
from toolkit.likelihood.profiles import Profile

NAMES = ("mu", "nu", "t")


def whole() -> BinnedLikelihood:
    """Two strengths that interfere with their backgrounds, and a background whose normalisation is free."""
    rows = [[20.0, 3.0, 0.0], [0.0, 8.0, 30.0], [8.0, 20.0, 12.0], [4.0, 5.0, 6.0], [60.0, 20.0, 30.0]]
    data = np.array(rows).T @ [1.0, -1.0, 1.0, -1.0, 1.0]  # at mu = nu = t = 1
    coefficients = ("mu", "sqrt(mu)", "nu", "sqrt(nu)", "t")
    signed = [rows[0], [-x for x in rows[1]], rows[2], [-x for x in rows[3]], rows[4]]
    bounds = {"mu": (0.0, 5.0), "nu": (0.0, 5.0), "t": (0.5, 2.0)}
    return BinnedLikelihood(templates=signed, data=data, coefficients=coefficients, parameters=NAMES, bounds=bounds)


def test_the_parameters_that_interfere_are_those_of_the_whole_one() -> None:
    inner = whole()
    assert inner.interfering == {"mu", "nu"}
    assert FixedLikelihood(inner, {"mu": 1.0}).interfering == {"nu"}
    assert FixedLikelihood(inner, {"t": 1.0}).interfering == {"mu", "nu"}


@pytest.mark.parametrize("held", [1.0, 0.2])
def test_the_profile_is_that_of_the_whole_one_with_the_parameter_fixed(held: float) -> None:
    inner = whole()
    alone = FixedLikelihood(inner, {"nu": held})
    grid = np.linspace(0.5, 2.0, 3001)
    values = np.linspace(0.0, 5.0, 11)
    expected = [inner.twice_nll_points(np.stack([np.full_like(grid, v), np.full_like(grid, held), grid], axis=1)).min() for v in values]
    np.testing.assert_allclose(Profile(alone, "mu", fit=alone.fit()).scan(values), expected, atol=1e-4)
