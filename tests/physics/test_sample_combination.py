"""Combined samples against exact integrals: a one-dimensional model with polynomial amplitudes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from toolkit.weights import basis, combine_samples, inverse_variance_weights, n_eff, separate_samples

SIGNAL = Polynomial([0.05, 0.0, 1.2])
BACKGROUND = Polynomial([-1.5, 0.9, -0.3])
DENSITY = {"S": SIGNAL**2, "SBI": (SIGNAL + BACKGROUND) ** 2, "B": BACKGROUND**2}
"""Differential cross-sections on [0, 1]: signal at large x, background at small x, destructive interference."""
BENCHMARKS = ("S", "SBI", "B")
EDGES = np.linspace(0.0, 1.0, 11)
N = {"S": 15_000, "SBI": 40_000, "B": 25_000}


@dataclass(frozen=True)
class Table:
    sample: str
    event_id: np.ndarray
    observables: dict
    weight: np.ndarray
    benchmarks: tuple
    benchmark_weights: np.ndarray


def exact(density, low=0.0, high=1.0):
    primitive = density.integ()
    return primitive(high) - primitive(low)


def generate(sample, seed, *, n=None):
    """Events of one sample, generated with a mild bias to large x that the weight undoes."""
    rng = np.random.default_rng(seed)
    n, density = n or N[sample], DENSITY[sample]
    bias = Polynomial([1.0, 0.8]) if sample != "S" else Polynomial([1.0])
    grid = np.linspace(0.0, 1.0, 5_001)
    cumulative = (density * bias).integ()(grid)
    x = np.interp(rng.uniform(0.0, cumulative[-1], n), cumulative, grid)
    weight = cumulative[-1] / n / bias(x)
    relative = np.stack([DENSITY[b](x) / density(x) for b in BENCHMARKS], axis=-1)
    return Table(sample, np.arange(n, dtype=np.uint64), {"x": x}, weight, BENCHMARKS, weight[:, None] * relative)


@pytest.fixture(scope="module")
def tables():
    return [generate(sample, seed) for seed, sample in enumerate(BENCHMARKS, start=111)]


@pytest.fixture(scope="module")
def events(tables):
    return combine_samples(tables, processes=BENCHMARKS, benchmarks=BENCHMARKS)


def pulls(x, weights, density):
    """(histogram - exact integral) / statistical error in each bin."""
    counts = np.histogram(x, bins=EDGES, weights=weights)[0]
    errors = np.sqrt(np.histogram(x, bins=EDGES, weights=weights**2)[0])
    truth = np.array([exact(density, low, high) for low, high in pairwise(EDGES)])
    return (counts - truth) / errors


@pytest.mark.parametrize("benchmark_name", BENCHMARKS)
def test_every_process_is_unbiased_in_every_bin(events, benchmark_name):
    weights = events.weights[:, BENCHMARKS.index(benchmark_name)]
    values = pulls(events.observables["x"], weights, DENSITY[benchmark_name])
    assert np.max(np.abs(values)) < 4.0
    assert np.sum(values**2) < 30.0  # 10 bins; the 0.1 % quantile of chi^2


@pytest.mark.parametrize("mu", [0.0, 0.3, 1.0, 1.7, 6.0])
def test_the_morphed_density_is_unbiased_in_every_bin(events, mu):
    density = mu * DENSITY["S"] + np.sqrt(mu) * (2 * SIGNAL * BACKGROUND) + DENSITY["B"]
    values = pulls(events.observables["x"], events.weights_at(basis("ggF").coefficients(mu)), density)
    assert np.max(np.abs(values)) < 4.0
    assert np.sum(values**2) < 30.0


def test_the_errors_are_those_of_repeated_experiments():
    # 60 independent simulations: the mean is exact and the spread is that of the weights.
    totals, errors = [], []
    for seed in range(60):
        own = [generate(sample, 1000 + 3 * seed + k, n=N[sample] // 5) for k, sample in enumerate(BENCHMARKS)]
        weights = combine_samples(own, processes=BENCHMARKS, benchmarks=BENCHMARKS).weights
        totals.append(weights.sum(axis=0))
        errors.append(np.sqrt(np.sum(weights**2, axis=0)))
    spread, expected = np.std(totals, axis=0, ddof=1), np.mean(errors, axis=0)
    truth = np.array([exact(DENSITY[name]) for name in BENCHMARKS])
    assert np.all(np.abs(np.mean(totals, axis=0) - truth) < 3.5 * spread / np.sqrt(60))
    assert np.all(spread < 1.3 * expected)


def test_all_samples_together_serve_better_than_any_alone(tables, events):
    for b, name in enumerate(BENCHMARKS):
        alone = [n_eff(table.benchmark_weights[:, b]) for table in tables]
        assert n_eff(events.weights[:, b]) > 1.05 * max(alone), name


def test_the_events_of_signal_and_background_regions_come_from_the_right_sample(events):
    x, signal = events.observables["x"], events.weights[:, 0]
    low, high = x < 0.2, x > 0.9
    from_signal = events.sample_index == 0
    share_low = signal[low & from_signal].sum() / signal[low].sum()
    share_high = signal[high & from_signal].sum() / signal[high].sum()
    assert share_low < 0.1
    assert share_high > 0.5


def test_the_wrong_recipes_fail_where_this_one_closes(tables):
    """Adding the samples without shares counts the cross-section once per sample."""
    x = np.concatenate([t.observables["x"] for t in tables])
    naive = np.concatenate([t.benchmark_weights[:, 2] for t in tables])
    assert np.min(np.abs(pulls(x, naive, DENSITY["B"]))) > 4.0


AT_FOUR = basis("ggF").coefficients(4.0)
DENSITY_AT_FOUR = 4 * DENSITY["S"] + 2 * (2 * SIGNAL * BACKGROUND) + DENSITY["B"]


def generate_at_four(seed, *, n):
    """Events generated at mu = 4, which is no benchmark."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0.0, 1.0, 5_001)
    cumulative = DENSITY_AT_FOUR.integ()(grid)
    x = np.interp(rng.uniform(0.0, cumulative[-1], n), cumulative, grid)
    weight = np.full(n, cumulative[-1] / n)
    relative = np.stack([DENSITY[b](x) / DENSITY_AT_FOUR(x) for b in BENCHMARKS], axis=-1)
    return Table("SBI4", np.arange(n, dtype=np.uint64), {"x": x}, weight, BENCHMARKS, weight[:, None] * relative)


def test_a_generation_point_that_is_no_benchmark_joins_without_bias(tables):
    joined = [*tables, generate_at_four(131, n=20_000)]
    events = combine_samples(joined, processes=BENCHMARKS, benchmarks=BENCHMARKS, generated_as={"SBI4": AT_FOUR})
    for mu in (0.3, 1.0, 4.0):
        density = mu * DENSITY["S"] + np.sqrt(mu) * (2 * SIGNAL * BACKGROUND) + DENSITY["B"]
        values = pulls(events.observables["x"], events.weights_at(basis("ggF").coefficients(mu)), density)
        assert np.max(np.abs(values)) < 4.0
        assert np.sum(values**2) < 30.0
    three = combine_samples(tables, processes=BENCHMARKS, benchmarks=BENCHMARKS)
    assert n_eff(events.weights_at(AT_FOUR)) > 1.2 * n_eff(three.weights_at(AT_FOUR))


@pytest.mark.parametrize("mu", [0.3, 1.7, 6.0])
def test_inverse_variances_are_unbiased_and_better_than_any_sample(tables, mu):
    """S and B, which have no zero, weighted by their inverse variances."""
    density = mu * DENSITY["S"] + np.sqrt(mu) * (2 * SIGNAL * BACKGROUND) + DENSITY["B"]
    f = basis("ggF").coefficients(mu)
    events = combine_samples([tables[0], tables[2]], processes=BENCHMARKS, benchmarks=BENCHMARKS)
    weights = inverse_variance_weights(events, f, benchmarks=BENCHMARKS)
    values = pulls(events.observables["x"], weights, density)
    assert np.max(np.abs(values)) < 4.0
    assert np.sum(values**2) < 30.0
    assert n_eff(weights) > max(n_eff(events.alone(name).weights_at(f)) for name in ("S", "B"))


def test_inverse_variances_fail_at_a_zero_and_shares_do_not(events):
    """Where SBI vanishes (in the ninth bin) its events cannot show how wrong they are: their variance is underestimated."""
    mu, zero = 1.7, 8
    root = (SIGNAL + BACKGROUND).roots().max()
    assert EDGES[zero] < root < EDGES[zero + 1]
    density = mu * DENSITY["S"] + np.sqrt(mu) * (2 * SIGNAL * BACKGROUND) + DENSITY["B"]
    f, x = basis("ggF").coefficients(mu), events.observables["x"]
    overall = inverse_variance_weights(events, f, benchmarks=BENCHMARKS)
    by_bins = inverse_variance_weights(events, f, benchmarks=BENCHMARKS, groups=np.digitize(x, EDGES))
    assert abs(pulls(x, overall, density)[zero]) > 5.0
    assert abs(pulls(x, by_bins, density)[zero]) < 3.0
    assert abs(pulls(x, events.weights_at(f), density)[zero]) < 3.0


def test_the_balance_heuristic_beats_inverse_variances(events):
    """Shares that know the phase-space point are better than shares that know the total only."""
    for mu in (0.3, 1.7, 6.0):
        f = basis("ggF").coefficients(mu)
        assert n_eff(events.weights_at(f)) > n_eff(inverse_variance_weights(events, f, benchmarks=BENCHMARKS))


@pytest.mark.parametrize("mu", [0.3, 1.7, 6.0])
def test_separate_samples_morph_without_bias(tables, mu):
    """Each event knows its own weight only; the morphed histogram is right, with the errors of the squared weights."""
    density = mu * DENSITY["S"] + np.sqrt(mu) * (2 * SIGNAL * BACKGROUND) + DENSITY["B"]
    separate = separate_samples(tables, processes=BENCHMARKS)
    values = pulls(separate.observables["x"], separate.weights_at(basis("ggF").coefficients(mu)), density)
    assert np.max(np.abs(values)) < 4.0
    assert np.sum(values**2) < 30.0
