"""Samples of a coherent process that know the weight of their own benchmark only: sums over events against closed forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError
from toolkit.model import Model, ModelParameter, Process, Sample, learned_densities
from toolkit.weights.processes import combine_processes

GG = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
EW = Process.build("EW", {"S": "sqrt(mu)", "B": "1"}, {"EW_B": {"mu": 0}, "EW_1": {"mu": 1}, "EW_10": {"mu": 10}, "EW_4": {"mu": 4}})
QQ = Process.build("qq", {"A": "1"})
MU = ModelParameter("mu", range=(0.0, 20.0))


def table(name, weight, *, carried=(), columns=None, first=0):
    weight = np.asarray(weight, dtype=float)
    return SimpleNamespace(
        sample=name,
        event_id=np.arange(len(weight), dtype=np.uint64) + np.uint64(first),
        observables={"x": np.arange(len(weight), dtype=float)},
        weight=weight,
        benchmarks=tuple(carried),
        benchmark_weights=np.zeros((len(weight), 0)) if columns is None else np.asarray(columns, dtype=float),
    )


def own(process, *names):
    return tuple(Sample(n, process.name, n, (n,)) for n in names)


def test_each_sample_fills_the_density_of_its_benchmark():
    model = Model((MU,), (GG, QQ), (*own(GG, "S", "SBI", "B"), Sample("qq", "qq", "qq", ("qq",))))
    tables = [table("S", [1.0, 2.0]), table("SBI", [5.0]), table("B", [4.0, 4.5]), table("qq", [7.0])]
    events = combine_processes(tables, model)
    assert events.processes == ("S", "SBI", "B", "qq")
    assert events.weights.tolist() == [[1, 0, 0, 0], [2, 0, 0, 0], [0, 5, 0, 0], [0, 0, 4, 0], [0, 0, 4.5, 0], [0, 0, 0, 7]]
    assert events.separate
    assert events.benchmarks == ("S", "SBI", "B")
    np.testing.assert_array_equal(events.benchmark_weights, events.weights[:, :3])
    half = events.select(np.array([0, 2])).scaled(2.0)
    assert half.benchmark_weights.tolist() == [[2, 0, 0], [0, 10, 0]]


def test_joint_weights_stay_as_they_are():
    names = ("S", "SBI", "B")
    model = Model((MU,), (GG, QQ), (Sample("SBI", "gg", "SBI", names), Sample("qq", "qq", "qq", ("qq",))))
    events = combine_processes([table("SBI", [5.0], carried=names, columns=[[1.0, 5.0, 4.0]]), table("qq", [7.0])], model)
    assert not events.separate
    assert events.benchmark_weights is None
    assert events.weights[0].tolist() == [1.0, 5.0, 4.0, 0.0]


def test_densities_follow_from_benchmarks_that_are_none():
    """S from three points of mu: S = (W_10 - sqrt(10) W_1 + (sqrt(10) - 1) W_B) / (10 - sqrt(10))."""
    model = Model((MU,), (EW,), own(EW, "EW_B", "EW_1", "EW_10"))
    events = combine_processes([table("EW_B", [3.0, 1.0]), table("EW_1", [2.0]), table("EW_10", [11.0])], model)
    root = 10.0**0.5
    signal = (11.0 - root * 2.0 + (root - 1.0) * 4.0) / (10.0 - root)
    assert [d.name for d in learned_densities(EW)] == list(events.processes) == ["EW_S", "EW_1", "EW_B"]
    np.testing.assert_allclose(events.yields, [signal, 2.0, 4.0], rtol=1e-12)


def test_more_benchmarks_than_needed_have_the_least_variance():
    """The densities of generalised least squares, written out."""
    rng = np.random.default_rng(3)
    names = ("EW_B", "EW_1", "EW_10", "EW_4")
    tables = [table(n, rng.uniform(0.5, 1.5, 40 * (k + 1)), first=1000 * k) for k, n in enumerate(names)]
    events = combine_processes(tables, Model((MU,), (EW,), own(EW, *names)))
    mu = np.array([0.0, 1.0, 10.0, 4.0])
    design = np.stack([mu, np.sqrt(mu), np.ones(4)], axis=1)  # S, I, B
    inverse = np.diag([1.0 / np.sum(t.weight**2) for t in tables])
    s, i, b = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ [t.weight.sum() for t in tables])
    np.testing.assert_allclose(events.yields, [s, s + i + b, b], rtol=1e-10)


def test_slices_of_one_benchmark_add_up():
    samples = (*own(GG, "S", "SBI"), Sample("B_low", "gg", "B", ("B",)), Sample("B_high", "gg", "B", ("B",)))
    events = combine_processes(
        [table("S", [1.0]), table("SBI", [5.0]), table("B_low", [3.0]), table("B_high", [1.0])], Model((MU,), (GG,), samples)
    )
    assert events.yields.tolist() == [1.0, 5.0, 4.0]


def test_samples_of_both_kinds_are_averaged_by_their_effective_numbers():
    """B is known twice: by two events of 2.0 of its own, and by the one event that knows everything."""
    names = ("S", "SBI", "B")
    model = Model((MU,), (GG,), (Sample("SBI", "gg", "SBI", names), *own(GG, "B")))
    events = combine_processes([table("SBI", [5.0], carried=names, columns=[[1.0, 5.0, 4.3]]), table("B", [2.0, 2.0])], model)
    np.testing.assert_allclose(events.yields, [1.0, 5.0, (1 * 4.3 + 2 * 4.0) / 3], rtol=1e-12)
    np.testing.assert_allclose(events.benchmark_weights[0], [1.0, 5.0, 4.3 / 3], rtol=1e-12)


@pytest.mark.parametrize(
    ("tables", "error", "match"),
    [
        ([table("S", [1.0]), table("SBI", [np.nan]), table("B", [1.0])], PhysicsDomainError, "weight of sample SBI"),
        ([table("S", [1.0]), table("B", [1.0])], SchemaError, "benchmarks"),
    ],
)
def test_what_cannot_be_combined(tables, error, match):
    with pytest.raises(error, match=match):
        combine_processes(tables, Model((MU,), (GG,), own(GG, "S", "SBI", "B")))


def test_a_promised_weight_must_be_there():
    samples = (Sample("S", "gg", "S", ("S", "B")), *own(GG, "SBI", "B"))
    with pytest.raises(ArtifactMismatchError, match="no weights under B"):
        combine_processes([table("S", [1.0]), table("SBI", [5.0]), table("B", [1.0])], Model((MU,), (GG,), samples))


def test_a_sample_of_interference_alone_is_one_term():
    """SBI = S + I + B, with weights of either sign."""
    process = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "I": "S*B", "B": [0, 1]})
    model = Model((MU,), (process,), own(process, "S", "I", "B"))
    events = combine_processes([table("S", [1.0, 2.0]), table("I", [0.5, -1.5]), table("B", [4.0])], model)
    assert events.processes == ("S", "gg_SB", "B")
    assert events.weights.tolist() == [[1, 1, 0], [2, 2, 0], [0, 0.5, 0], [0, -1.5, 0], [0, 4, 4]]
    assert events.yields.tolist() == [3.0, 6.0, 4.0]


def test_a_process_of_one_amplitude_is_no_interference():
    model = Model((MU,), (GG, QQ), (*own(GG, "S", "SBI", "B"), Sample("qq", "qq", "qq", ("qq",))))
    tables = [table("S", [1.0]), table("SBI", [5.0]), table("B", [4.0]), table("qq", [7.0, -8.0])]
    with pytest.raises(PhysicsDomainError, match="interference alone is a benchmark of the process that interferes"):
        combine_processes(tables, model)
