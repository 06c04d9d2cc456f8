"""What `Hypotheses` refuses, and how it says so."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import Hypotheses, Morphing, SimulatedEvents

NAMES = ("S", "SBI", "B")
GGF = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks={"S": "mu", "SBI": 1.0, "B": 0.0})
WEIGHTS = np.array([[1.0, 1.0, 4.0], [1.0, 8.0, 4.0]])


def _events(weights: np.ndarray) -> SimulatedEvents:
    n = len(weights)
    return SimulatedEvents(NAMES, np.arange(n, dtype=np.uint64), np.zeros(n, dtype=np.int64), ("SBI",), {}, weights)


@pytest.fixture
def hypotheses() -> Hypotheses:
    return Hypotheses.build(_events(WEIGHTS), morphing=GGF, benchmarks=NAMES, ranges=[(0.0, 10.0)], reference={"B": 1.0})


def test_derived_numbers_by_hand(hypotheses: Hypotheses) -> None:
    assert hypotheses.term_yields == pytest.approx([2.0, 9.0 - 2.0 - 8.0, 8.0])  # S, I = SBI - S - B, B
    assert hypotheses.reference_fractions == {"S": 0.0, "SBI": 0.0, "B": 1.0}
    assert hypotheses.reference_yield == pytest.approx(19.0)  # fractions: of the sum of all yields
    assert hypotheses.point({"mu": 4.0}) == pytest.approx([4.0])


@pytest.mark.parametrize(
    ("theta", "error", "message"),
    [
        ({"kappa": 1.0}, SchemaError, r"a value for each of \['mu'\]"),
        ([1.0, 2.0], ShapeError, r"1 values for \['mu'\]"),
        (11.0, PhysicsDomainError, "0 to 10"),
    ],
)
def test_points_that_do_not_fit_are_refused(hypotheses: Hypotheses, theta, error, message: str) -> None:
    with pytest.raises(error, match=message):
        hypotheses.point(theta)


def test_a_reference_without_events_is_refused(hypotheses: Hypotheses) -> None:
    with pytest.raises(SchemaError, match="numbers >= 0 for some of"):
        hypotheses.with_reference({"S": -1.0, "B": 2.0})
    empty = Hypotheses.build(_events(WEIGHTS[:1]), morphing=GGF, benchmarks=NAMES, ranges=[(0.0, 10.0)], reference={"B": 1.0})
    with pytest.raises(PhysicsDomainError, match="reference density") as error:
        empty.with_reference({"mu": 4.0})  # 4 S + 2 (SBI - S - B) + B = 4 - 8 + 4 = 0
    assert error.value.got == "0 expected events"


def test_densities_that_are_not_positive_are_named_by_row(hypotheses: Hypotheses) -> None:
    bad = np.array([[1.0, 1.0, 4.0], [1.0, 1.0, 0.0]])
    with pytest.raises(PhysicsDomainError, match="density of the denominator") as error:
        hypotheses.joint_ratio(bad, 1.0)
    assert error.value.got == "0 at row 1 (1 such rows)"
    with pytest.raises(PhysicsDomainError, match="density of row 0 at theta = 4"):
        hypotheses.joint_score(bad[::-1][1:], 4.0)
