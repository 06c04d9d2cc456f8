"""Samples alone and together, separate samples per benchmark, generation points that are no benchmark, inverse variances."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import (
    Morphing,
    SimulatedEvents,
    basis,
    combine_samples,
    effective_size_curve,
    generation_curves,
    inverse_variance_weights,
    n_eff,
    sample_variances,
    separate_samples,
)

BENCHMARKS = ("S", "SBI", "B")
PROCESSES = (*BENCHMARKS, "qq")


@dataclass(frozen=True)
class Table:
    sample: str
    event_id: np.ndarray
    observables: dict
    weight: np.ndarray
    benchmarks: tuple = ()
    benchmark_weights: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def densities(n, seed):
    s, b = np.random.default_rng(seed).normal(size=(2, n, 2)) @ np.array([1.0, 1j])
    return np.stack([0.1 * abs(s) ** 2, abs(0.3162 * s + b) ** 2, abs(b) ** 2], axis=1)


def interfering(sample, n, seed, coefficients):
    rng = np.random.default_rng(seed + 500)
    density = densities(n, seed)
    weight = rng.uniform(0.5, 1.5, n) / n
    own = density @ np.asarray(coefficients)
    ids = np.arange(n, dtype=np.uint64)
    return Table(sample, ids, {"x": rng.normal(size=n)}, weight, BENCHMARKS, (weight / own)[:, None] * density)


@pytest.fixture
def tables():
    unit = np.eye(3)
    qq = Table("qq", np.arange(30, dtype=np.uint64), {"x": np.zeros(30)}, np.linspace(0.1, 1.0, 30), (), np.empty((30, 0)))
    return [interfering(name, n, k, unit[k]) for k, (name, n) in enumerate(zip(BENCHMARKS, (40, 70, 50), strict=True))] + [qq]


@pytest.fixture
def events(tables):
    return combine_samples(tables, processes=PROCESSES, benchmarks=BENCHMARKS)


def test_a_sample_alone_has_its_own_weights(tables, events):
    for table in tables[:3]:
        alone = events.alone(table.sample)
        np.testing.assert_allclose(alone.weights[:, :3], table.benchmark_weights, rtol=1e-12)
        assert alone.share is None
    np.testing.assert_array_equal(events.alone("qq").weights[:, 3], tables[3].weight)
    part = events.select(events.sample_index == 1).scaled(2.0)
    np.testing.assert_allclose(part.alone("SBI").weights[:, :3], 2.0 * tables[1].benchmark_weights, rtol=1e-12)
    with pytest.raises(SchemaError, match="sample"):
        events.alone("T")
    with pytest.raises(ShapeError, match="share"):
        replace(events, share=np.ones(3))


def test_a_generation_point_that_is_no_benchmark(tables):
    """A sample generated at mu = 4: its shares follow its own density, by a loop."""
    at_four = basis("ggF").coefficients(4.0)
    extra = interfering("SBI4", 60, 7, at_four)
    joined = [*tables, extra]
    events = combine_samples(joined, processes=PROCESSES, benchmarks=BENCHMARKS, generated_as={"SBI4": at_four})
    scale = [sum(t.weight) / sum(t.weight**2) for t in (*tables[:3], extra)]
    row = sum(len(t.weight) for t in tables)
    for i in range(len(extra.weight)):
        own = extra.benchmark_weights[i]
        density = [*own, sum(f * w for f, w in zip(at_four, own, strict=True))]
        alpha = scale[3] * density[3] / sum(c * abs(d) for c, d in zip(scale, density, strict=True))
        np.testing.assert_allclose(events.weights[row + i], [*(alpha * own), 0.0], rtol=1e-11)
        assert events.share[row + i] == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("generated_as", "error", "text"),
    [
        ({"qq": [1, 0, 0]}, SchemaError, "benchmark weights"),
        ({"SBI": [1, 0]}, ShapeError, "one per benchmark"),
        ({"SBI": [1.0, 0.0, 0.0]}, ArtifactMismatchError, "own benchmark 'SBI'"),
    ],
)
def test_wrong_generation_point(tables, generated_as, error, text):
    with pytest.raises(error, match=text):
        combine_samples(tables, processes=PROCESSES, benchmarks=BENCHMARKS, generated_as=generated_as)


# ---- separate samples


def test_separate_samples_fill_their_own_column(tables):
    bare = [replace(t, benchmarks=(), benchmark_weights=np.empty((len(t.weight), 0))) for t in tables]
    events = separate_samples(bare, processes=PROCESSES)
    f = np.array([-0.25, 0.5, 0.5, 1.0])
    expected = np.concatenate([c * t.weight for c, t in zip(f, tables, strict=True)])
    np.testing.assert_allclose(events.weights_at(f), expected, rtol=1e-15)
    variances = sample_variances(events, BENCHMARKS)
    assert variances == pytest.approx({t.sample: sum(w * w for w in t.weight) for t in tables[:3]})
    total = sum(f[k] ** 2 * v for k, v in enumerate(variances.values())) + sum(w * w for w in tables[3].weight)
    assert np.sum(events.weights_at(f) ** 2) == pytest.approx(total)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda t: (t, ("S", "SBI")), ArtifactMismatchError),
        (lambda t: (t, (*PROCESSES, "more")), ArtifactMismatchError),
        (lambda t: ([*t, t[0]], PROCESSES), SchemaError),
        (lambda t: ([replace(t[0], weight=t[0].weight * np.nan), *t[1:]], PROCESSES), PhysicsDomainError),
        (lambda t: ([replace(t[0], observables={}), *t[1:]], PROCESSES), ArtifactMismatchError),
        (lambda _: ([], PROCESSES), SchemaError),
    ],
)
def test_wrong_separate_samples(tables, change, error):
    changed, processes = change(tables)
    with pytest.raises(error):
        separate_samples(changed, processes=processes)


def test_five_separate_samples_for_three_monomials():
    """Optimal coefficients from the variances of the samples: unbiased at every mu, and better than any three of the five."""
    rng = np.random.default_rng(3)
    points = {"0": 0.0, "0.5": 0.5, "1": 1.0, "2": 2.0, "5": 5.0}
    s, i, b = 2.0, -1.0, 9.0
    sigma = {name: mu * s + np.sqrt(mu) * i + b for name, mu in points.items()}
    sizes = {"0": 400, "0.5": 100, "1": 4000, "2": 50, "5": 900}
    tables = []
    for name, n in sizes.items():
        w = rng.uniform(0.8, 1.2, n)
        tables.append(Table(name, np.arange(n, dtype=np.uint64), {"x": rng.normal(size=n)}, w * sigma[name] / w.sum()))
    events = separate_samples(tables, processes=tuple(points))
    best = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks=points, variances=sample_variances(events, tuple(points)))
    plain = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks=points)
    three = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks={k: points[k] for k in ("0", "1", "5")})
    for mu in (0.3, 1.7, 3.0):
        truth = mu * s + np.sqrt(mu) * i + b
        w = events.weights_at(best.coefficients(mu))
        assert w.sum() == pytest.approx(truth, rel=1e-9)
        with_three = np.insert(three.coefficients(mu), [1, 2], 0.0)
        assert n_eff(w) > n_eff(events.weights_at(plain.coefficients(mu)))
        assert n_eff(w) >= n_eff(events.weights_at(with_three))


# ---- inverse variances


def slow_inverse_variance(tables, f, groups):
    """Per group and sample: weights, then shares proportional to 1 / sum of squares."""
    out, start = [], 0
    offsets = np.cumsum([0, *(len(t.weight) for t in tables)])
    morphed = [t.benchmark_weights @ f[:3] for t in tables[:3]]
    precision = {}
    for k in range(3):
        for i, w in enumerate(morphed[k]):
            key = (k, groups[offsets[k] + i])
            precision[key] = precision.get(key, 0.0) + w * w
    for k in range(3):
        for i, w in enumerate(morphed[k]):
            g = groups[offsets[k] + i]
            inverse = [1.0 / precision[j, g] if (j, g) in precision else 0.0 for j in range(3)]
            out.append(w * inverse[k] / sum(inverse))
        start += len(morphed[k])
    return [*out, *(f[3] * tables[3].weight)]


@pytest.mark.parametrize("grouped", [False, True])
def test_inverse_variance_equals_the_loop(tables, events, grouped):
    f = np.array([*basis("ggF").coefficients(2.0), 1.0])
    groups = np.random.default_rng(5).integers(-1, 4, len(events)) if grouped else None
    weights = inverse_variance_weights(events, f, benchmarks=BENCHMARKS, groups=groups)
    bins = np.zeros(len(events), dtype=int) if groups is None else groups
    np.testing.assert_allclose(weights, slow_inverse_variance(tables, f, bins), rtol=1e-10)


# ---- curves


def test_curve_equals_the_loop(events):
    values = np.array([0.1, 1.0, 4.0])
    f = np.column_stack([basis("ggF").coefficients_at(values), np.ones(3)])
    curve = effective_size_curve(events.weights, values, f, name="total")
    for i, row in enumerate(f):
        w = events.weights @ row
        assert curve.n_eff_kish[i] == pytest.approx(n_eff(w))
        assert curve.n_eff_max[i] == pytest.approx(n_eff(w, definition="max"))
        assert curve.negative[i] == pytest.approx(-w[w < 0].sum() / np.abs(w).sum())
    assert curve.n_events == len(events)
    assert curve.to_json()["n_eff_kish"] == curve.n_eff_kish.tolist()
    with pytest.raises(ShapeError, match="coefficients"):
        effective_size_curve(events.weights, values, f[:, :3])


def test_curves_of_the_generation_points(tables, events):
    values = np.array([0.1, 1.0, 4.0])
    f = np.column_stack([basis("ggF").coefficients_at(values), np.ones(3)])
    curves = generation_curves(events, values, f, benchmarks=BENCHMARKS)
    assert [c.name for c in curves] == ["all samples", "S alone", "SBI alone", "B alone"]
    assert curves[0].n_events == 160
    for curve, table in zip(curves[1:], tables[:3], strict=True):
        np.testing.assert_allclose(curve.n_eff_kish, [n_eff(table.benchmark_weights @ row[:3]) for row in f], rtol=1e-10)
        assert curve.n_events == len(table.weight)
    single = combine_samples([tables[1]], processes=BENCHMARKS, benchmarks=BENCHMARKS)
    one = generation_curves(single, values, f[:, :3], benchmarks=BENCHMARKS)
    assert [c.name for c in one] == ["all samples"]


def test_events_without_shares_are_alone_as_they_are():
    events = SimulatedEvents(("S",), np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64), ("S",), {}, np.array([[1.0], [2.0]]))
    np.testing.assert_array_equal(events.alone("S").weights, events.weights)


def test_a_sample_that_was_generated_under_no_benchmark_keeps_its_weights(tables):
    """Alone nothing is shared: its weights under the benchmarks are what the event tables hold."""
    gg = replace(tables[1], sample="gg", weight=tables[1].weight * np.linspace(0.3, 2.0, 70))
    found = combine_samples([gg, tables[3]], processes=PROCESSES, benchmarks=BENCHMARKS, generated_as={"gg": None})
    np.testing.assert_array_equal(found.weights[:70, :3], gg.benchmark_weights)


def test_a_sample_of_no_benchmark_has_one_share_beside_the_others(tables):
    """Every sample estimates the whole: the sums are an average with constant factors, the others balanced among themselves."""
    gg = replace(interfering("gg", 200, 9, [0.4, 0.3, 0.3]), weight=np.ones(200))
    beside = combine_samples(tables, processes=PROCESSES, benchmarks=BENCHMARKS)
    found = combine_samples([*tables, gg], processes=PROCESSES, benchmarks=BENCHMARKS, generated_as={"gg": None})
    sizes = {t.sample: sum(w.sum() ** 2 / (w**2).sum() for w in t.benchmark_weights.T) for t in [*tables[:3], gg]}
    alpha = sizes["gg"] / sum(sizes.values())
    np.testing.assert_allclose(found.weights[: len(beside), :3], (1.0 - alpha) * beside.weights[:, :3], rtol=1e-12)
    np.testing.assert_allclose(found.weights[len(beside) :, :3], alpha * gg.benchmark_weights, rtol=1e-12)
    np.testing.assert_array_equal(found.weights[160:190, 3], tables[3].weight)
