"""Losses of the estimators against loops in plain numbers, their gradients against differences, their minima."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from toolkit.ratios.estimators.losses import cross_entropy_loss, process_loss, score_loss, squared_ratio_loss
from toolkit.ratios.estimators.parameterised import labelled


def batch(n=40, seed=1):
    rng = np.random.default_rng(seed)
    return (torch.from_numpy(v) for v in (rng.normal(size=n), rng.uniform(0.1, 3.0, n), rng.uniform(0.1, 3.0, n)))


def test_cross_entropy_against_a_loop():
    logit, a, b = batch()
    got = cross_entropy_loss(logit, a, b)
    for i in range(len(logit)):
        s = 1.0 / (1.0 + math.exp(-float(logit[i])))
        assert float(got[i]) == pytest.approx(-float(a[i]) * math.log(s) - float(b[i]) * math.log(1.0 - s), rel=1e-12)


def test_cross_entropy_of_large_logits_is_finite_in_single_precision():
    logit = torch.tensor([500.0, -500.0])
    loss = cross_entropy_loss(logit, torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))
    assert loss.tolist() == [500.0, 500.0]


def test_squared_ratio_against_a_loop():
    logit, a, b = batch()
    got = squared_ratio_loss(logit, a, b)
    for i in range(len(logit)):
        r, joint = math.exp(float(logit[i])), float(a[i] / b[i])
        full = float(b[i]) * (joint - r) ** 2 + float(a[i]) * (1.0 / joint - 1.0 / r) ** 2
        constant = float(b[i]) * joint**2 + float(a[i]) / joint**2
        assert float(got[i]) == pytest.approx(full - constant, rel=1e-10, abs=1e-10)


def test_score_loss_against_a_loop():
    rng = np.random.default_rng(2)
    g, slope = torch.from_numpy(rng.normal(size=(30, 2))), torch.from_numpy(rng.normal(size=(30, 2)))
    a = torch.from_numpy(rng.uniform(0.2, 2.0, 30))
    got = score_loss(g, a, slope)
    for i in range(30):
        t = [float(slope[i, p] / a[i]) for p in range(2)]
        full = float(a[i]) * sum((float(g[i, p]) - t[p]) ** 2 for p in range(2))
        assert float(got[i]) == pytest.approx(full - float(a[i]) * sum(v * v for v in t), rel=1e-10, abs=1e-10)


def test_process_loss_against_a_loop_and_labels():
    rng = np.random.default_rng(3)
    logits, weights = torch.from_numpy(rng.normal(size=(20, 3))), torch.from_numpy(rng.uniform(size=(20, 3)))
    got = process_loss(logits, weights)
    for i in range(20):
        total = sum(math.exp(float(v)) for v in logits[i])
        assert float(got[i]) == pytest.approx(
            -sum(float(weights[i, j]) * math.log(math.exp(float(logits[i, j])) / total) for j in range(3))
        )
    label = torch.arange(20) % 3
    single = torch.nn.functional.one_hot(label, 3) * weights
    torch.testing.assert_close(process_loss(logits, single), single.sum(dim=1) * cross_entropy(logits, label, reduction="none"))


@pytest.mark.parametrize("loss", [cross_entropy_loss, squared_ratio_loss])
def test_gradients_against_differences_and_the_minimum_is_the_log_ratio(loss):
    logit, a, b = batch()
    assert torch.autograd.gradcheck(lambda x: loss(x, a, b), logit.requires_grad_(True))
    exact = torch.log(a / b).requires_grad_(True)
    loss(exact, a, b).sum().backward()
    torch.testing.assert_close(exact.grad, torch.zeros_like(exact), atol=1e-12, rtol=0)


def test_minimum_of_the_score_loss_is_the_joint_score():
    a, slope = torch.tensor([0.5, 2.0], dtype=torch.float64), torch.tensor([[1.0], [-3.0]], dtype=torch.float64)
    g = (slope / a[:, None]).clone().requires_grad_(True)
    score_loss(g, a, slope).sum().backward()
    torch.testing.assert_close(g.grad, torch.zeros_like(g))


def test_one_label_keeps_the_expectations():
    n = 200_000
    rng = np.random.default_rng(4)
    a, b = torch.tensor([0.7]).expand(n), torch.tensor([1.9]).expand(n)
    new_a, new_b = labelled(a, b, torch.from_numpy(rng.uniform(size=n)).float())
    assert bool(((new_a == 0) != (new_b == 0)).all())
    assert float(new_a.mean()) == pytest.approx(0.7, abs=0.01)
    assert float(new_b.mean()) == pytest.approx(1.9, abs=0.01)
    negative, _ = labelled(-a, b, torch.from_numpy(rng.uniform(size=n)).float())
    assert float(negative.mean()) == pytest.approx(-0.7, abs=0.01)
