"""Training targets from the weight matrix: loop twin, class balance, refusals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.unit.ratios.toy import MODEL
from toolkit.errors import PhysicsDomainError
from toolkit.model.matrices import CLASS_SHARE
from toolkit.ratios.targets import describe_mixture, make_targets


def test_targets_equal_a_loop_over_events(training):
    events = training.select(np.arange(0, len(training), 97))
    mixture = describe_mixture(events, MODEL)
    targets = make_targets(events, mixture)
    sums = [sum(mixture.classes[0].kappas[0] * s + b for s, _, b, _ in events.weights), sum(w[3] for w in events.weights)]
    for i, (s, sbi, b, other) in enumerate(events.weights):
        g = mixture.classes[0].kappas[0] * s + b
        background = g == 0.0
        assert targets.label[i] == int(background)
        weight = other / sums[1] if background else g / sums[0]
        assert targets.weight[i].item() == pytest.approx(weight * len(events) / 2, rel=1e-12)
        assert targets.composition[i, 0].item() == pytest.approx(0.0 if background else mixture.classes[0].kappas[0] * s / g, rel=1e-12)
        assert targets.composition[i, 1].item() == pytest.approx(0.0 if background else (sbi - s - b) / g, rel=1e-9, abs=1e-12)


def test_classes_weigh_the_same_and_the_signal_has_its_share(training):
    mixture = describe_mixture(training, MODEL)
    targets = make_targets(training, mixture)
    sums = [targets.weight[targets.label == k].sum().item() for k in (0, 1)]
    assert sums == pytest.approx([len(training) / 2] * 2)
    assert mixture.classes[0].kappas[0] * mixture.yields[0] / mixture.class_yields[0] == pytest.approx(CLASS_SHARE)


def test_negative_weight_is_refused_with_the_event(training):
    weights = training.weights.copy()
    weights[-3, 3] = -0.1
    broken = dataclasses.replace(training, weights=weights)
    with pytest.raises(PhysicsDomainError, match=rf"event {training.event_id[-3]} of sample b"):
        make_targets(broken, describe_mixture(training, MODEL))


def test_process_without_yield_is_refused(training):
    weights = training.weights.copy()
    weights[:, 3] = 0.0
    with pytest.raises(PhysicsDomainError, match="process b"):
        describe_mixture(dataclasses.replace(training, weights=weights), MODEL)


def test_events_of_several_classes_carry_the_probability_of_each(training):
    generator = np.random.default_rng(5)
    weights = np.abs(training.weights[::97]) + generator.uniform(0.01, 0.1, size=(len(training.weights[::97]), 4))
    events = dataclasses.replace(training.select(np.arange(0, len(training), 97)), weights=weights)
    mixture = describe_mixture(events, MODEL)
    targets = make_targets(events, mixture)
    g = mixture.classes[0].kappas[0] * weights[:, 0] + weights[:, 2]
    of_g, of_b = g / g.sum(), weights[:, 3] / weights[:, 3].sum()
    for i in range(len(events)):
        assert targets.label[i].tolist() == pytest.approx([of_g[i] / (of_g[i] + of_b[i]), of_b[i] / (of_g[i] + of_b[i])])
        assert targets.weight[i].item() == pytest.approx((of_g[i] + of_b[i]) * len(events) / 2)
    rows, part = targets.of_class(0, mixture)
    assert len(rows) == len(events)
    assert part.weight.numpy() == pytest.approx(of_g * len(events) / 2)
    assert targets.shares(2).numpy() == pytest.approx(targets.label.numpy())
