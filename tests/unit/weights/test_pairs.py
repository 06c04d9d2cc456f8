"""Nominal and varied events side by side, and what pairs say about an estimate of their ratio."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from toolkit.errors import ArtifactMismatchError, ShapeError
from toolkit.weights import SimulatedEvents
from toolkit.weights.pair_calibration import calibrate_pairs
from toolkit.weights.pairs import EventPairs, pair_events

N = 40


def events(seed: int, n: int = N) -> SimulatedEvents:
    rng = np.random.default_rng(seed)
    return SimulatedEvents(
        processes=("S", "q"),
        event_id=rng.integers(0, 1000, n).astype(np.uint64),
        sample_index=np.repeat([0, 1], [n // 2, n - n // 2]).astype(np.int64),
        samples=("S", "q"),
        observables={"x": rng.normal(size=n), "y": rng.normal(size=n)},
        weights=rng.uniform(1.0, 2.0, (n, 2)),
    )


def slow_pairs(
    nominal: SimulatedEvents, varied: SimulatedEvents, one: list[int], two: list[int]
) -> list[tuple[float, float, float, float]]:
    """Look every event up in the other table: rows of (x nominal, x varied, weight of q nominal, of q varied)."""
    known = {(int(varied.sample_index[j]), two[j]): j for j in range(len(varied))}
    rows = []
    for i in range(len(nominal)):
        j = known.pop((int(nominal.sample_index[i]), one[i]), None)
        x = float(nominal.observables["x"][i])
        moved = x if j is None else float(varied.observables["x"][j])
        rows.append((x, moved, float(nominal.weights[i, 1]), 0.0 if j is None else float(varied.weights[j, 1])))
    return rows + [(float(varied.observables["x"][j]),) * 2 + (0.0, float(varied.weights[j, 1])) for j in sorted(known.values())]


def test_events_are_matched_within_their_sample() -> None:
    nominal, varied = events(1), events(2)
    rng = np.random.default_rng(3)
    one, two = (np.concatenate([np.sort(rng.permutation(30)[: N // 2]) for _ in range(2)]) for _ in range(2))
    pairs = pair_events(nominal, varied, (one, two))
    columns = (pairs.nominal["x"], pairs.varied["x"], pairs.nominal_weights[:, 1], pairs.varied_weights[:, 1])
    expected = slow_pairs(nominal, varied, one.tolist(), two.tolist())
    assert 0 < len(expected) - N < N
    np.testing.assert_array_equal(np.stack(columns, axis=1), expected)
    np.testing.assert_allclose(pairs.nominal_weights.sum(axis=0), nominal.yields, rtol=1e-14)
    np.testing.assert_allclose(pairs.varied_weights.sum(axis=0), varied.yields, rtol=1e-14)
    np.testing.assert_allclose(pairs.yield_ratios, varied.yields / nominal.yields, rtol=1e-14)


def test_what_is_affected() -> None:
    nominal = events(1)
    nominal.weights[: N // 2, 1] = 0.0
    identity = np.arange(N)
    same = pair_events(nominal, nominal, (identity, identity))
    assert not same.affected(("x", "y")).any()
    moved = replace(nominal, observables={**nominal.observables, "y": np.where(np.arange(N) < N // 2, 0.0, nominal.observables["y"])})
    pairs = pair_events(nominal, moved, (identity, identity))
    assert pairs.affected(("x", "y")).tolist() == [True, False]
    assert pairs.affected(("x",)).tolist() == [False, False]
    heavier = replace(nominal, weights=nominal.weights * [1.0, 1.01])
    assert pair_events(nominal, heavier, (identity, identity)).affected(("x",)).tolist() == [False, True]


def test_events_that_cannot_be_matched_are_refused() -> None:
    one, identity = events(1), np.arange(N)
    with pytest.raises(ArtifactMismatchError, match="processes"):
        pair_events(one, replace(one, processes=("S", "p")), (identity, identity))
    with pytest.raises(ArtifactMismatchError, match="one identity"):
        pair_events(one, one, (np.zeros(N, dtype=int), identity))
    with pytest.raises(ShapeError, match="identities"):
        pair_events(one, one, (identity[1:], identity))


def gaussian_pairs(n: int, shift: float, seed: int) -> EventPairs:
    x = np.random.default_rng(seed).normal(size=n)
    weights = np.random.default_rng(seed + 1).uniform(0.5, 1.5, (n, 1)) * 500.0 / n
    return EventPairs(("q",), np.arange(n, dtype=np.uint64), {"x": x}, {"x": x + shift}, weights, weights)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_slope_undoes_a_factor(factor: float) -> None:
    """Pairs know the slope of a Gaussian that moves by 1 % of its width to better than 1 %, which 20000 events apart do not (70 %)."""
    shift = 0.01
    pairs = gaussian_pairs(20_000, shift, 5)
    logs = [(shift * side["x"] - 0.5 * shift**2) / factor for side in (pairs.nominal, pairs.varied)]
    w0, w1 = pairs.nominal_weights[:, 0], pairs.varied_weights[:, 0]
    found = calibrate_pairs(*logs, nominal_weights=w0, varied_weights=w1)
    assert found.error < 0.02 * factor
    assert abs(found.slope - factor) < 3.0 * found.error
    assert w0 @ np.exp(found.slope * logs[0] + found.offset) == pytest.approx(w0.sum(), rel=1e-12)
    assert found.separation == pytest.approx(shift * np.sqrt(500.0), rel=0.05)
    assert found.significance > 50.0
    kept = calibrate_pairs(*logs, nominal_weights=w0, varied_weights=w1, fixed=True)
    assert kept.separation == pytest.approx(found.separation / found.slope, rel=1e-9)


def test_the_error_of_the_slope_is_what_samples_scatter_by() -> None:
    shift, derivatives, errors = 0.05, [], []
    for seed in range(60):
        pairs = gaussian_pairs(1_500, shift, 100 + seed)
        logs = [np.sin(2.0 * side["x"]) for side in (pairs.nominal, pairs.varied)]
        weights: dict[str, Any] = {"nominal_weights": pairs.nominal_weights[:, 0], "varied_weights": pairs.varied_weights[:, 0]}
        found = calibrate_pairs(*logs, **weights)
        derivatives.append(found.slope)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(derivatives), rel=0.3)


def test_noise_has_no_slope() -> None:
    pairs = gaussian_pairs(20_000, 0.01, 9)
    rng = np.random.default_rng(10)
    noise = rng.normal(size=20_000) * 0.01  # the same for both rows of a pair: nothing separates them
    weights: dict[str, Any] = {"nominal_weights": pairs.nominal_weights[:, 0], "varied_weights": pairs.varied_weights[:, 0]}
    assert calibrate_pairs(noise, noise, **weights).separation < 1e-10
    apart = calibrate_pairs(noise, rng.normal(size=20_000) * 0.01, **weights)
    assert abs(apart.significance) < 3.0
    constant = calibrate_pairs(np.full(20_000, 0.3), np.full(20_000, 0.3), **weights)
    assert (constant.slope, constant.separation) == (0.0, 0.0)
    assert constant.offset == pytest.approx(-0.3)
