"""The weight matrix of all samples: shares against a loop, bookkeeping, refusals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import SimulatedEvents, combine_samples

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


def interfering(sample, n, seed, *, order=BENCHMARKS):
    """Random densities; the event weight varies as after a generator bias."""
    rng = np.random.default_rng(seed)
    s, b = rng.normal(size=(2, n, 2)) @ np.array([1.0, 1j])
    density = {"S": 0.1 * abs(s) ** 2, "SBI": abs(0.3 * s + b) ** 2, "B": abs(b) ** 2}
    weight = rng.uniform(0.5, 1.5, n) / n
    relative = np.stack([density[name] / density[sample] for name in order], axis=-1)
    return Table(sample, rng.integers(0, 2**63, n, dtype=np.uint64), {"x": rng.normal(size=n)}, weight, order, weight[:, None] * relative)


def background(n, seed):
    rng = np.random.default_rng(seed)
    return Table("qq", np.arange(n, dtype=np.uint64), {"x": rng.normal(size=n)}, rng.uniform(size=n), (), np.empty((n, 0)))


@pytest.fixture
def tables():
    return [interfering("S", 40, 1), interfering("SBI", 70, 2, order=("B", "S", "SBI")), interfering("B", 50, 3), background(30, 4)]


def combine(tables, **changes):
    return combine_samples(tables, **({"processes": PROCESSES, "benchmarks": BENCHMARKS} | changes))


def test_weights_equal_the_loop(tables):
    events = combine(tables)
    row = 0
    for k, table in enumerate(tables):
        for i in range(len(table.weight)):
            expected = dict.fromkeys(PROCESSES, 0.0)
            if table.benchmarks:
                own = dict(zip(table.benchmarks, table.benchmark_weights[i], strict=True))
                scaled = {t.sample: sum(t.weight) / sum(t.weight**2) * own[t.sample] for t in tables[:3]}
                alpha = scaled[table.sample] / sum(scaled.values())
                expected |= {name: alpha * own[name] for name in BENCHMARKS}
            else:
                expected["qq"] = table.weight[i]
            assert events.weights[row] == pytest.approx(list(expected.values()), rel=1e-12)
            assert events.sample_index[row] == k
            assert events.event_id[row] == table.event_id[i]
            assert events.observables["x"][row] == table.observables["x"][i]
            row += 1
    assert len(events) == row == 190
    assert events.samples == ("S", "SBI", "B", "qq")
    assert events.processes == PROCESSES


def test_the_shares_of_one_point_sum_to_one(tables):
    # The same phase-space points in all three samples, each with the weights that its own sample gives them.
    densities = interfering("SBI", 60, 5)
    relative = densities.benchmark_weights / densities.weight[:, None]
    copies = []
    for b, (name, scale) in enumerate(zip(BENCHMARKS, (0.01, 3.0, 0.5), strict=True)):
        own = scale * densities.weight
        copies.append(replace(densities, sample=name, weight=own, benchmark_weights=own[:, None] * relative / relative[:, [b]]))
    events = combine(copies)
    share = np.zeros((60, 3))
    for k, copy in enumerate(copies):
        share += events.weights[events.sample_index == k][:, :3] / copy.benchmark_weights
    np.testing.assert_allclose(share, 1.0, rtol=1e-12)


def test_a_single_interfering_sample_keeps_its_weights(tables):
    events = combine([tables[1]])
    by_name = dict(zip(tables[1].benchmarks, tables[1].benchmark_weights.T, strict=True))
    np.testing.assert_allclose(events.weights[:, :3], np.stack([by_name[name] for name in BENCHMARKS], axis=-1), rtol=1e-15)


def test_the_scale_of_all_weights_scales_the_result(tables):
    scaled = [replace(t, weight=2.5 * t.weight, benchmark_weights=2.5 * t.benchmark_weights) for t in tables]
    np.testing.assert_allclose(combine(scaled).weights, 2.5 * combine(tables).weights, rtol=1e-12)


def test_events_that_no_sample_can_make_have_weight_zero(tables):
    dead = replace(tables[0], weight=tables[0].weight * 0.0, benchmark_weights=tables[0].benchmark_weights * 0.0)
    events = combine([dead, *tables[1:]])
    np.testing.assert_array_equal(events.weights[:40], 0.0)
    np.testing.assert_allclose(events.weights[40:], combine(tables[1:]).weights, rtol=1e-12)


def test_yields_selection_and_scale(tables):
    events = combine(tables)
    np.testing.assert_allclose(events.yields, events.weights.sum(axis=0))
    assert events.yields[3] == pytest.approx(tables[3].weight.sum())
    mask = events.observables["x"] > 0
    part = events.select(mask).scaled(4.0)
    np.testing.assert_array_equal(part.weights, 4.0 * events.weights[mask])
    np.testing.assert_array_equal(part.event_id, events.event_id[mask])
    np.testing.assert_array_equal(part.sample_index, events.sample_index[mask])
    np.testing.assert_array_equal(part.observables["x"], events.observables["x"][mask])
    order = np.array([5, 3, 5])
    np.testing.assert_array_equal(events.select(order).event_id, events.event_id[order])


def test_weights_at_equal_the_loop(tables):
    events = combine(tables)
    f = [-0.25, 0.5, 0.5, 1.0]
    weights = events.weights_at(f)
    for i in range(len(events)):
        assert weights[i] == pytest.approx(sum(f[j] * events.weights[i, j] for j in range(4)), rel=1e-12, abs=1e-15)


def test_inputs_are_not_modified(tables):
    before = [(t.weight.copy(), t.benchmark_weights.copy()) for t in tables]
    combine(tables).scaled(2.0)
    for table, (weight, benchmark_weights) in zip(tables, before, strict=True):
        np.testing.assert_array_equal(table.weight, weight)
        np.testing.assert_array_equal(table.benchmark_weights, benchmark_weights)


# ---- refusals


def test_swapped_benchmark_names_are_noticed(tables):
    tables[1] = replace(tables[1], benchmarks=("S", "SBI", "B"))
    with pytest.raises(ArtifactMismatchError, match=r"own benchmark 'SBI'[\s\S]*order of the benchmark names"):
        combine(tables)


@pytest.mark.parametrize("column", ["weight", "benchmark_weights"])
def test_nan_weight_names_sample_and_event(tables, column):
    values = getattr(tables[2], column).copy()
    values[7 if column == "weight" else (7, 0)] = np.nan
    tables[2] = replace(tables[2], **{column: values})
    with pytest.raises(PhysicsDomainError, match=rf"sample B[\s\S]*event {tables[2].event_id[7]}"):
        combine(tables)


def test_missing_benchmark(tables):
    tables[0] = replace(tables[0], benchmarks=("S", "SBI", "other"))
    with pytest.raises(ArtifactMismatchError, match=r"\['B'\] among them"):
        combine(tables)


def test_sample_that_is_no_benchmark(tables):
    tables[0] = replace(tables[0], sample="T")
    with pytest.raises(ArtifactMismatchError, match="'T'"):
        combine(tables)


def test_wrong_width_of_benchmark_weights(tables):
    tables[0] = replace(tables[0], benchmark_weights=tables[0].benchmark_weights[:, :2])
    with pytest.raises(ArtifactMismatchError, match=r"\(40, 2\)"):
        combine(tables)


def test_background_that_is_no_process_or_that_should_interfere(tables):
    with pytest.raises(ArtifactMismatchError, match="sample qq"):
        combine(tables, processes=BENCHMARKS)
    tables[3] = replace(tables[3], sample="S")
    with pytest.raises(ArtifactMismatchError, match="no benchmark weights"):
        combine(tables[1:])


def test_benchmark_that_is_no_process(tables):
    with pytest.raises(ArtifactMismatchError, match=r"\['S'\]"):
        combine(tables, processes=("SBI", "B", "qq"))


def test_different_observables(tables):
    tables[3] = replace(tables[3], observables={"y": tables[3].observables["x"]})
    with pytest.raises(ArtifactMismatchError, match=r"\['x', 'y'\] not in all samples"):
        combine(tables)


def test_no_table_and_repeated_table(tables):
    with pytest.raises(SchemaError, match="at least one"):
        combine([])
    with pytest.raises(SchemaError, match="no name twice"):
        combine([*tables, tables[0]])


def test_shapes(tables):
    events = combine(tables)
    with pytest.raises(ShapeError, match="mask"):
        events.select(np.ones(3, dtype=bool))
    with pytest.raises(ShapeError, match="one per process"):
        events.weights_at([1.0, 1.0, 1.0])
    good = {f: getattr(events, f) for f in ("processes", "event_id", "sample_index", "samples", "observables", "weights")}
    for name, wrong in (("weights", events.weights[:, :2]), ("sample_index", events.sample_index[:3]), ("observables", {"x": np.zeros(3)})):
        with pytest.raises(ShapeError, match=name):
            SimulatedEvents(**(good | {name: wrong}))
