"""From the tables of all samples to the weights under the learned densities of all processes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.config import MorphingConfig
from toolkit.config.model import short_process
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError
from toolkit.model import Model, ModelParameter, Process, Sample
from toolkit.weights import basis, combine_samples
from toolkit.weights.processes import combine_processes

QUARTIC = {"basis": "own", "monomials": ["1", "kappa^2", "kappa^4"], "points": {"low": 0.5, "one": 1.0, "high": 1.5}}
N = 200


@pytest.fixture
def amplitudes():
    s, b = np.random.default_rng(31).normal(size=(2, N, 2)) @ np.array([1.0, 1j])
    return np.abs(s) ** 2, 2 * (s * b.conj()).real, np.abs(b) ** 2


def table(name, columns, names=(), own=0, first=0, **observables):
    weights = np.stack(columns, axis=1)
    x = observables or {"x": np.arange(len(weights), dtype=float)}
    return SimpleNamespace(
        sample=name,
        event_id=np.arange(len(weights), dtype=np.uint64) + np.uint64(first),
        observables=x,
        weight=weights[:, own],
        benchmarks=names,
        benchmark_weights=weights if names else np.zeros((len(weights), 0)),
    )


def model_of(section, parameter, sample):
    process = short_process(MorphingConfig(**section), parameter)
    names = process.benchmark_names
    background = Process.build("qq", {"qq": "1"})
    samples = (Sample(sample, process.name, names[0], names), Sample("qq", "qq", "qq", ("qq",)))
    return Model((ModelParameter(parameter, range=(0.0, 6.0)),), (process, background), samples)


@pytest.mark.parametrize(
    ("section", "parameter", "points"),
    [
        ({"basis": "EW"}, "mu", (0.0, 1.0, 10.0)),
        ({"basis": "EW", "points": {"a": 0.5, "b": 2.0, "c": 10.0}}, "mu", (0.5, 2.0, 10.0)),
        ({"basis": "EW", "points": {"a": 0.5, "b": 2.0, "c": 10.0, "d": 4.0}}, "mu", (0.5, 2.0, 10.0, 4.0)),
        (QUARTIC, "kappa", (0.5**4, 1.0, 1.5**4)),
    ],
)
def test_the_three_densities_follow_from_any_points(amplitudes, section, parameter, points):
    s, i, b = amplitudes
    configured = MorphingConfig(**section)
    model = model_of(section, parameter, configured.carried[0])
    background = np.linspace(1.0, 2.0, N)
    tables = [table(configured.carried[0], [mu * s + np.sqrt(mu) * i + b for mu in points], configured.carried), table("qq", [background])]
    found = combine_processes(tables, model)
    assert found.processes == (*configured.benchmarks, "qq")
    np.testing.assert_allclose(found.weights[:N, :3], np.stack([s, s + i + b, b], axis=1), atol=1e-9)
    np.testing.assert_array_equal(found.weights[N:, 3], background)
    assert not found.weights[:N, 3].any()
    assert not found.weights[N:, :3].any()
    value = 0.81
    f = model.coefficients().values(np.array([[value]]))[0]
    mu = value**4 if parameter == "kappa" else value
    np.testing.assert_allclose(found.weights_at(f)[:N], mu * s + np.sqrt(mu) * i + b, atol=1e-9)


def test_a_density_that_is_carried_stays_bit_for_bit(amplitudes):
    s, i, b = amplitudes
    section = {"basis": "EW", "points": {"B": 0, "SBI": 1, "SBI10": 10, "S": "mu"}, "signal": "S"}
    columns = [b, s + i + b, 10 * s + np.sqrt(10) * i + b, s]
    found = combine_processes([table("B", columns, ("B", "SBI", "SBI10", "S"))], model_of(section, "mu", "B"))
    np.testing.assert_array_equal(found.weights[:, :3], np.stack([columns[3], columns[1], columns[0]], axis=1))


def test_more_amplitudes_than_the_benchmarks_tell_apart_keep_their_points():
    model = model_of({"basis": "kappa"}, "kappa", "kappa_0")
    weights = list(np.random.default_rng(3).uniform(1.0, 2.0, (5, N)))
    found = combine_processes([table("kappa_0", weights, model.processes[0].benchmark_names)], model)
    np.testing.assert_array_equal(found.weights[:, :5], np.stack(weights, axis=1))
    f = model.coefficients().values(np.array([[1.35]]))[0]
    np.testing.assert_allclose(f[:5], basis("kappa").coefficients(1.35), rtol=1e-9)


def test_two_coherent_processes_and_several_samples_of_each(amplitudes):
    """Each process is combined by itself as `combine_samples` does it; samples keep their order; slices of a background add up."""
    s, i, b = amplitudes
    names = ("S", "SBI", "B")
    gg = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
    ew = Process.build("EW", {"S": "sqrt(nu)", "B": "1"}, {"EW_B": {"nu": 0}, "EW_SBI": {"nu": 1}, "EW_10": {"nu": 10}})
    model = Model(
        (ModelParameter("mu", range=(0.0, 6.0)), ModelParameter("nu", range=(0.0, 6.0))),
        (gg, ew, Process.build("qq", {"qq": "1"})),
        (
            Sample("S", "gg", "S", names),
            Sample("EW_low", "EW", "EW_SBI", ew.benchmark_names),
            Sample("B", "gg", "B", names),
            Sample("EW_high", "EW", "EW_SBI", ew.benchmark_names),
            Sample("qq_low", "qq", "qq", ("qq",)),
            Sample("qq_high", "qq", "qq", ("qq",)),
        ),
    )
    columns = [s, s + i + b, b]
    of_ew = [b, s + i + b, 10 * s + np.sqrt(10) * i + b]
    half = N // 2
    tables = [
        table("S", columns, names),
        table("EW_low", [c[:half] for c in of_ew], ew.benchmark_names, own=1),
        table("B", columns, names, own=2),
        table("EW_high", [c[half:] for c in of_ew], ew.benchmark_names, own=1),
        table("qq_low", [np.full(3, 2.0)]),
        table("qq_high", [np.full(4, 5.0)]),
    ]
    found = combine_processes(tables, model)
    assert found.processes == ("S", "SBI", "B", "EW_S", "EW_SBI", "EW_B", "qq")
    assert found.samples == tuple(t.sample for t in tables)
    alone = combine_samples([tables[0], tables[2]], processes=names, benchmarks=names)
    gg_rows = np.isin(found.sample_index, [0, 2])
    np.testing.assert_array_equal(found.weights[gg_rows, :3], alone.weights)
    assert not found.weights[gg_rows, 3:].any()
    assert found.yields[6] == 3 * 2.0 + 4 * 5.0
    ew_rows = np.isin(found.sample_index, [1, 3])
    assert found.weights[ew_rows][:, 3:6].sum() > 0
    # shares of two samples generated at one point are those of their numbers of events per weight, the same for both halves here
    total = found.alone("EW_low").weights[:, 3].sum() + found.alone("EW_high").weights[:, 3].sum()
    assert total == pytest.approx(s.sum(), rel=1e-9)


def test_bad_tables_are_refused(amplitudes):
    s, i, b = amplitudes
    model = model_of({"basis": "EW"}, "mu", "EW_B")
    good = table("EW_B", [b, s + i + b, 10 * s + np.sqrt(10) * i + b], model.processes[0].benchmark_names)
    with pytest.raises(ArtifactMismatchError, match="unknown"):
        combine_processes([good, table("unknown", [b])], model)
    with pytest.raises(ArtifactMismatchError, match="observables of sample qq"):
        combine_processes([good, table("qq", [b], y=b)], model)
    with pytest.raises(PhysicsDomainError, match="sample qq"):
        combine_processes([good, table("qq", [np.where(b > 1.0, np.nan, b)])], model)


def test_parts_of_one_benchmark_are_one_sample() -> None:
    """Slices that know all weights: joined before the shares are taken, as if one table held the events of both."""
    names = ("S", "SBI", "B")
    process = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
    rng = np.random.default_rng(5)

    def table(sample: str, own: int, n: int) -> SimpleNamespace:
        weights = rng.uniform(0.5, 1.5, (n, 3)) * [0.1, 1.0, 1.2]
        ids = np.arange(n, dtype=np.uint64)
        return SimpleNamespace(
            sample=sample,
            event_id=ids,
            observables={"x": rng.normal(size=n)},
            weight=weights[:, own],
            benchmarks=names,
            benchmark_weights=weights,
        )

    low, signal, high = table("low", 1, 30), table("S", 0, 20), table("high", 1, 50)
    mu = ModelParameter("mu", range=(0.0, 6.0))
    samples = (Sample("low", "gg", "SBI", names), Sample("S", "gg", "S", names), Sample("high", "gg", "SBI", names))
    found = combine_processes([low, signal, high], Model((mu,), (process,), samples))
    whole = SimpleNamespace(
        sample="SBI",
        event_id=np.concatenate([low.event_id, high.event_id]),
        observables={"x": np.concatenate([low.observables["x"], high.observables["x"]])},
        weight=np.concatenate([low.weight, high.weight]),
        benchmarks=names,
        benchmark_weights=np.concatenate([low.benchmark_weights, high.benchmark_weights]),
    )
    two = (Sample("SBI", "gg", "SBI", names), Sample("S", "gg", "S", names))
    expected = combine_processes([whole, signal], Model((mu,), (process,), two)).weights
    np.testing.assert_allclose(found.weights, np.concatenate([expected[:30], expected[80:], expected[30:80]]), rtol=1e-12)
