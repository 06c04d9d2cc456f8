"""The meaning of the heads: normalised to the reference, positive at every parameter point, scores are derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolkit.model import Model, ModelParameter, Process, learned_densities
from toolkit.ratios import EventClass, Mixture, score_directions
from toolkit.ratios.directions import direction_at

GGF = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
EW = Process.build("EW", {"S": "kappa**2", "B": "1"}, {"EW_S": [1, 0], "EW_SBI": [1, 1], "EW_B": [0, 1]})
VECTORS = {"T": [1, 0, 0], "P": [0, 1, 0], "B": [0, 0, 1], "TP": [1, 1, 0], "TB": [1, 0, 1], "PB": [0, 1, 1]}
EFT = Process.build("eft", {"top": "c_t", "point": "c_g", "box": "1"}, VECTORS)
OTHERS = (Process.build("q", {"A": "1"}, factor="t"), Process.build("r", {"A": "1"}))
MU, KAPPA = ModelParameter("mu", range=(0.0, 20.0)), ModelParameter("kappa", range=(-2.0, 2.0))
T = ModelParameter("t", "normalisation", range=(0.2, 5.0))
C_T, C_G = ModelParameter("c_t", range=(-4.0, 4.0)), ModelParameter("c_g", range=(-4.0, 4.0), truth=0.0)
MODELS = {
    "one": Model((MU, T), (GGF, *OTHERS)),
    "two": Model((MU, KAPPA, T), (GGF, *OTHERS, EW)),
    "three amplitudes": Model((C_T, C_G, T), (OTHERS[0], EFT)),
}
YIELDS = {
    "gg": ((39.0, 474.0, 503.0), (4.3, 1.0), 1),
    "EW": ((5.0, 40.0, 50.0), (3.0, 1.0), 1),
    "eft": ((70.0, 150.0, 60.0, 115.0, 500.0, 460.0), (2.0, 3.0, 1.0), 2),
    "q": ((1940.0,), (1.0,), 0),
    "r": ((50.0,), (1.0,), 0),
}


def mixture_of(model):
    names = {p.name: tuple(d.name for d in learned_densities(p)) for p in model.processes}
    return Mixture(tuple(EventClass(p.name, names[p.name], *YIELDS[p.name]) for p in model.processes))


CASES = [pytest.param(model, mixture_of(model), id=name) for name, model in MODELS.items()]
every_model = pytest.mark.parametrize(("model", "mixture"), CASES)


def random_heads(mixture, n, seed, scale=3.0):
    return torch.randn(n, mixture.n_heads, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def densities(mixture, heads):
    return torch.exp(mixture.log_ratios(heads)) * torch.tensor(mixture.yields, dtype=torch.float64)


def random_points(model, n, seed):
    rng = np.random.default_rng(seed)
    columns = [rng.uniform(*p.range, n) for p in model.parameters]
    columns = [np.where(rng.uniform(size=n) < 0.05, max(p.range[0], 0.0), c) for p, c in zip(model.parameters, columns, strict=True)]
    return np.stack(columns, axis=1)


@every_model
def test_reference_fractions_times_ratios_sum_to_one(model, mixture):
    fractions = mixture.reference_fractions()
    assert abs(sum(fractions.values()) - 1.0) < 1e-12
    ratios = torch.exp(mixture.log_ratios(random_heads(mixture, 10_000, 1)))
    total = ratios @ torch.tensor([fractions[p] for p in mixture.processes], dtype=torch.float64)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-10, rtol=0)


@every_model
def test_density_of_every_class_is_positive_at_ten_thousand_random_points(model, mixture):
    """Up to the rounding of a difference of densities, whose terms are far larger than it."""
    found = densities(mixture, random_heads(mixture, 10_000, 2))
    coefficients = torch.from_numpy(model.coefficients().values(random_points(model, 10_000, 3)))
    start = 0
    for c in mixture.classes:
        columns = slice(start, start + len(c.densities))
        terms = coefficients[:, columns] * found[:, columns]
        assert torch.all(terms.sum(dim=1) > -1e-12 * terms.abs().sum(dim=1))
        start = columns.stop


@every_model
def test_scores_are_derivatives_of_the_log_density(model, mixture):
    """Along the parameter, or along its square root where an amplitude is one; against finite differences."""
    found = densities(mixture, random_heads(mixture, 2_000, 3, scale=1.0)).numpy()
    heads = random_heads(mixture, 2_000, 3, scale=1.0)
    step = 1e-5
    for k, name in enumerate(model.parameter_names):
        point = {n: 0.7 + 0.2 * i for i, n in enumerate(model.parameter_names)}
        ends = np.array([[point[n] + (sign * step if n == name else 0.0) for n in model.parameter_names] for sign in (1, -1)])
        logs = np.log(found @ model.coefficients().values(ends).T)
        expected = (logs[:, 0] - logs[:, 1]) / (2 * step) * (2.0 * point[name] ** 0.5 if name == "mu" else 1.0)
        score, inside = direction_at(model, name, point).score(mixture, heads)
        np.testing.assert_allclose(score.numpy(), expected, atol=2e-6, rtol=2e-6)
        at = model.coefficients().values(np.array([[point[n] for n in model.parameter_names]]))[0]
        starts = np.cumsum([0, *(len(c.densities) for c in mixture.classes)])
        for j, c in zip(mixture.coherent, inside, strict=True):
            columns = slice(starts[j], starts[j + 1])
            own, pairs = mixture.classes[j], mixture.classes[j].pairs
            kappas = np.array([own.kappas[a] if a == b else 0.0 for a, b in pairs])
            total, of_class = found[:, columns] @ at[columns], found[:, columns] @ kappas
            np.testing.assert_allclose(c.numpy(), score.numpy() * total / of_class, atol=1e-9, rtol=1e-8)
        assert k < len(model.parameters)


def test_direction_at_zero_under_a_root_is_the_derivative_along_the_root():
    [direction] = [d for d in score_directions(MODELS["one"], (0.0,)) if d.label.startswith("mu")]
    assert direction.density == ((0.0, 0.0, 1.0), (1.0,), (1.0,))
    assert direction.slope == ((0.0, 1.0, 0.0), (0.0,), (0.0,))


def test_directions_of_a_parameter_of_both_signs_lie_on_both_sides():
    labels = [d.label for d in score_directions(MODELS["three amplitudes"], (0.0, 1.0, 6.0)) if d.label.startswith("c_g")]
    assert labels == [f"c_g at c_t = 1, c_g = {v}, t = 1" for v in ("-1", "0", "1")]


@every_model
def test_log_ratios_are_stable_in_the_tails(model, mixture):
    heads = random_heads(mixture, 1_000, 4, scale=40.0)
    logs = mixture.log_ratios(heads)
    assert torch.isfinite(logs).all()
    single = mixture.log_ratios(heads.float()).double()
    pure = [
        j
        for j, name in enumerate(mixture.processes)
        for c in mixture.classes
        for n, (k, m) in zip(c.densities, c.pairs, strict=True)
        if n == name and k == m
    ]
    moderate = logs.abs().max(dim=1).values < 15
    torch.testing.assert_close(single[moderate][:, pure], logs[moderate][:, pure], atol=1e-4, rtol=1e-5)
