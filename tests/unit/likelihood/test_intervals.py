"""Intervals: closed forms, disjoint pieces, boundaries, structure between scan points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from toolkit.errors import SchemaError
from toolkit.likelihood import THRESHOLD_68, THRESHOLD_95, Scan, find_intervals

BOUNDS = (0.0, 6.0)


def scan_of(curve, n=121, low=0.0, high=6.0):
    x = np.linspace(low, high, n)
    return Scan(values=x, twice_delta_nll=curve(x))


def test_thresholds_are_those_of_one_parameter() -> None:
    assert chi2.cdf(THRESHOLD_68, 1) == pytest.approx(0.6826894921370859)
    assert chi2.cdf(THRESHOLD_95, 1) == pytest.approx(0.95)


@pytest.mark.parametrize("n", [7, 31, 121])
def test_parabola_in_closed_form(n: int) -> None:
    def curve(x):
        return ((x - 2.0) / 0.7) ** 2

    for threshold in (THRESHOLD_68, THRESHOLD_95):
        (piece,) = find_intervals(scan_of(curve, n), threshold=threshold, bounds=BOUNDS, curve=curve)
        half = 0.7 * np.sqrt(threshold)
        assert (piece.low, piece.high) == pytest.approx((2.0 - half, 2.0 + half), abs=1e-8)
        assert not piece.at_boundary


def test_without_a_curve_the_ends_are_interpolated() -> None:
    (piece,) = find_intervals(scan_of(lambda x: 2 * np.abs(x - 2.0)), threshold=1.0, bounds=BOUNDS)
    assert (piece.low, piece.high) == pytest.approx((1.5, 2.5), abs=1e-12)


def test_double_well_gives_two_pieces_that_merge() -> None:
    def curve(x):
        return 4.0 * (x - 1) ** 2 * (x - 3) ** 2

    pieces = find_intervals(scan_of(curve), threshold=1.0, bounds=BOUNDS, curve=curve)
    ends = np.sort(np.concatenate([np.roots([1, -4, 3 - 0.5]).real, np.roots([1, -4, 3 + 0.5]).real]))
    assert [p.low for p in pieces] + [p.high for p in pieces] == pytest.approx([ends[0], ends[2], ends[1], ends[3]], abs=1e-8)
    (merged,) = find_intervals(scan_of(curve), threshold=4.5, bounds=BOUNDS, curve=curve)
    assert merged.low < 1.0
    assert merged.high > 3.0


def test_boundaries_are_marked() -> None:
    def curve(x):
        return (x - 0.5) ** 2

    (piece,) = find_intervals(scan_of(curve), threshold=1.0, bounds=BOUNDS, curve=curve)
    assert piece.low == 0.0
    assert piece.at_boundary
    (everything,) = find_intervals(scan_of(curve, high=1.0), threshold=1.0, bounds=(0.0, 1.0), curve=curve)
    assert (everything.low, everything.high, everything.at_boundary) == (0.0, 1.0, True)


def test_disjoint_pieces_mark_only_the_one_at_the_edge() -> None:
    def curve(x):
        return 4.0 * np.sin(np.pi * x / 3.0) ** 2

    pieces = find_intervals(scan_of(curve), threshold=1.0, bounds=BOUNDS, curve=curve)
    assert [end for p in pieces for end in (p.low, p.high)] == pytest.approx([0.0, 0.5, 2.5, 3.5, 5.5, 6.0], abs=1e-8)
    assert [p.at_boundary for p in pieces] == [True, False, True]


def test_nothing_below_the_threshold_is_an_empty_list() -> None:
    assert find_intervals(scan_of(lambda x: 5.0 + x), threshold=1.0, bounds=BOUNDS) == ()


def test_a_dip_between_scan_points_is_found() -> None:
    def curve(x):
        return np.minimum(((x - 1.0) / 0.5) ** 2, 0.9 + ((x - 4.25) / 0.5) ** 2)

    x = np.arange(0.0, 6.1, 0.5)
    assert curve(x)[8] > 1.0
    assert curve(x)[9] > 1.0
    pieces = find_intervals(Scan(values=x, twice_delta_nll=curve(x)), threshold=1.0, bounds=BOUNDS, curve=curve)
    assert len(pieces) == 2
    half = 0.5 * np.sqrt(0.1)
    assert (pieces[1].low, pieces[1].high) == pytest.approx((4.25 - half, 4.25 + half), abs=1e-7)


def test_a_bump_between_scan_points_splits_the_interval() -> None:
    def curve(x):
        return 1.1 - 4.0 * (x - 2.25) ** 2 + 6.0 * (x - 2.25) ** 4

    x = np.arange(0.0, 6.1, 0.5)
    assert np.all(curve(x)[4:6] < 1.0)
    pieces = find_intervals(Scan(values=x, twice_delta_nll=curve(x)), threshold=1.0, bounds=BOUNDS, curve=curve)
    assert len(pieces) == 2
    assert pieces[0].high < 2.25 < pieces[1].low
    assert curve(pieces[0].high) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("threshold", [0.0, -1.0, np.nan])
def test_bad_threshold(threshold: float) -> None:
    with pytest.raises(SchemaError):
        find_intervals(scan_of(lambda x: x), threshold=threshold, bounds=BOUNDS)
    with pytest.raises(SchemaError):
        find_intervals(Scan(values=np.array([1.0]), twice_delta_nll=np.array([0.0])), threshold=1.0, bounds=BOUNDS)
