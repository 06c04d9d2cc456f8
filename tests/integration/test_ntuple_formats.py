"""The same events written in every format: inspect recognises each, its snippet runs, and all give the same event tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from processors import run
from processors.inspect import inspect_file
from toolkit.artifacts import EventTable, read_events
from toolkit.config import Config, parse_config

N_EVENTS = 80


def _writers(ntuples: ModuleType) -> dict[str, Callable[..., Path]]:
    return {
        "nanoaod": ntuples.write_nano,
        "flat": ntuples.write_flat,
        "csv": ntuples.write_csv,
        "mapping": ntuples.write_cartesian,
        "atlas": ntuples.write_atlas,
        "lhe": ntuples.write_lhe,
    }


def _written(kind: str, folder: Path, ntuples: ModuleType) -> Path:
    path = folder / f"events.{kind if kind in {'csv', 'lhe'} else 'root'}"
    return _writers(ntuples)[kind](path, ntuples.make_events(N_EVENTS, seed=3))


def _pasted(path: Path) -> dict[str, Any]:
    """The snippet as a user would paste it, with an open selection so that enough events are compared."""
    document = yaml.safe_load(inspect_file(path).snippet)
    loose = {"m_z1": [1.0, 200.0], "m_z2": [1.0, 200.0], "m4l": [1.0, 5000.0], "n_leptons_exact": False}
    return document | {"selection": loose}


def _process(document: dict[str, Any], out: Path, **options: Any) -> tuple[Config, EventTable]:
    config = parse_config(document, folder=out.parent)
    run(config, out, **options)
    return config, read_events(out / "events", config.samples[0].name)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, ntuples: ModuleType) -> EventTable:
    folder = tmp_path_factory.mktemp("reference")
    return _process(_pasted(_written("nanoaod", folder, ntuples)), folder / "out")[1]


@pytest.mark.parametrize(
    ("kind", "layout"),
    [("flat", "flat"), ("csv", "flat"), ("mapping", "mapping"), ("atlas", "atlas"), ("lhe", "lhe")],
)
def test_every_format_gives_the_same_events(kind: str, layout: str, tmp_path: Path, ntuples: ModuleType, reference: EventTable) -> None:
    path = _written(kind, tmp_path, ntuples)
    assert inspect_file(path).layout == layout
    _, table = _process(_pasted(path), tmp_path / "out")
    assert len(table) == len(reference) > 50
    assert table.channel.tolist() == reference.channel.tolist()
    for name, values in reference.observables.items():
        np.testing.assert_allclose(table.observables[name], values, rtol=2e-5, atol=2e-6, err_msg=name)
    ratio = table.weight / reference.weight
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["nanoaod", "flat", "csv", "mapping", "atlas", "lhe"])
def test_the_snippet_runs_without_a_change(kind: str, tmp_path: Path, ntuples: ModuleType) -> None:
    snippet = inspect_file(_written(kind, tmp_path, ntuples)).snippet
    config, table = _process(yaml.safe_load(snippet), tmp_path / "out")
    assert len(table) > 0
    assert config.samples[0].kind == "simulation"


@pytest.mark.parametrize("kind", ["csv", "lhe"])
def test_text_files_give_the_same_in_any_chunks_and_processes(kind: str, tmp_path: Path, ntuples: ModuleType) -> None:
    document = _pasted(_written(kind, tmp_path, ntuples))
    _, whole = _process(document, tmp_path / "whole")
    _, parts = _process(document, tmp_path / "parts", chunksize=17)
    _, workers = _process(document, tmp_path / "workers", chunksize=40, executor="futures", workers=1)
    for other in (parts, workers):
        assert other.event_id.tolist() == whole.event_id.tolist()
        np.testing.assert_array_equal(other.observables["m4l"], whole.observables["m4l"])
        np.testing.assert_array_equal(other.weight, whole.weight)


def test_lhe_weights_become_benchmarks_by_name(tmp_path: Path, ntuples: ModuleType, reference: EventTable) -> None:
    document = _pasted(_written("lhe", tmp_path, ntuples))
    names = list(ntuples.BENCHMARKS)
    document["samples"][0] |= {"name": "ggF_SBI", "benchmarks": names, "layout": {"kind": "lhe", "benchmark_weights": names}}
    _, table = _process(document, tmp_path / "out")
    np.testing.assert_allclose(table.benchmark_weights, reference.benchmark_weights, rtol=1e-6)


def test_atlas_weights_are_mc_weight_times_scale_factors_over_the_sum(tmp_path: Path, ntuples: ModuleType, reference: EventTable) -> None:
    events = ntuples.make_events(N_EVENTS, seed=3)
    factors = np.random.default_rng(1).uniform(0.8, 1.2, N_EVENTS).astype(np.float32)
    ntuples.write_atlas(tmp_path / "a.root", events, scaleFactor_MUON=factors)
    _, table = _process(_pasted(tmp_path / "a.root"), tmp_path / "out")
    by_number = {e.number: float(f) for e, f in zip(events, factors, strict=True)}
    expected = reference.weight * [by_number[int(i)] for i in table.event_id]
    np.testing.assert_allclose(table.weight, expected, rtol=1e-6)


def test_an_atlas_sample_in_two_files_has_one_sum_of_weights(tmp_path: Path, ntuples: ModuleType, reference: EventTable) -> None:
    events = ntuples.make_events(N_EVENTS, seed=3)
    total = {"SumWeights": np.full(N_EVENTS // 2, sum(e.gen_weight for e in events))}
    for i in range(2):
        ntuples.write_atlas(tmp_path / f"part_{i}.root", events[i * N_EVENTS // 2 : (i + 1) * N_EVENTS // 2], **total)
    document = _pasted(tmp_path / "part_0.root")
    document["samples"][0]["files"] = ["part_*.root"]
    _, table = _process(document, tmp_path / "out")
    np.testing.assert_allclose(table.weight, reference.weight, rtol=1e-6)


def test_data_have_weight_one_whatever_the_luminosity(tmp_path: Path, ntuples: ModuleType, reference: EventTable) -> None:
    zeros = np.zeros(N_EVENTS, dtype=np.float32)
    path = ntuples.write_atlas(tmp_path / "data.root", ntuples.make_events(N_EVENTS, seed=3), mcWeight=zeros, SumWeights=zeros)
    document = _pasted(path)
    assert document["samples"][0]["kind"] == "data"
    config, table = _process(document, tmp_path / "out")
    assert set(table.weight.tolist()) == {1.0}
    assert len(table) == len(reference)
    assert config.backgrounds == ()


def test_events_without_a_number_are_numbered_by_file_and_entry(tmp_path: Path, ntuples: ModuleType) -> None:
    for i in range(2):
        ntuples.write_cartesian(tmp_path / f"part_{i}.root", ntuples.make_events(20, seed=i))
    document = _pasted(tmp_path / "part_0.root")
    document["samples"][0]["files"] = ["part_*.root"]
    _, whole = _process(document, tmp_path / "whole")
    _, parts = _process(document, tmp_path / "parts", chunksize=7)
    assert len(set(whole.event_id.tolist())) == len(whole)
    assert {int(n) >> 32 for n in whole.event_id} == {0, 1}
    assert parts.event_id.tolist() == whole.event_id.tolist()
