"""Significances: closed forms, gradients, errors against resampling, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit.diagnostics.merit import FORMULAS, MeritWeights, significance
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError

KINDS = list(FORMULAS)


def slow(kind, s, svi, v, b2):
    """The formulas as they are printed."""
    b = v + b2
    if kind == "z":
        return s / math.sqrt(s + b)
    if kind == "interference_z":
        return (s + svi - v) / (2 * math.sqrt(svi + b2))
    if kind == "asimov_z":
        return math.sqrt(2 * ((s + b) * math.log(1 + s / b) - s))
    return math.copysign(math.sqrt(2 * ((svi + b2) * math.log(1 + (svi - v) / b) - (svi - v))), svi - v)


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(3)
    n = 4000
    x = rng.uniform(size=n)
    s, v = 3 * x**2, np.ones(n)
    columns = np.stack([40 * s, 40 * s - 60 * x + 300 * v, 300 * v, 1200 * 2 * (1 - x)], axis=1) / n
    return x, columns * (1 + 0.6 * rng.normal(size=n))[:, None]


def from_yields(kind, *, signal, total, interfering_background, background):
    return FORMULAS[kind](np.array([[signal, total, interfering_background, background]]))[0].item()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("yields", [(10.0, 12.0, 5.0, 100.0), (48.1, 589.0, 625.0, 2412.0), (2.0, 0.5, 0.0, 0.25)])
def test_closed_forms(kind, yields):
    s, svi, v, b2 = yields
    assert from_yields(kind, signal=s, total=svi, interfering_background=v, background=b2) == pytest.approx(slow(kind, *yields), rel=1e-12)


def test_numbers_known_by_hand():
    assert from_yields("z", signal=6, total=0, interfering_background=10, background=20) == pytest.approx(1.0)
    assert from_yields("interference_z", signal=6, total=16, interfering_background=10, background=20) == pytest.approx(1.0)
    assert from_yields("asimov_z", signal=1, total=0, interfering_background=0, background=1) == pytest.approx(
        math.sqrt(4 * math.log(2) - 2)
    )


def test_small_signals_agree_with_s_over_root_b():
    for d in (1e-3, -1e-3, 1e-7, -1e-12):
        z = from_yields("interference_asimov_z", signal=0, total=100 + d, interfering_background=100, background=900)
        assert z == pytest.approx(d / math.sqrt(1000), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("total", [16.0, 4.0, 10.0 + 1e-9])
def test_gradients(kind, total):
    yields = np.array([6.0, total, 10.0, 20.0])
    slopes = FORMULAS[kind](yields[None])[1][0]
    for j in range(4):
        step = np.zeros(4)
        step[j] = 1e-4
        up, down = (FORMULAS[kind]((yields + sign * step)[None])[0][0] for sign in (1, -1))
        assert slopes[j] == pytest.approx((up - down) / 2e-4, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_bins_add_in_quadrature(kind, weights):
    x, columns = weights
    edges = [0.0, 0.3, 0.8, 1.0]
    merit = significance(x, MeritWeights(*columns.T), kind=kind, edges=np.array(edges))
    sums = [[0.0] * 4 for _ in range(3)]
    for value, row in zip(x, columns, strict=True):
        k = next(k for k in range(3) if value < edges[k + 1])
        sums[k] = [a + b for a, b in zip(sums[k], row, strict=True)]
    assert merit.value == pytest.approx(math.sqrt(sum(slow(kind, *row) ** 2 for row in sums)), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edges", [(0.0, 1.0), (0.0, 0.5, 1.0)])
def test_errors_against_resampling(kind, edges, weights):
    x, columns = weights
    merit = significance(x, MeritWeights(*columns.T), kind=kind, edges=np.array(edges))
    rng = np.random.default_rng(5)
    values = []
    for _ in range(400):
        times = rng.poisson(1.0, size=x.size)
        values.append(significance(x, MeritWeights(*(columns * times[:, None]).T), kind=kind, edges=np.array(edges)).value)
    assert merit.error == pytest.approx(np.std(values), rel=0.12)
    assert merit.influence.shape == x.shape


def test_without_interference_the_two_forms_agree(weights):
    x, columns = weights
    plain = MeritWeights.without_interference(columns[:, 0], columns[:, 3])
    edges = np.array([0.0, 0.6, 1.0])
    for one, two in (("z", "interference_z"), ("asimov_z", "interference_asimov_z")):
        first, second = (significance(x, plain, kind=kind, edges=edges) for kind in (one, two))
        assert first.value == pytest.approx(second.value, rel=1e-12)
        assert first.error == pytest.approx(second.error, rel=1e-12)


def test_one_bin_keeps_the_sign():
    weights = MeritWeights(*(np.full(3, w) for w in (1.0, 8.0, 12.0, 30.0)))
    for kind in ("interference_z", "interference_asimov_z"):
        assert significance(np.zeros(3), weights, kind=kind, edges=np.array([-1.0, 1.0])).value < 0


def test_bad_input(weights):
    x, columns = weights
    good = MeritWeights(*columns.T)
    with pytest.raises(SchemaError, match="figure of merit"):
        significance(x, good, kind="s_over_b", edges=np.array([0.0, 1.0]))
    with pytest.raises(ShapeError):
        significance(x[:-1], good, kind="z", edges=np.array([0.0, 1.0]))
    with pytest.raises(PhysicsDomainError, match="background weights at event row"):
        MeritWeights(x, x, x, np.where(x > 0.5, np.nan, x))
    empty = MeritWeights.without_interference(x, np.where(x < 0.5, 1.0, 0.0))
    with pytest.raises(PhysicsDomainError, match="background in bin 1"):
        significance(x, empty, kind="asimov_z", edges=np.array([0.0, 0.5, 1.0]))
