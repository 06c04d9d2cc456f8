"""Counts, costs and places of negative weights; support of a reference; safeguards before a training."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import (
    SimulatedEvents,
    effective_size_of_batches,
    n_eff,
    negative_profile,
    negative_weights,
    require_enough_events,
    require_positive_classes,
    require_support,
    support_gaps,
)
from toolkit.weights.negative import with_negative_weight

N = 20_000


@pytest.fixture(scope="module")
def events():
    """qq: unit weights, negative with probability 0.2 below x = 0.5 and 0.1 above; S: positive, of another sample."""
    rng = np.random.default_rng(17)
    x = rng.uniform(size=N)
    signs = np.where(rng.uniform(size=N) < np.where(x < 0.5, 0.2, 0.1), -1.0, 1.0)
    index = (np.arange(N) % 2).astype(np.int64)
    weights = np.stack([np.where(index == 0, 1.0, 0.0), np.where(index == 1, signs, 0.0)], axis=1)
    weights[1::10, 1] = 0.0
    ids = np.arange(N, dtype=np.uint64)
    return SimulatedEvents(("S", "qq"), ids, index, ("S", "qq"), {"x": x, "y": np.where(x < 0.9, x, np.nan)}, weights)


def test_counts_equal_the_loop(events):
    low = events.observables["x"] < 0.5
    found = negative_weights(events, regions={"low": low}, hypotheses={"both": [1.0, 2.0]})
    assert [(e.process, e.region) for e in found] == [(p, r) for p in ("S", "qq", "both") for r in ("all", "low")]
    for entry, use in ((found[2], np.ones(N, bool)), (found[3], low)):
        n = negative = zero = 0
        total = size = below = 0.0
        for i in range(1, N, 2):  # the events of the sample qq
            if use[i]:
                w = events.weights[i, 1]
                n, negative, zero = n + 1, negative + (w < 0), zero + (w == 0)
                total, size, below = total + w, size + abs(w), below + max(-w, 0.0)
        assert (entry.n_events, entry.n_negative, entry.n_zero) == (n, negative, zero)
        assert entry.expected == pytest.approx(total)
        assert entry.event_fraction == pytest.approx(negative / (n - zero))
        assert entry.weight_fraction == pytest.approx(below / size)
    assert found[0].n_negative == 0
    assert found[4].n_events == N
    assert with_negative_weight(found) == ("qq", "both")
    assert json.loads(json.dumps([e.to_json() for e in found]))[2]["n_negative"] == found[2].n_negative


def test_the_size_factor_is_what_the_signs_cost(events):
    """Known answer: a share f of negative events of equal size leaves (1 - 2 f)^2 of the effective size."""
    entry = negative_weights(events)[1]
    assert entry.event_fraction == pytest.approx(0.15, abs=0.01)
    assert entry.size_factor == pytest.approx((1 - 2 * entry.event_fraction) ** 2, rel=1e-12)
    w = events.weights[:, 1]
    assert entry.size_factor == pytest.approx(n_eff(w) / n_eff(np.abs(w)), rel=1e-12)


def test_the_profile_shows_where_it_sits(events):
    profile = negative_profile(events, process="qq", observable="x", edges=[0.0, 0.25, 0.5, 0.75, 1.0])
    expected = np.array([0.2, 0.2, 0.1, 0.1])
    assert np.all(np.abs(profile.fraction - expected) < 4 * profile.error)
    n = np.histogram(events.observables["x"], bins=profile.edges, weights=np.abs(events.weights[:, 1]))[0]
    np.testing.assert_allclose(profile.error, np.sqrt(profile.fraction * (1 - profile.fraction) / n), rtol=1e-9)  # binomial
    np.testing.assert_allclose(profile.positive + profile.negative, n)
    assert profile.missing == 0.0
    partly = negative_profile(events, process="qq", observable="y", edges=[0.0, 0.5])  # overflow joins the last bin
    w, x = np.abs(events.weights[:, 1]), events.observables["x"]
    assert partly.missing == pytest.approx(w[x >= 0.9].sum())
    assert partly.positive[0] + partly.negative[0] == pytest.approx(w[x < 0.9].sum())
    empty = negative_profile(events, process="S", observable="x", edges=[-2.0, -1.0, 2.0])
    assert math.isnan(empty.fraction[0])
    assert json.loads(json.dumps(empty.to_json()))["fraction"] == [None, 0.0]


@pytest.mark.parametrize(
    "wrong", [{"process": "S1"}, {"observable": "z"}, {"edges": [1.0, 0.0]}, {"edges": [1.0]}, {"edges": [[0.0, 1.0]]}]
)
def test_wrong_profile(events, wrong):
    with pytest.raises(SchemaError):
        negative_profile(events, **({"process": "qq", "observable": "x", "edges": [0.0, 1.0]} | wrong))


def test_a_region_without_events_and_wrong_regions(events):
    entry = negative_weights(events, regions={"none": np.zeros(N, bool)})[1]
    assert entry.n_events == 0
    assert math.isnan(entry.weight_fraction)
    assert entry.to_json()["weight_fraction"] is None
    for mask in (np.ones(3, bool), np.ones(N)):
        with pytest.raises(ShapeError, match="region bad"):
            negative_weights(events, regions={"bad": mask})


# ---- support


@pytest.fixture(scope="module")
def hole(events):
    """The signal alone reaches x > 0.95; no event of qq does."""
    high = (events.observables["x"] > 0.95) & (events.sample_index == 1)
    weights = events.weights.copy()
    weights[:, 1] = np.where(events.sample_index == 0, 0.5 * (events.observables["x"] <= 0.95), np.abs(weights[:, 1]))
    weights[high] = 0.0
    return replace(events, weights=weights)


def test_the_gap_is_located(hole):
    (gap,) = support_gaps(hole, [0.0, 1.0])
    bad = (hole.observables["x"] > 0.95) & (hole.weights[:, 0] > 0)
    assert (gap.process, gap.sample, gap.n_events) == ("S", "S", int(bad.sum()))
    assert gap.event_ids == tuple(int(i) for i in hole.event_id[bad][:3])
    assert gap.weight_fraction == pytest.approx(hole.weights[bad, 0].sum() / hole.weights[:, 0].sum())
    x = hole.observables["x"][bad]
    assert gap.ranges == {"x": (x.min(), x.max())}  # y is missing there
    with pytest.raises(PhysicsDomainError, match=r"S: \d+ events of sample S \(event \d+, \d+, \d+, \.\.\.\)[\s\S]*0.95\d* <= x <= "):
        require_support(hole, [0.0, 1.0])
    assert support_gaps(hole, [0.1, 1.0]) == ()
    require_support(hole, [0.1, 1.0])


def test_the_narrowest_observable_comes_first(hole):
    rng = np.random.default_rng(18)
    wide = replace(hole, observables={"wide": rng.normal(size=N), "x": hole.observables["x"]})
    (gap,) = support_gaps(wide, [0.0, 1.0])
    assert list(gap.ranges) == ["x", "wide"]


def test_a_negative_reference_counts_as_no_support(hole):
    gaps = support_gaps(hole, [-1.0, 1.0])
    assert [g.process for g in gaps] == ["S", "qq"]  # the worst first
    with pytest.raises(PhysicsDomainError, match="; also qq"):
        require_support(hole, [-1.0, 1.0])


# ---- safeguards


def test_batches_equal_the_known_answer():
    """20 % negative: a batch of n has an effective size of 0.36 n on average."""
    w = np.where(np.arange(50_000) % 5 == 0, -1.0, 1.0)
    sizes = effective_size_of_batches(w, batch_size=1000)
    assert sizes.median == pytest.approx(360.0, abs=15.0)
    assert 200.0 < sizes.smallest < sizes.median
    assert (sizes.not_positive, sizes.warning, sizes.n_batches) == (0.0, "", 200)
    assert sizes.suggested == pytest.approx(25 * (1 - 0.36) / 0.36, abs=1.5)
    assert effective_size_of_batches(w, batch_size=1000) == sizes


def test_small_batches_of_cancelling_weights_are_reported():
    w = np.where(np.arange(50_000) % 20 < 9, -1.0, 1.0)  # 45 % negative
    sizes = effective_size_of_batches(w, batch_size=64)
    assert sizes.smallest == 0.0
    assert 0.1 < sizes.not_positive < 0.4
    assert f"at least {sizes.suggested} events" in sizes.warning
    better = effective_size_of_batches(w, batch_size=sizes.suggested)
    assert better.not_positive == 0.0
    assert better.warning == ""
    heavy = np.random.default_rng(1).pareto(2.5, 50_000)
    assert effective_size_of_batches(heavy, batch_size=8).warning == ""  # without negative weights no sum can vanish


def test_classes_without_weight_are_refused():
    labels = np.array([0, 0, 1, 1])
    require_positive_classes(labels, [1.0, -0.5, 0.1, 0.1], names=("S", "B"))
    with pytest.raises(PhysicsDomainError, match=r"class B[\s\S]*-0.5 from 2 events, 1 of them with negative"):
        require_positive_classes(labels, [1.0, 1.0, 0.5, -1.0], names=("S", "B"))
    with pytest.raises(PhysicsDomainError, match=r"class C[\s\S]*0 from 0 events"):
        require_positive_classes(labels, np.ones(4), names=("S", "B", "C"))
    with pytest.raises(PhysicsDomainError, match="event 3"):
        require_positive_classes(labels, [1.0, 1.0, 1.0, np.nan], names=("S", "B"))
    with pytest.raises(ShapeError, match="labels"):
        require_positive_classes(labels, [1.0], names=("S", "B"))
    with pytest.raises(PhysicsDomainError, match="training events"):
        effective_size_of_batches([1.0, -1.0], batch_size=1)
    with pytest.raises(SchemaError, match="batch_size"):
        effective_size_of_batches([1.0, 1.0], batch_size=3)


def test_fewer_events_than_parameters():
    require_enough_events(3, 3, what="calibration")
    with pytest.raises(SchemaError, match="2 events for 3 parameters"):
        require_enough_events(2, 3, what="calibration")
