"""The meaning of the heads: normalised to the reference, positive at every mu, scores are derivatives."""

from __future__ import annotations

import numpy as np
import torch

from toolkit.ratios import Mixture

MIXTURE = Mixture("S", "SBI", "B", ("q", "r"), (39.0, 474.0, 503.0, 1940.0, 50.0), kappa=4.3)


def random_heads(n, seed, scale=3.0):
    return torch.randn(n, MIXTURE.n_heads, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def densities(heads):
    return torch.exp(MIXTURE.log_ratios(heads)) * torch.tensor(MIXTURE.yields, dtype=torch.float64)


def test_reference_fractions_times_ratios_sum_to_one():
    fractions = MIXTURE.reference_fractions()
    assert abs(sum(fractions.values()) - 1.0) < 1e-12
    ratios = torch.exp(MIXTURE.log_ratios(random_heads(10_000, 1)))
    total = ratios @ torch.tensor([fractions[p] for p in MIXTURE.processes], dtype=torch.float64)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-10, rtol=0)


def test_density_is_positive_at_every_mu():
    s, sbi, b = densities(random_heads(10_000, 2))[:, :3].T
    for mu in np.linspace(0.0, 20.0, 41):
        root = mu**0.5
        assert torch.all((mu - root) * s + root * sbi + (1 - root) * b > -1e-9 * (mu * s + b))


def test_scores_are_derivatives_of_the_log_density():
    heads = random_heads(10_000, 3, scale=1.0)
    s, sbi, b, q, r = densities(heads).T

    def log_density(mu):
        return torch.log((mu - mu**0.5) * s + mu**0.5 * sbi + (1 - mu**0.5) * b + q + r)

    step = 1e-5
    for k, mu in enumerate((0.3, 1.0, 2.0)):
        expected = (log_density(mu + step) - log_density(mu - step)) / (2 * step)
        scores, products = MIXTURE.scores(heads, (0.3, 1.0, 2.0))
        torch.testing.assert_close(scores[:, k], 2.0 * mu**0.5 * expected, atol=1e-6, rtol=1e-6)
        total = (mu - mu**0.5) * s + mu**0.5 * sbi + (1 - mu**0.5) * b
        torch.testing.assert_close(products[:, k], scores[:, k] * total / (MIXTURE.kappa * s + b), atol=1e-9, rtol=1e-9)


def test_log_ratios_of_two_processes_are_antisymmetric_and_stable_in_the_tails():
    heads = random_heads(1_000, 4, scale=40.0)
    logs = MIXTURE.log_ratios(heads)
    assert torch.isfinite(logs).all()
    single = MIXTURE.log_ratios(heads.float()).double()
    moderate = logs.abs().max(dim=1).values < 15
    torch.testing.assert_close(single[moderate][:, [0, 2, 3, 4]], logs[moderate][:, [0, 2, 3, 4]], atol=1e-4, rtol=1e-5)
