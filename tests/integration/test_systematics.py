"""Whole runs with systematics, regions and ROOT ntuples: identities, expected moves, equal results whatever the chunking."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from processors import inspect_inputs, run
from processors.histograms import read_histograms
from toolkit.artifacts import match_events, read_events, variations_of
from toolkit.config import Config
from toolkit.errors import InputFileError, SchemaError

SIZE = 0.01
SYSTEMATICS = {
    "objects": {
        "electron_scale": {"object": "electron", "kind": "scale", "size": SIZE},
        "muon_resolution": {"object": "muon", "kind": "resolution", "size": 0.02},
        "jet_scale": {"object": "jet", "kind": "scale", "size": 0.1},
        "nothing": {"object": "muon", "kind": "scale", "size": 0.0},
    },
    "weights": {
        "scale": {"kind": "pair", "vector": "LHEScaleWeight", "up": 0, "down": 1, "samples": ["ggF_SBI"]},
        "pdf": {"kind": "members", "vector": "LHEPdfWeight", "first": 1, "last": 4, "combine": "hessian", "samples": ["ggF_SBI"]},
    },
}
REGIONS = {"high": "m4l > 300", "dijet": "n_jets >= 2 and m_jj > 60", "no_dijet": "not (n_jets >= 2 and m_jj > 60)"}
OPEN = {"m_z1": [0, 1000], "m_z2": [0, 1000], "m4l": [0, 5000]}


def _weights(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    scale = np.stack([rng.uniform(1.1, 1.4, n), rng.uniform(0.7, 0.9, n)], axis=1)
    vectors = {"LHEScaleWeight": scale, "LHEPdfWeight": rng.normal(1, 0.05, (n, 5))}
    return {name: ak.values_astype(ak.from_regular(values), "float32") for name, values in vectors.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ntuples: ModuleType) -> Path:
    data: Path = tmp_path_factory.mktemp("ntuples")
    for i in range(2):
        ntuples.write_nano(data / f"signal_{i}.root", ntuples.make_events(80, seed=i, first=1 + 80 * i), **_weights(80, i))
    ntuples.write_nano(data / "qqZZ.root", ntuples.make_events(60, seed=5, first=1000), benchmarks=False)
    return data


def _config(folder: Path, ntuples: ModuleType, **sections: Any) -> Config:
    samples = [ntuples.signal_sample("signal_*.root"), {"name": "qqZZ", "files": ["qqZZ.root"]}]
    return ntuples.make_config(folder, samples, **{"systematics": SYSTEMATICS, "regions": REGIONS, "selection": OPEN, **sections})  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def out(folder: Path, ntuples: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("out")
    run(_config(folder, ntuples, outputs={"root": "ttree"}), path)
    return path


OBJECTS = ("electron_scale_up", "electron_scale_down", "muon_resolution_up", "jet_scale_up", "jet_scale_down", "nothing_up", "nothing_down")
WEIGHTS = ("scale_up", "scale_down", "pdf_1", "pdf_2", "pdf_3", "pdf_4")


def test_every_variation_can_be_read_by_name(out: Path) -> None:
    assert set(variations_of(out / "events", "ggF_SBI")) == {"nominal", *OBJECTS, *WEIGHTS}
    assert set(variations_of(out / "events", "qqZZ")) == {"nominal", *OBJECTS}
    with pytest.raises(SchemaError, match=r"(?s)'scale_up' of sample qqZZ.*electron_scale_up"):
        read_events(out / "events", "qqZZ", variation="scale_up")
    assert read_events(out / "events", "qqZZ", variation="jet_scale_up").variation == "jet_scale_up"


def test_the_nominal_tables_do_not_feel_the_systematics(out: Path, folder: Path, ntuples: ModuleType, tmp_path: Path) -> None:
    plain = run(_config(folder, ntuples, systematics={}, regions={}), tmp_path)
    for sample in ("ggF_SBI", "qqZZ"):
        with_all, without = read_events(out / "events", sample), read_events(tmp_path / "events", sample)
        assert list(with_all.observables) == list(without.observables)
        for name in without.observables:
            assert with_all.observables[name].tobytes() == without.observables[name].tobytes(), name
        assert with_all.weight.tobytes() == without.weight.tobytes()
        assert with_all.benchmark_weights.tobytes() == without.benchmark_weights.tobytes()
        assert read_histograms(out / "histograms" / f"{sample}.json") == read_histograms(tmp_path / "histograms" / f"{sample}.json")
    cutflow = json.loads((out / "cutflow.json").read_text())
    assert cutflow["samples"] == plain.cutflow
    assert "variations" not in json.loads((tmp_path / "cutflow.json").read_text())


@pytest.mark.parametrize("variation", ["nothing_up", "nothing_down"])
def test_a_shift_by_nothing_is_the_nominal_bit_for_bit(out: Path, variation: str) -> None:
    nominal, varied = (read_events(out / "events", "ggF_SBI", variation=v) for v in ("nominal", variation))
    assert nominal.entry.tobytes() == varied.entry.tobytes()
    assert nominal.weight.tobytes() == varied.weight.tobytes()
    for name, values in nominal.observables.items():
        assert values.tobytes() == varied.observables[name].tobytes(), name
    histograms = [read_histograms(out / "histograms" / f"ggF_SBI{ending}.json") for ending in ("", f"@{variation}")]
    assert histograms[0] == histograms[1]


def test_an_energy_scale_moves_masses_by_its_size_event_by_event(out: Path) -> None:
    nominal = read_events(out / "events", "ggF_SBI")
    for variation, factor in (("electron_scale_up", 1 + SIZE), ("electron_scale_down", 1 - SIZE)):
        varied = read_events(out / "events", "ggF_SBI", variation=variation)
        i, j = match_events(nominal, varied)
        assert len(i) > 0.9 * len(nominal)
        np.testing.assert_array_equal(nominal.event_id[i], varied.event_id[j])
        np.testing.assert_array_equal(nominal.weight[i], varied.weight[j])
        ratio = varied.observables["m4l"][j] / nominal.observables["m4l"][i]
        same = varied.channel[j] == nominal.channel[i]
        electrons, muons, mixed = ((nominal.channel[i] == c) & same for c in (0, 1, 2))
        assert min(electrons.sum(), muons.sum(), mixed.sum()) > 5
        np.testing.assert_allclose(ratio[electrons], factor, rtol=1e-7)
        np.testing.assert_array_equal(ratio[muons], 1.0)
        low, high = sorted((1.0, factor))
        assert np.all((ratio[mixed] > low) & (ratio[mixed] < high))


def test_events_that_cross_a_threshold_are_in_one_table_only(out: Path) -> None:
    nominal, varied = (read_events(out / "events", "ggF_SBI", variation=v) for v in ("nominal", "electron_scale_up"))
    i, j = match_events(nominal, varied)
    identities = [set(zip(t.file_index.tolist(), t.entry.tolist(), strict=True)) for t in (nominal, varied)]
    common = identities[0] & identities[1]
    assert len(i) == len(j) == len(common)
    assert {(nominal.file_index[k], nominal.entry[k]) for k in i} == common


def test_jet_shifts_change_jets_and_leave_leptons(out: Path) -> None:
    nominal, up, down = (read_events(out / "events", "ggF_SBI", variation=v) for v in ("nominal", "jet_scale_up", "jet_scale_down"))
    np.testing.assert_array_equal(nominal.observables["m4l"], up.observables["m4l"])
    assert np.all(up.observables["n_jets"] >= nominal.observables["n_jets"])
    assert np.all(down.observables["n_jets"] <= nominal.observables["n_jets"])
    assert up.observables["n_jets"].sum() > nominal.observables["n_jets"].sum() > down.observables["n_jets"].sum()


def test_weight_variations_equal_hand_sums(out: Path, folder: Path, ntuples: ModuleType) -> None:
    nominal = read_events(out / "events", "ggF_SBI")
    cutflow = json.loads((out / "cutflow.json").read_text())["variations"]["ggF_SBI"]
    events = [e for i in range(2) for e in ntuples.make_events(80, seed=i, first=1 + 80 * i)]
    vectors = {name: np.concatenate([np.asarray(_weights(80, i)[name], dtype=np.float64) for i in range(2)]) for name in _weights(1, 0)}
    scale = ntuples.XSEC_FB * 100.0 / sum(e.gen_weight for e in events)
    for variation, vector, entry in (("scale_up", "LHEScaleWeight", 0), ("scale_down", "LHEScaleWeight", 1), ("pdf_3", "LHEPdfWeight", 3)):
        varied = read_events(out / "events", "ggF_SBI", variation=variation)
        expected = [events[n - 1].gen_weight * scale * vectors[vector][n - 1, entry] for n in varied.event_id.tolist()]
        np.testing.assert_allclose(varied.weight, expected, rtol=1e-12)
        ratio = vectors[vector][nominal.event_id.astype(int) - 1, entry]
        np.testing.assert_allclose(varied.benchmark_weights, nominal.benchmark_weights * ratio[:, None], rtol=1e-12)
        np.testing.assert_array_equal(varied.observables["m4l"], nominal.observables["m4l"])
        flow = cutflow[variation]["cutflow"]
        assert list(flow) == ["all", "m4l"]
        assert flow["all"]["sumw"] == pytest.approx(
            sum(e.gen_weight * vectors[vector][e.number - 1, entry] for e in events) * scale, rel=1e-12
        )
        assert flow["m4l"]["sumw"] == pytest.approx(sum(expected), rel=1e-12)
        high = sum(w for w, m in zip(expected, varied.observables["m4l"], strict=True) if m > 300)
        assert cutflow[variation]["regions"]["high"]["sumw"] == pytest.approx(high, rel=1e-12)
        histogram = read_histograms(out / "histograms" / f"ggF_SBI@{variation}.json")["baseline:m4l"]
        inside = (varied.observables["m4l"] >= 300) & (varied.observables["m4l"] < 330)
        assert histogram["own", 300j].value == pytest.approx(varied.weight[inside].sum(), rel=1e-12)


def test_members_are_combined_to_up_and_down(out: Path) -> None:
    tables = {v: read_events(out / "events", "ggF_SBI", variation=v) for v in ("nominal", "pdf_1", "pdf_2", "pdf_3", "pdf_4")}
    yields = {v: t.weight.sum() for v, t in tables.items()}
    width = np.sqrt(sum((yields[f"pdf_{i}"] - yields["nominal"]) ** 2 for i in (1, 2, 3, 4)))
    cutflow = json.loads((out / "cutflow.json").read_text())["variations"]["ggF_SBI"]
    for direction, sign in (("up", 1), ("down", -1)):
        assert cutflow[f"pdf_{direction}"]["cutflow"]["m4l"]["sumw"] == pytest.approx(yields["nominal"] + sign * width, rel=1e-10)
        combined = read_histograms(out / "histograms" / f"ggF_SBI@pdf_{direction}.json")["baseline:m4l"]
        values = [
            read_histograms(out / "histograms" / f"ggF_SBI{e}.json")["baseline:m4l"] for e in ("", *(f"@pdf_{i}" for i in (1, 2, 3, 4)))
        ]
        nominal, *members = (h.view(flow=True)["value"] for h in values)
        expected = nominal + sign * np.sqrt(sum((m - nominal) ** 2 for m in members))
        np.testing.assert_allclose(combined.view(flow=True)["value"], expected, rtol=1e-12, atol=1e-15)


def test_regions_are_columns_and_yields(out: Path) -> None:
    document = json.loads((out / "cutflow.json").read_text())
    for variation in ("nominal", "jet_scale_up", "scale_up"):
        table = read_events(out / "events", "ggF_SBI", variation=variation)
        m_jj, n_jets = table.observables["m_jj"], table.observables["n_jets"]
        expected = {
            "high": table.observables["m4l"] > 300,
            "dijet": np.array([n >= 2 and m > 60 for n, m in zip(n_jets, m_jj, strict=True)]),
            "no_dijet": np.array([n < 2 or m <= 60 for n, m in zip(n_jets, m_jj, strict=True)]),
        }
        sums = document["regions"] if variation == "nominal" else {"ggF_SBI": document["variations"]["ggF_SBI"][variation]["regions"]}
        for name, inside in expected.items():
            np.testing.assert_array_equal(table.regions[name], inside)
            assert sums["ggF_SBI"][name]["events"] == inside.sum() > 0
            assert sums["ggF_SBI"][name]["sumw"] == pytest.approx(table.weight[inside].sum(), rel=1e-12)
            assert sums["ggF_SBI"][name]["sumw2"] == pytest.approx((table.weight[inside] ** 2).sum(), rel=1e-12)


def _assert_same(left: Path, right: Path) -> None:
    for sample, names in (("ggF_SBI", ("nominal", *OBJECTS, *WEIGHTS)), ("qqZZ", ("nominal", *OBJECTS))):
        for variation in names:
            a, b = (read_events(p / "events", sample, variation=variation) for p in (left, right))
            for name, values in a.observables.items():
                assert values.tobytes() == b.observables[name].tobytes(), (variation, name)
            assert a.weight.tobytes() == b.weight.tobytes(), variation
            assert all(np.array_equal(a.regions[name], b.regions[name]) for name in a.regions)
    one, two = (json.loads((p / "cutflow.json").read_text())["variations"] for p in (left, right))
    flat = [sorted(_numbers(d)) for d in (one, two)]
    assert [k for k, _ in flat[0]] == [k for k, _ in flat[1]]
    np.testing.assert_allclose([v for _, v in flat[0]], [v for _, v in flat[1]], rtol=1e-12)


def _numbers(document: dict[str, Any], path: str = "") -> list[tuple[str, float]]:
    found = []
    for key, value in document.items():
        found += _numbers(value, f"{path}/{key}") if isinstance(value, dict) else [(f"{path}/{key}", value)]
    return found


def test_chunks_and_resuming_change_nothing(out: Path, folder: Path, ntuples: ModuleType, tmp_path: Path) -> None:
    config = _config(folder, ntuples)
    first = run(config, tmp_path, chunksize=27)
    assert first.reused == 0
    _assert_same(out, tmp_path)
    lost = tmp_path / "events" / "ggF_SBI@jet_scale_up" / "0001_0000000000.parquet"
    lost.unlink()
    again = run(config, tmp_path, chunksize=27)
    assert again.chunks - again.reused == 1
    assert lost.is_file()
    assert again.variations.keys() == first.variations.keys()
    _assert_same(out, tmp_path)
    yields, before = again.varied_yields("ggF_SBI"), first.varied_yields("ggF_SBI")
    assert yields == pytest.approx(before, rel=1e-12)
    histograms = [read_histograms(p / "histograms" / "ggF_SBI@scale_up.json")["m4l"].view(flow=True)["value"] for p in (out, tmp_path)]
    np.testing.assert_allclose(histograms[0], histograms[1], rtol=1e-12)


def test_another_size_makes_new_tables_and_dropped_variations_go(folder: Path, ntuples: ModuleType, tmp_path: Path) -> None:
    shift = {"object": "muon", "kind": "scale", "size": 0.01}
    run(_config(folder, ntuples, systematics={"objects": {"a": shift, "b": shift}}), tmp_path)
    changed = run(_config(folder, ntuples, systematics={"objects": {"a": {**shift, "size": 0.02}}}), tmp_path)
    assert changed.reused == 0
    assert set(variations_of(tmp_path / "events", "qqZZ")) == {"nominal", "a_up", "a_down"}
    assert not list((tmp_path / "events").glob("*@b_*"))
    assert not list((tmp_path / "histograms").glob("*@b_*"))


@pytest.mark.parametrize("form", ["ttree", "rntuple"])
def test_root_ntuples_hold_what_the_tables_hold(out: Path, folder: Path, ntuples: ModuleType, tmp_path: Path, form: str) -> None:
    if form == "ttree":
        made = out
    else:
        made = tmp_path
        run(_config(folder, ntuples, outputs={"root": form}), made, chunksize=45)
    assert {p.parent.name for p in (made / "ntuples").glob("*/ggF_SBI.root")} == {"nominal", *OBJECTS}
    for variation in ("nominal", "jet_scale_up"):
        table = read_events(out / "events", "ggF_SBI", variation=variation)
        with uproot.open(made / "ntuples" / variation / "ggF_SBI.root") as file:
            tree = file["Events"]
            assert ("RNTuple" in type(tree).__name__) == (form == "rntuple")
            columns = {name: np.asarray(tree[name].array()) for name in tree.keys()}  # noqa: SIM118
        for name, values in table.observables.items():
            np.testing.assert_array_equal(columns[name], values)
        np.testing.assert_array_equal(columns["event"], table.event_id)
        np.testing.assert_array_equal(columns["entry"], table.entry)
        np.testing.assert_array_equal(columns["channel"], table.channel)
        np.testing.assert_array_equal(columns["weight"], table.weight)
        for i, name in enumerate(table.benchmarks):
            np.testing.assert_array_equal(columns[f"weight_{name}"], table.benchmark_weights[:, i])
        for name, inside in table.regions.items():
            np.testing.assert_array_equal(columns[f"region_{name}"], inside)
        for name in WEIGHTS if variation == "nominal" else ():
            np.testing.assert_array_equal(columns[f"weight_{name}"], read_events(out / "events", "ggF_SBI", variation=name).weight)
        assert all(values.ndim == 1 for values in columns.values())


def test_a_sample_without_the_weights_is_refused_with_the_remedy(folder: Path, ntuples: ModuleType) -> None:
    everywhere = {"weights": {"scale": {**SYSTEMATICS["weights"]["scale"], "samples": []}}}
    with pytest.raises(SchemaError, match=r"(?s)LHEScaleWeight.*qqZZ.*`samples`"):
        inspect_inputs(_config(folder, ntuples, systematics=everywhere))


def test_a_missing_correction_file_is_found_before_any_work(folder: Path, ntuples: ModuleType) -> None:
    file = {"path": "absent.json", "correction": "c", "inputs": ["pt"]}
    shifts = {"objects": {"a": {"object": "muon", "kind": "scale", "file": file}}}
    with pytest.raises(InputFileError, match=r"(?s)systematics\.objects\.a\.file.*absent\.json"):
        inspect_inputs(_config(folder, ntuples, systematics=shifts))
