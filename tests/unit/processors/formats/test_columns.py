from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from processors.formats.columns import identity, lists, scalars, weight_vector
from processors.formats.momenta import angular, mass_from_energy
from toolkit.errors import PhysicsDomainError, ShapeError


def test_event_numbers_that_a_signed_branch_wrapped_are_unsigned_again() -> None:
    events = ak.Array({"eventNumber": np.array([-1, 5], dtype=np.int32), "run": np.array([3, 4], dtype=np.int64)})
    found = identity(events, event="eventNumber", run="run", block=None)
    assert found["event"].tolist() == [2**32 - 1, 5]
    assert found["run"].tolist() == [3, 4]
    assert found["luminosityBlock"].tolist() == [0, 0]
    assert {name: column.dtype for name, column in found.items()} == {"event": np.uint64, "run": np.uint32, "luminosityBlock": np.uint32}


def test_event_numbers_may_be_floats_without_a_fraction() -> None:
    assert identity(ak.Array({"e": [1.0, 2.0**52]}), event="e", run=None, block=None)["event"].tolist() == [1, 2**52]
    for wrong in (1.5, -1.0, float("nan")):
        with pytest.raises(PhysicsDomainError, match=r"(?s)'e', entry 1.*whole number"):
            identity(ak.Array({"e": [1.0, wrong]}), event="e", run=None, block=None)


@pytest.mark.parametrize(("dtype", "wrong"), [(np.float64, 2.0**53), (np.float64, 1e18), (np.float32, 2.0**24)])
def test_event_numbers_that_a_float_may_have_rounded_are_refused(dtype: type, wrong: float) -> None:
    largest = 2 ** (np.finfo(dtype).nmant + 1) - 1
    assert identity(ak.Array({"e": np.array([largest], dtype)}), event="e", run=None, block=None)["event"].tolist() == [largest]
    with pytest.raises(PhysicsDomainError, match=r"(?s)'e', entry 1 .*without rounding.*64-bit integers"):
        identity(ak.Array({"e": np.array([1.0, wrong], dtype)}), event="e", run=None, block=None)


def test_run_numbers_beyond_32_bits_are_refused() -> None:
    with pytest.raises(PhysicsDomainError, match=r"(?s)'run', entry 1 .*at most 4294967295"):
        identity(ak.Array({"run": np.array([1, 2**32])}), event=None, run="run", block=None)


def test_a_single_weight_column_is_a_vector_of_one() -> None:
    assert weight_vector(ak.Array({"w": [1.0, 2.0]}), "w").tolist() == [[1.0], [2.0]]


def test_a_weight_vector_keeps_its_order_and_its_length() -> None:
    assert weight_vector(ak.Array({"w": [[1.0, 2.0], [3.0, 4.0]]}), "w").tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(ShapeError, match=r"(?s)'w', entry 1 .*length 1, after events with length 2"):
        weight_vector(ak.Array({"w": [[1.0, 2.0], [3.0]]}), "w")


def test_lists_and_numbers_are_told_apart() -> None:
    events = ak.Array({"n": [1.0, 2.0], "l": [[1.0], [2.0, 3.0]]})
    counts, (content,) = lists(events, ["l"])
    assert counts.tolist() == [1, 2]
    assert content.tolist() == [1.0, 2.0, 3.0]
    assert scalars(events, "n").tolist() == [1.0, 2.0]
    with pytest.raises(ShapeError, match=r"'l'"):
        scalars(events, "l")
    with pytest.raises(ShapeError, match=r"'n'"):
        lists(events, ["n"])


def test_momenta_come_back_from_their_components() -> None:
    rng = np.random.default_rng(1)
    px, py, pz = rng.normal(0, 50, (3, 1000))
    columns = angular(px, py, pz)
    back = [columns["pt"] * f for f in (np.cos(columns["phi"]), np.sin(columns["phi"]), np.sinh(columns["eta"]))]
    for one, two in zip(back, (px, py, pz), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
    mass = rng.uniform(1, 20, 1000)
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    np.testing.assert_allclose(mass_from_energy(columns | {"energy": energy}), mass, rtol=1e-6)


def test_a_mass_that_rounding_made_imaginary_is_zero() -> None:
    one = {"pt": np.array([3.0]), "eta": np.array([0.0]), "energy": np.array([2.999])}
    assert mass_from_energy(one).tolist() == [0.0]
