"""Heads of interfering amplitudes: every positive semi-definite matrix has heads, and they give it back; a slow twin agrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolkit.ratios import EventClass
from toolkit.ratios.composition import log_densities, products
from toolkit.ratios.network import inclusive_heads


def matrix_of(heads, kappas, reference):
    """M / tr(K M) from the formulas of the module docstring, element by element."""
    n = len(kappas)
    logits = list(heads[: n - 1])
    logits.insert(reference, 0.0)
    shares = np.exp(logits) / np.sum(np.exp(logits))
    lower, values = np.zeros((n, n)), iter(heads[n - 1 :])
    for k in range(n):
        left = 1.0
        for m in range(k):
            v = next(values)
            lower[k, m] = np.tanh(v) * left
            left /= np.cosh(v)
        lower[k, k] = left
    size = np.sqrt(shares / np.array(kappas))
    return (lower @ lower.T) * np.outer(size, size)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("reference", [0, 1])
def test_products_and_densities_are_those_of_the_matrix(n, reference):
    rng = np.random.default_rng(n)
    kappas = np.where(np.arange(n) == reference, 1.0, rng.uniform(0.3, 4.0, n)).tolist()
    heads = rng.normal(0.0, 1.5, (200, n * (n + 1) // 2 - 1))
    rows = torch.from_numpy(heads)
    found, logs = products(rows, kappas, reference), log_densities(rows, kappas, reference)
    pairs = [(k, m) for k in range(n) for m in range(k, n)]
    for i in range(len(heads)):
        matrix = matrix_of(heads[i], kappas, reference)
        assert np.trace(np.diag(kappas) @ matrix) == pytest.approx(1.0)
        for j, (k, m) in enumerate(pairs):
            vector = np.eye(n)[k] + (np.eye(n)[m] if m != k else 0.0)
            assert found[j][i].item() == pytest.approx(matrix[k, m] * (1.0 if k == m else 2.0), rel=1e-9, abs=1e-12)
            assert np.exp(logs[i, j].item()) == pytest.approx(vector @ matrix @ vector, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_every_positive_matrix_has_heads(n):
    rng, seen = np.random.default_rng(7), 0
    for _ in range(50):
        a = rng.normal(size=(n, n + 1)) * rng.uniform(0.2, 2.0, (n, 1))
        matrix = a @ a.T
        kappas = [2.0] * (n - 1) + [1.0]
        pairs = [(k, m) for k in range(n) for m in range(k, n)]
        yields = [matrix[k, k] if k == m else matrix[k, k] + matrix[m, m] + 2 * matrix[k, m] for k, m in pairs]
        c = EventClass("x", tuple(f"d{i}" for i in range(len(pairs))), tuple(yields), tuple(kappas), n - 1)
        heads = inclusive_heads(c).double()[None]
        if heads[0, n - 1 :].abs().max() > np.arctanh(0.94):
            continue  # at the limit on inclusive coherences
        seen += 1
        total = sum(kappa * matrix[k, k] for k, kappa in enumerate(kappas))
        for product, (k, m) in zip(products(heads, kappas, n - 1), pairs, strict=True):
            assert product.item() == pytest.approx(matrix[k, m] * (1.0 if k == m else 2.0) / total, rel=3e-4, abs=1e-6)
    assert seen > 20


def test_nearly_total_interference_keeps_its_digits():
    """(S, I, B) = (1, -2 + 2e-9, 1): the sum is 2e-9, which a difference of the three terms in single precision would lose."""
    v = np.arctanh(-1.0 + 1e-9)
    logs = log_densities(torch.tensor([[0.0, v]], dtype=torch.float32), (1.0, 1.0), 1)
    assert torch.exp(logs[0, 1]).item() == pytest.approx(1e-9, rel=1e-4)
