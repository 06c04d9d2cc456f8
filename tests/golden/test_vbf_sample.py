"""Electroweak ZZ + 2 jets through the processor: morphing event by event, categories of jets, the shapes of signal and background."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from processors import ProcessingResult, run
from toolkit.artifacts import EventTable, read_events
from toolkit.config import MorphingConfig, load_config
from toolkit.config.model import short_process
from toolkit.diagnostics import leave_out_closure
from toolkit.model import Model, ModelParameter, Sample
from toolkit.weights import basis
from toolkit.weights.processes import combine_processes

CONFIG = Path(__file__).resolve().parents[2] / "examples" / "vbf4ljj.yaml"
BENCHMARKS = ("EW_S", "EW_B", "EW_SBI", "EW_SBI10")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ProcessingResult:
    return run(load_config(CONFIG, data=Path(__file__).parent), tmp_path_factory.mktemp("vbf"))


@pytest.fixture(scope="module")
def table(result: ProcessingResult) -> EventTable:
    return read_events(result.out / "events", "EW_SBI")


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    there = ~np.isnan(values)
    return float(np.average(values[there], weights=weights[there]))


def test_what_is_selected(result: ProcessingResult, table: EventTable) -> None:
    assert result.inputs[0].entries == 2000
    assert len(table) == result.selected["EW_SBI"] == 1128
    assert table.benchmarks == BENCHMARKS
    assert "vbf_phi_1" in table.observables
    np.testing.assert_array_equal(table.benchmark_weights[:, 2], table.weight)


@pytest.mark.parametrize("mu", [0.0, 0.25, 1.0, 4.0, 10.0])
def test_morphing_holds_event_by_event(table: EventTable, mu: float) -> None:
    s, b, sbi, sbi10 = table.benchmark_weights.T
    expected = mu * s + np.sqrt(mu) * (sbi - s - b) + b
    size = mu * s + np.sqrt(mu) * (np.abs(sbi) + s + b) + b
    at_mu = {0.0: b, 1.0: sbi, 10.0: sbi10}
    if mu in at_mu:
        np.testing.assert_array_less(np.abs(at_mu[mu] - expected) / size, 1e-6)
    signal = basis("ggF").weights(np.stack([s, sbi, b], axis=1), mu)
    np.testing.assert_array_less(np.abs(signal - expected) / size, 1e-12)
    three = basis("EW").weights(np.stack([b, sbi, sbi10], axis=1), mu)
    np.testing.assert_array_less(np.abs(three - expected) / (size + sbi10), 1e-6)


POINTS = {"S": "mu", "B": 0.0, "SBI1": 1.0, "SBI10": 10.0}


@pytest.mark.parametrize("left_out", ["SBI10", "SBI1", "S", "B"])
def test_any_of_four_benchmarks_follows_from_the_other_three(table: EventTable, left_out: str) -> None:
    """Event by event to 1e-7 of the terms, and so in every bin of every observable."""
    edges = {"m4l": np.array([200.0, 300.0, 450.0, 2000.0]), "delta_eta_jj": np.array([0.0, 2.0, 4.0, 9.0])}
    closure = leave_out_closure(
        table.benchmark_weights,
        benchmarks=POINTS,
        monomials=["mu", "sqrt(mu)", "1"],
        left_out=left_out,
        observables=table.observables,
        edges=edges,
    )
    assert closure.exact
    assert closure.event_deviation is not None
    assert closure.event_deviation < 1e-7
    assert closure.predicted == pytest.approx(closure.true, rel=1e-6)
    for histogram in closure.histograms:
        assert histogram.true.min() > 0
        assert histogram.largest_deviation < 1e-5


def test_a_config_may_name_the_electroweak_basis(table: EventTable) -> None:
    """Weights at mu = 0, 1, 10 give S, SBI and B: S to the rounding of the larger weights, the others bit for bit."""
    section = MorphingConfig(basis="EW", points={"EW_B": 0, "EW_SBI": 1, "EW_SBI10": 10}, signal="pure")
    process = short_process(section, "mu")
    sample = Sample(table.sample, process.name, table.sample, section.carried)
    densities = combine_processes([table], Model((ModelParameter("mu", range=(0.0, 6.0)),), (process,), (sample,)))
    s, b, sbi, sbi10 = table.benchmark_weights.T
    assert densities.processes == ("pure", "EW_SBI", "EW_B")
    np.testing.assert_array_less(np.abs(densities.weights[:, 0] - s) / (s + b + sbi + sbi10), 1e-7)
    np.testing.assert_array_equal(densities.weights[:, 1:], np.stack([sbi, b], axis=1))


def test_jets_of_the_signal_are_further_apart(table: EventTable) -> None:
    s, b, sbi, _ = table.benchmark_weights.T
    distance = table.observables["delta_eta_jj"]
    assert _mean(distance, s) == pytest.approx(5.5, abs=0.3)
    assert _mean(distance, b) == pytest.approx(3.9, abs=0.3)
    assert s.sum() + b.sum() > 1.1 * sbi.sum()  # the interference is negative


def test_categories_of_jets_cut_the_sample_into_parts(result: ProcessingResult, table: EventTable) -> None:
    n_jets, regions = table.observables["n_jets"], table.regions
    for name, inside in (("jets_0", n_jets == 0), ("jets_1", n_jets == 1), ("jets_2", n_jets >= 2)):
        np.testing.assert_array_equal(regions[name], inside)
        assert result.regions["EW_SBI"][name]["events"] == inside.sum() > 0
    vbf_like = (table.observables["m_jj"] > 400) & (table.observables["delta_eta_jj"] > 3)
    np.testing.assert_array_equal(regions["vbf_like"], vbf_like)
    assert 0.5 < vbf_like[regions["jets_2"]].mean() < 0.9
    for name in ("m_jj", "vbf_phi", "q2_v1", "eta_j2"):
        np.testing.assert_array_equal(np.isnan(table.observables[name]), n_jets < 2, err_msg=name)


def test_virtualities_of_the_signal_are_space_like(table: EventTable) -> None:
    there = table.observables["n_jets"] >= 2
    for name in ("q2_v1", "q2_v2"):
        assert np.mean(table.observables[name][there] > 0) > 0.999


def test_the_whole_sample(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    whole = run(load_config(CONFIG, data=shared_data("vbfzz4ljj/EW_SBI.root").parent), tmp_path)
    table = read_events(tmp_path / "events", "EW_SBI")
    s, b, sbi, sbi10 = table.benchmark_weights.T
    assert whole.selected["EW_SBI"] == 84_414
    size = 10 * s + np.sqrt(10) * (np.abs(sbi) + s + b) + b
    expected = 10 * s + np.sqrt(10) * (sbi - s - b) + b
    assert np.max(np.abs(sbi10 - expected) / size) < 1e-6
    assert _mean(table.observables["delta_eta_jj"], s) == pytest.approx(5.33, abs=0.01)
    assert _mean(table.observables["delta_eta_jj"], b) == pytest.approx(3.89, abs=0.01)
