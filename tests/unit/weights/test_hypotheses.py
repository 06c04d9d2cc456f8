"""Hypotheses: terms, coefficients and joint quantities against loops; references; refusals."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import Hypotheses, Morphing, SimulatedEvents, basis, mixture_reference

PROCESSES = ("S", "b1", "SBI", "B", "b2")
"""Backgrounds between the interfering processes: the order of the morphing is another one."""


def events(n=200, seed=1):
    rng = np.random.default_rng(seed)
    weights = np.zeros((n, 5))
    s, b, phase = rng.uniform(0.1, 1.0, n), rng.uniform(1.0, 3.0, n), rng.uniform(-0.9, 0.3, n)
    weights[:, 0], weights[:, 3] = s, b
    weights[:, 2] = s + b + 2.0 * phase * np.sqrt(s * b)
    weights[n // 2 :, [0, 2, 3]] = 0.0
    weights[n // 2 :, 1] = rng.uniform(0.5, 1.5, n - n // 2)
    weights[-n // 4 :, 4] = weights[-n // 4 :, 1]
    weights[-n // 4 :, 1] = 0.0
    return SimulatedEvents(
        processes=PROCESSES,
        event_id=np.arange(n, dtype=np.uint64),
        sample_index=np.zeros(n, dtype=np.int64),
        samples=("all",),
        observables={"x": rng.normal(size=n)},
        weights=weights,
    )


def build(sample, **more):
    arguments = {"morphing": basis("ggF"), "benchmarks": ("S", "SBI", "B"), "ranges": [(0.0, 6.0)]} | more
    return Hypotheses.build(sample, **arguments)


def test_coefficients_are_those_of_the_morphing_and_one_for_backgrounds():
    h = build(events())
    for mu in (0.0, 0.3, 1.0, 4.0):
        root = mu**0.5
        np.testing.assert_allclose(h.coefficients(mu), [mu - root, 1.0, root, 1.0 - root, 1.0], atol=1e-12)
    assert h.backgrounds == ("b1", "b2")
    np.testing.assert_allclose(h.roots, [0.5])


def test_terms_give_the_weights_at_any_theta():
    sample = events()
    h = build(sample)
    terms = h.terms(sample.weights)
    for mu in (0.0, 0.7, 3.0):
        values = h.term_values(np.array([[mu]]))[0]
        for i in range(0, len(sample), 17):
            slow = sum(c * w for c, w in zip(h.coefficients(mu), sample.weights[i], strict=True))
            assert terms[i] @ values == pytest.approx(slow, abs=1e-12)
    np.testing.assert_allclose(terms @ h.rows.T, sample.weights, atol=1e-12)


def test_joint_ratio_against_a_loop():
    sample = events()
    h = build(sample)
    got = h.joint_ratio(sample.weights, 2.0)
    back = h.joint_ratio(sample.weights, 2.0, denominator=0.5)
    f2, f05, c = h.coefficients(2.0), h.coefficients(0.5), h.reference
    for i in range(len(sample)):
        w = sample.weights[i]
        assert got[i] == pytest.approx((w @ f2) / (w @ c) / (f2 @ sample.yields) * (c @ sample.yields))
        assert back[i] == pytest.approx((w @ f2) / (w @ f05) / (f2 @ sample.yields) * (f05 @ sample.yields))
    reference = sample.weights @ c
    assert reference @ got / reference.sum() == pytest.approx(1.0)


def test_joint_score_is_the_derivative_of_the_log_joint_ratio():
    sample = events()
    h = build(sample)
    step = 1e-5
    numeric = (np.log(h.joint_ratio(sample.weights, 1.0 + step)) - np.log(h.joint_ratio(sample.weights, 1.0 - step))) / (2 * step)
    score = h.joint_score(sample.weights, 1.0)
    np.testing.assert_allclose(score[:, 0], numeric, atol=1e-8)
    density = sample.weights @ h.coefficients(1.0)
    assert abs(density @ score[:, 0]) < 1e-10 * density.sum()


def test_gradient_for_several_parameters_against_differences():
    rng = np.random.default_rng(3)
    morphing = Morphing(
        monomials=["1", "c1", "c2", "c1**2", "c1*c2", "c2**2"],
        benchmarks={"0": (0, 0), "a": (1, 0), "b": (-1, 0), "c": (0, 1), "d": (0, -1), "e": (1, 1)},
    )
    names = tuple(f"p{k}" for k in range(6))
    sample = SimulatedEvents(
        processes=names,
        event_id=np.arange(10, dtype=np.uint64),
        sample_index=np.zeros(10, dtype=np.int64),
        samples=("all",),
        observables={"x": np.arange(10.0)},
        weights=rng.uniform(1.0, 2.0, (10, 6)),
    )
    h = Hypotheses.build(sample, morphing=morphing, benchmarks=names, ranges=[(-2, 2), (-2, 2)])
    theta, step = np.array([0.4, -0.7]), 1e-6
    np.testing.assert_allclose(h.coefficients(theta), morphing.coefficients(theta), atol=1e-12)
    for p in range(2):
        move = step * np.eye(2)[p]
        numeric = (h.coefficients(theta + move) - h.coefficients(theta - move)) / (2 * step)
        np.testing.assert_allclose(h.gradient(theta)[p], numeric, atol=1e-8)


def test_references():
    sample = events()
    equal = build(sample)
    assert equal.reference_fractions == pytest.approx({"S": 1 / 9, "b1": 1 / 3, "SBI": 1 / 9, "B": 1 / 9, "b2": 1 / 3})
    mixture = mixture_reference(PROCESSES, signal="S", interfering="SBI", background="B")
    assert build(sample, reference=mixture).reference_fractions == pytest.approx(mixture)
    point = equal.with_reference(1.0)
    assert point.reference_theta == (1.0,)
    np.testing.assert_allclose(point.joint_ratio(sample.weights, 1.0), 1.0)
    assert equal.with_reference({"mu": 1.0}).reference_theta == (1.0,)


def test_reference_without_support_is_refused_with_the_place():
    sample = events()
    h = build(sample, reference={"S": 0.5, "B": 0.5})
    with pytest.raises(PhysicsDomainError, match=r"b1: 50 events of sample \w+ \(event 100, [\s\S]* of its weight, at [-\d.]+ <= x <= "):
        h.require_support(sample)
    build(sample).require_support(sample)


@pytest.mark.parametrize("theta", [-0.1, 6.5, np.nan])
def test_theta_outside_the_range_is_refused(theta):
    with pytest.raises(PhysicsDomainError, match="0 to 6"):
        build(events()).coefficients(theta)


def test_infinite_slope_is_refused():
    h = build(events())
    with pytest.raises(PhysicsDomainError, match="infinite at mu = 0"):
        h.gradient(0.0)


def test_process_without_events_is_refused():
    sample = events()
    weights = np.array(sample.weights)
    weights[:, 4] = 0.0
    empty = SimulatedEvents(sample.processes, sample.event_id, sample.sample_index, sample.samples, sample.observables, weights)
    with pytest.raises(PhysicsDomainError, match="process b2"):
        build(empty)


@pytest.mark.parametrize(
    "change",
    [
        {"benchmarks": ("S", "SBI", "C")},
        {"benchmarks": ("S", "SBI")},
        {"ranges": [(1.0, 0.0)]},
        {"ranges": []},
        {"reference": {"S": -1.0}},
        {"reference": {"nobody": 1.0}},
    ],
)
def test_names_and_ranges_that_do_not_fit_are_refused(change):
    with pytest.raises(SchemaError):
        build(events(), **change)


def test_events_of_other_processes_are_refused():
    sample = events()
    h = build(sample)
    other = SimulatedEvents(
        ("S", "SBI", "B", "b1", "b2"), sample.event_id, sample.sample_index, sample.samples, sample.observables, sample.weights
    )
    with pytest.raises(ShapeError):
        h.require_support(other)
