"""Splits keyed on the event: uniform, independent, deterministic, yield-preserving."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import stats

from toolkit.errors import SchemaError, ShapeError
from toolkit.weights import SimulatedEvents, assign_fold, hash_uniform, hold_out

N = 200_000
MASK = 2**64 - 1


def mix_twin(z):
    """splitmix64 on Python integers."""
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def hash_twin(event_id, salt):
    digest = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
    return (mix_twin((mix_twin(event_id ^ first) + second) & MASK) >> 11) / 2**53


def events_of(event_id):
    weights = np.random.default_rng(121).uniform(0.5, 1.5, (len(event_id), 2))
    index = np.zeros(len(event_id), dtype=np.int64)
    return SimulatedEvents(("S", "B"), event_id, index, ("S",), {"x": weights[:, 0]}, weights)


def test_the_mixing_function_is_splitmix64():
    # The published first outputs of the generator with seed 0 are its mixing function at multiples of the increment.
    assert mix_twin(0) == 0xE220A8397B1DCDAF
    assert mix_twin(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4


@pytest.mark.parametrize("salt", ["h4l", "", "β"])
def test_hash_equals_the_loop(salt):
    ids = np.concatenate([np.arange(300), np.random.default_rng(122).integers(0, 2**64, 300, dtype=np.uint64)]).astype(np.uint64)
    np.testing.assert_array_equal(hash_uniform(ids, salt=salt), [hash_twin(int(i), salt) for i in ids])


def test_the_assignment_never_changes():
    """Pinned: another value would silently mix training and test events of stored results."""
    pinned = [0.06548390356492217, 0.16483398353733025, 0.8547118177697529, 0.6051326514466034]
    np.testing.assert_array_equal(hash_uniform(np.array([0, 1, 2, 2**63], dtype=np.uint64), salt="h4l"), pinned)


@pytest.mark.parametrize("ids", [np.arange(N), np.arange(N) * 2, np.arange(N) * 1024 + 7, 10**15 + np.arange(N)])
def test_uniform_for_structured_event_numbers(ids):
    assert stats.kstest(hash_uniform(ids, salt="h4l"), "uniform").pvalue > 1e-3
    folds = np.bincount(assign_fold(ids, n_folds=5, salt="h4l"), minlength=5)
    assert stats.chisquare(folds).pvalue > 1e-3


def test_neighbours_salts_and_folds_are_independent():
    ids = np.arange(N)
    u = hash_uniform(ids, salt="h4l")
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(u, hash_uniform(ids, salt="h4m"))[0, 1]) < 0.01
    test = u < 0.4
    folds = assign_fold(ids, n_folds=4, salt="h4l")
    table = np.stack([np.bincount(folds[test], minlength=4), np.bincount(folds[~test], minlength=4)])
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_labels_belong_to_the_event_not_to_its_place_or_type():
    ids = np.random.default_rng(123).permutation(10_000)
    folds = assign_fold(ids, n_folds=7, salt="s")
    np.testing.assert_array_equal(folds[np.argsort(ids)], assign_fold(np.arange(10_000), n_folds=7, salt="s"))
    for dtype in (np.uint64, np.int32, np.uint16):
        np.testing.assert_array_equal(assign_fold(ids.astype(dtype), n_folds=7, salt="s"), folds)
    assert set(folds) == set(range(7))


def test_pool_and_test_are_disjoint_complete_and_keep_the_yields():
    events = events_of(np.arange(N, dtype=np.uint64))
    training, test = hold_out(events, fraction=0.3, salt="h4l")
    assert np.intersect1d(training.event_id, test.event_id).size == 0
    assert len(training) + len(test) == N
    assert len(test) == pytest.approx(0.3 * N, abs=4 * np.sqrt(N * 0.3 * 0.7))
    np.testing.assert_allclose(training.yields, events.yields, rtol=0.01)
    np.testing.assert_allclose(test.yields, events.yields, rtol=0.01)
    np.testing.assert_allclose(0.7 * training.yields + 0.3 * test.yields, events.yields, rtol=1e-12)
    chosen = hash_uniform(events.event_id, salt="h4l") < 0.3
    np.testing.assert_allclose(test.weights, events.weights[chosen] / 0.3, rtol=1e-14)


def test_a_larger_test_set_contains_the_smaller():
    events = events_of(np.arange(5000, dtype=np.uint64))
    small, large = (hold_out(events, fraction=f, salt="h4l")[1].event_id for f in (0.2, 0.5))
    assert np.isin(small, large).all()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_impossible_fractions(fraction):
    with pytest.raises(SchemaError, match="between 0 and 1"):
        hold_out(events_of(np.arange(10, dtype=np.uint64)), fraction=fraction, salt="h4l")


def test_wrong_event_numbers_and_folds():
    with pytest.raises(SchemaError, match="float64 holds them exactly only below"):
        hash_uniform(np.arange(5.0), salt="h4l")
    with pytest.raises(ShapeError, match=r"\(n,\)"):
        assign_fold(np.zeros((2, 2), dtype=int), n_folds=2, salt="h4l")
    for n_folds in (1, 101):
        with pytest.raises(SchemaError, match="2 to 100"):
            assign_fold(np.arange(5), n_folds=n_folds, salt="h4l")
