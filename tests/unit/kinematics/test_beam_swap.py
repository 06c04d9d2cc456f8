"""Every registered observable becomes what it declares when the event is turned by pi about a transverse axis."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import SchemaError
from toolkit.kinematics import OBSERVABLES, LeadingJets, Observable, compute_observables
from toolkit.kinematics.swap_check import check_beam_swap

N = 2000
COMPUTED = [name for name, entry in OBSERVABLES.items() if entry.needs != "column"]


def momenta(rng: np.random.Generator, *, scale: float, mass: float) -> np.ndarray:
    p = rng.normal(size=(N, 3)) * scale * np.array([1.0, 1.0, 3.0])
    return np.concatenate([p, np.sqrt((p**2).sum(axis=1, keepdims=True) + mass**2)], axis=1)


@pytest.fixture(scope="module")
def observed() -> list[dict[str, np.ndarray]]:
    """All observables, of events and of the turned events; computed from the momenta, by nothing that knows of the declarations."""
    rng = np.random.default_rng(11)
    leptons, jets = [momenta(rng, scale=40, mass=0.1) for _ in range(4)], [momenta(rng, scale=80, mass=9.0) for _ in range(2)]
    angle = rng.uniform(0, np.pi)  # of the transverse axis
    turn = np.diag([np.cos(2 * angle), -np.cos(2 * angle), -1.0, 1.0])
    turn[0, 1] = turn[1, 0] = np.sin(2 * angle)
    n_jets = np.full(N, 2.0)
    return [
        compute_observables(*(p @ m for p in leptons), jets=LeadingJets(n_jets, *(p @ m for p in jets)), names=COMPUTED)
        for m in (np.eye(4), turn)
    ]


@pytest.mark.parametrize("name", COMPUTED)
def test_observable_becomes_what_it_declares(name, observed):
    before, after = observed
    swap = OBSERVABLES[name].beam_swap
    expected = {"even": before[name], "odd": -before[name], "half_turn": before[name] + np.pi}.get(swap) if isinstance(swap, str) else None
    if expected is None:
        assert swap is not None
        expected = sum(factor * before[other] for other, factor in swap.items())
    difference = after[name] - expected
    if OBSERVABLES[name].unit == "rad":
        difference = np.angle(np.exp(1j * difference))
    defined = np.isfinite(before[name])
    assert defined.any()
    assert OBSERVABLES[name].group == "matrix_element" or defined.all(), "only the networks have a range"
    np.testing.assert_array_equal(np.isfinite(after[name]), defined)
    single = OBSERVABLES[name].group == "matrix_element"  # the networks compute in single precision
    precision = 1e-5 if single else 1e-7 * max(1.0, np.abs(before[name]).max())
    np.testing.assert_allclose(difference[defined], 0.0, atol=precision)
    if swap != "even":
        assert np.abs(after[name] - before[name]).max() > 0.1


def test_columns_of_the_registry_declare_it_too():
    assert all(OBSERVABLES[name].beam_swap is not None for name in OBSERVABLES)


@pytest.mark.parametrize(("swap", "right"), [("even", False), ("odd", True), ("half_turn", False), ({"eta_j2": 1}, False), (None, False)])
def test_a_wrong_declaration_is_found_on_events(swap, right):
    entry = Observable("mine", "", "mine", OBSERVABLES["eta_j1"].function, "jets", (-5.0, 5.0), beam_swap=swap)
    if right:
        check_beam_swap(entry)
        return
    with pytest.raises(SchemaError, match="beam_swap"):
        check_beam_swap(entry)
