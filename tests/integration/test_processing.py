"""Whole processing runs on small ntuples: equal results whatever the executor, resuming, and errors that stop the run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import ProcessingResult, fill_histograms, run
from processors.executors import LocalExecutor
from processors.histograms import read_histograms
from toolkit.artifacts import EventTable, read_events
from toolkit.config import Config, parse_config
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError

FLAT = {"kind": "flat", "n_leptons": 5, "n_jets": 6, "benchmark_weights": ["w_ggF_S", "w_ggF_B", "w_ggF_SBI"]}


@pytest.fixture
def folder(tmp_path: Path, ntuples: ModuleType) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for i in range(2):
        ntuples.write_nano(data / f"signal_{i}.root", ntuples.make_events(60, seed=i, first=1 + 60 * i))
    ntuples.write_nano(data / "qqZZ.root", ntuples.make_events(50, seed=5, first=1000), benchmarks=False)
    return data


def _config(folder: Path, ntuples: ModuleType, **signal: Any) -> Config:
    samples = [ntuples.signal_sample("signal_*.root", **signal), {"name": "qqZZ", "files": ["qqZZ.root"]}]
    return ntuples.make_config(folder, samples)  # type: ignore[no-any-return]


def _assert_same_tables(left: Path, right: Path, sample: str, *, rtol: float = 0.0) -> None:
    a, b = read_events(left / "events", sample), read_events(right / "events", sample)
    assert a.observables.keys() == b.observables.keys()
    for name, x, y in [
        ("event_id", a.event_id, b.event_id),
        ("weight", a.weight, b.weight),
        ("benchmark_weights", a.benchmark_weights, b.benchmark_weights),
        ("channel", a.channel, b.channel),
        *((name, a.observables[name], b.observables[name]) for name in a.observables),
    ]:
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol, err_msg=name)


def _assert_same_histograms(left: Path, right: Path, sample: str) -> None:
    a, b = (read_histograms(out / "histograms" / f"{sample}.json") for out in (left, right))
    assert a.keys() == b.keys()
    for name in a:
        for field in ("value", "variance"):
            np.testing.assert_allclose(a[name].view(flow=True)[field], b[name].view(flow=True)[field], rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_run_writes_tables_histograms_and_cutflow_that_agree(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    calls: list[tuple[str, float, float]] = []
    result = run(_config(folder, ntuples), tmp_path / "out", chunksize=25, progress=lambda *call: calls.append(call))
    assert isinstance(result, ProcessingResult)
    assert (result.chunks, result.reused) == (6, 0)
    assert calls[0] == ("process", 0.0, 170.0)
    assert [c for c in calls if c[0] == "process"][-1] == ("process", 170.0, 170.0)
    assert [c[1] for c in calls if c[0] == "process"] == sorted(c[1] for c in calls if c[0] == "process")
    assert calls[-2:] == [("histograms", 1, 2), ("histograms", 2, 2)]
    cutflow = json.loads((tmp_path / "out" / "cutflow.json").read_text())["samples"]
    for sample, benchmarks in (("ggF_SBI", ntuples.BENCHMARKS), ("qqZZ", ())):
        table = read_events(tmp_path / "out" / "events", sample)
        assert table.benchmarks == benchmarks
        assert len(table) == result.selected[sample] == cutflow[sample]["m4l"]["events"] > 20
        assert table.weight.sum() == pytest.approx(result.yields[sample], rel=1e-12)
        assert cutflow[sample]["all"]["sumw"] == pytest.approx(ntuples.XSEC_FB * 100.0, rel=1e-6)
        histogram = read_histograms(tmp_path / "out" / "histograms" / f"{sample}.json")["m4l"]
        assert histogram["own", sum].value <= table.weight.sum() * (1 + 1e-12)
        assert histogram.view(flow=True)["value"][0].sum() == pytest.approx(table.weight.sum(), rel=1e-12)
        assert np.all(np.diff(table.event_id.astype(np.int64)) > 0)


def test_another_binning_is_filled_from_the_tables_without_the_ntuples(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    config, out = _config(folder, ntuples), tmp_path / "out"
    run(config, out, chunksize=25)
    edges = [180.0, 260.0, 333.0, 2000.0]
    document = {"samples": [{"name": "any", "files": ["any.root"]}], "luminosity_ifb": 1.0}
    binning = parse_config({**document, "histograms": {"mass": {"observable": "m4l", "edges": edges}}}, folder=folder).histograms
    other = config.model_copy(update={"histograms": binning})
    for path in folder.glob("*.root"):
        path.unlink()
    files = fill_histograms(other, out / "events", out)
    assert [path.name for path in files] == ["ggF_SBI.json", "qqZZ.json"]
    table = read_events(out / "events", "ggF_SBI")
    filled = read_histograms(files[0])["baseline:mass"]
    for k, weights in enumerate([table.weight, *table.benchmark_weights.T]):
        for power, values in ((1, filled.view()["value"][k]), (2, filled.view()["variance"][k])):
            np.testing.assert_allclose(values, np.histogram(table.observables["m4l"], edges, weights=weights**power)[0], rtol=1e-12)


def test_benchmark_weights_are_the_weight_times_the_ratio_of_the_event(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    run(_config(folder, ntuples), tmp_path / "out")
    table = read_events(tmp_path / "out" / "events", "ggF_SBI")
    events = {e.number: e for i in range(2) for e in ntuples.make_events(60, seed=i, first=1 + 60 * i)}
    sumw = sum(e.gen_weight for e in events.values())
    for i, number in enumerate(table.event_id.tolist()):
        expected = events[number].gen_weight * ntuples.XSEC_FB * 100.0 / sumw
        assert table.weight[i] == pytest.approx(expected, rel=1e-12)
        assert table.benchmark_weights[i].tolist() == pytest.approx([expected * r for r in events[number].ratios], rel=1e-12)


def test_executors_and_chunk_sizes_give_the_same(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    config = _config(folder, ntuples)
    run(config, tmp_path / "one")
    run(config, tmp_path / "many", chunksize=13)
    run(config, tmp_path / "futures", executor="futures", workers=2, chunksize=40)
    for sample in ("ggF_SBI", "qqZZ"):
        for other in ("many", "futures"):
            _assert_same_tables(tmp_path / "one", tmp_path / other, sample)
            _assert_same_histograms(tmp_path / "one", tmp_path / other, sample)


def test_flat_ntuples_give_the_same_tables(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    run(_config(folder, ntuples), tmp_path / "nano")
    for i in range(2):
        ntuples.write_flat(folder / f"flat_{i}.root", ntuples.make_events(60, seed=i, first=1 + 60 * i), scale=1000.0)
    layout = FLAT | {"momentum_unit": "MeV"}
    flat = ntuples.signal_sample("flat_*.root", layout=layout, xsec_pb=ntuples.XSEC_FB * 1e-3, gen_sumw="sum")
    run(ntuples.make_config(folder, [flat]), tmp_path / "flat")
    _assert_same_tables(tmp_path / "nano", tmp_path / "flat", "ggF_SBI", rtol=1e-9)


def test_a_second_run_reuses_every_chunk_and_a_third_makes_the_lost_one(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    config, out = _config(folder, ntuples), tmp_path / "out"
    run(config, tmp_path / "reference", chunksize=25)
    run(config, out, chunksize=25)
    stamps = {p: p.stat().st_mtime_ns for p in (out / "events").rglob("*.parquet")}
    again = run(config, out, chunksize=25)
    assert (again.chunks, again.reused) == (6, 6)
    lost = out / "events" / "ggF_SBI" / "0001_0000000000.parquet"
    lost.unlink()
    damaged = out / "events" / "qqZZ" / "0000_0000000000.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    resumed = run(config, out, chunksize=25)
    assert (resumed.chunks, resumed.reused) == (6, 4)
    changed = {p for p, stamp in stamps.items() if p.stat().st_mtime_ns != stamp}
    assert changed == {lost, damaged}
    for sample in ("ggF_SBI", "qqZZ"):
        _assert_same_tables(tmp_path / "reference", out, sample)
        _assert_same_histograms(tmp_path / "reference", out, sample)
    assert resumed.cutflow["qqZZ"]["m4l"] == pytest.approx(again.cutflow["qqZZ"]["m4l"], rel=1e-12)


def test_a_changed_selection_reuses_nothing_and_leaves_no_stale_files(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    config, out = _config(folder, ntuples), tmp_path / "out"
    run(config, out, chunksize=25)
    narrow = config.model_copy(update={"selection": config.selection.model_copy(update={"m4l": (220.0, 400.0)})})
    result = run(narrow, out, chunksize=60)
    assert result.reused == 0
    assert len(list((out / "events").rglob("*.parquet"))) == 3
    assert read_events(out / "events", "qqZZ").observables["m4l"].max() < 400.0


def test_an_interrupted_run_is_not_taken_for_a_complete_one(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    config, out = _config(folder, ntuples), tmp_path / "out"
    run(config, out, chunksize=25)
    other = config.model_copy(update={"luminosity_ifb": 50.0})

    def interrupt(label: str, done: float, total: float) -> None:
        if done > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(other, out, chunksize=25, progress=interrupt)
    with pytest.raises(InputFileError, match=r"index\.json"):
        read_events(out / "events", "ggF_SBI")
    resumed = run(other, out, chunksize=25)
    assert 0 < resumed.reused < resumed.chunks
    assert resumed.cutflow["ggF_SBI"]["all"]["sumw"] == pytest.approx(ntuples.XSEC_FB * 50.0, rel=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("branch", ["genWeight", "LHEReweightingWeight"])
def test_a_weight_that_is_not_finite_stops_the_run(folder: Path, tmp_path: Path, ntuples: ModuleType, branch: str, value: float) -> None:
    events = ntuples.make_events(60, seed=1, first=61)
    number = 33
    if branch == "genWeight":
        events[number] = dataclasses.replace(events[number], gen_weight=value)
    else:
        events[number] = dataclasses.replace(events[number], ratios=(0.1, value, 1.0))
    ntuples.write_nano(folder / "signal_1.root", events)
    config = _config(folder, ntuples, gen_sumw=100.0)
    what = "generator weight" if branch == "genWeight" else "benchmark weight of ggF_B"
    with pytest.raises(PhysicsDomainError, match=rf"(?s){what} of event 94 \(entry 33\) in .*signal_1\.root.*{value}.*never dropped"):
        run(config, tmp_path / "out", chunksize=25)
    assert not (tmp_path / "out" / "events" / "index.json").exists()
    assert not (tmp_path / "out" / "cutflow.json").exists()


def test_errors_of_worker_processes_keep_their_type(
    folder: Path, tmp_path: Path, ntuples: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    events = ntuples.make_events(60, seed=1, first=61)
    events[5] = dataclasses.replace(events[5], gen_weight=float("nan"))
    ntuples.write_nano(folder / "signal_1.root", events)
    with pytest.raises(PhysicsDomainError, match=r"event 66 \(entry 5\) in .*signal_1\.root"):
        run(_config(folder, ntuples, gen_sumw=100.0), tmp_path / "out", executor="futures", workers=1)
    assert "Traceback" not in capfd.readouterr().err


def test_zero_selected_events_is_an_error_that_names_the_cut(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    config = _config(folder, ntuples)
    impossible = config.model_copy(update={"selection": config.selection.model_copy(update={"m_z2": (114.9, 115.0)})})
    with pytest.raises(PhysicsDomainError, match=r"(?s)sample ggF_SBI.*zero.*'all': 120.*cut 'm_z2' leaves nothing"):
        run(impossible, tmp_path / "out")
    assert not (tmp_path / "out" / "events" / "index.json").exists()


def test_an_unwritable_output_folder_is_found_before_any_work(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputFileError, match=r"(?s)cannot write .*file/out.*--out"):
        run(_config(folder, ntuples), tmp_path / "file" / "out")


def test_an_event_that_occurs_twice_is_refused(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(folder / "signal_2.root", ntuples.make_events(60, seed=1, first=61))
    with pytest.raises(ArtifactMismatchError, match=r"(?s)event number \d+ of sample ggF_SBI.*signal_1\.root.*signal_2\.root.*split"):
        run(_config(folder, ntuples), tmp_path / "out")


def test_a_copy_of_a_file_is_refused(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    (folder / "signal_2.root").write_bytes((folder / "signal_1.root").read_bytes())
    with pytest.raises(ArtifactMismatchError, match=r"(?s)signal_1\.root and .*signal_2\.root.* one is a copy.*remove one"):
        run(_config(folder, ntuples), tmp_path / "out")


def test_a_basket_that_cannot_be_decoded_is_an_input_error(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    import uproot

    path = folder / "signal_1.root"
    with uproot.open(path) as file:
        basket = file["Events"]["Muon_phi"].basket(0)
        position, length = basket._cursor.index, basket.compressed_bytes
    content = bytearray(path.read_bytes())
    content[position : position + length] = b"\xff" * length
    path.write_bytes(bytes(content))
    with pytest.raises(InputFileError, match=r"(?s)signal_1\.root.*entries 0 to 60 of tree 'Events'"):
        run(_config(folder, ntuples), tmp_path / "out")


class _LosesOne(LocalExecutor):
    def __call__(self, items: Any, function: Any, accumulator: Any) -> Any:
        return super().__call__(items[:-1], function, accumulator)


def test_a_lost_chunk_is_an_error(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    with pytest.raises(ArtifactMismatchError, match=r"(?s)1 of 6 chunks missing"):
        run(_config(folder, ntuples), tmp_path / "out", chunksize=25, executor=_LosesOne())
    assert not (tmp_path / "out" / "events" / "index.json").exists()


def test_wrong_options_are_named(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    wrong: Any = "parallel"
    with pytest.raises(SchemaError, match="'parallel'"):
        run(_config(folder, ntuples), tmp_path / "out", executor=wrong)
    with pytest.raises(SchemaError, match="workers"):
        run(_config(folder, ntuples), tmp_path / "out", executor="futures", workers=0)


def test_an_empty_file_of_a_sample_is_fine(folder: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    reference = run(_config(folder, ntuples), tmp_path / "reference")
    ntuples.write_nano(folder / "signal_2.root", [])
    result = run(_config(folder, ntuples), tmp_path / "out")
    assert result.selected == reference.selected
    table = read_events(tmp_path / "out" / "events", "ggF_SBI")
    assert isinstance(table, EventTable)
    assert len(table) == reference.selected["ggF_SBI"]
