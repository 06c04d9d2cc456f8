"""Corrections and weight factors against products that are written down event by event with uproot and numpy."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from processors import run
from processors.corrections import LAST_LINE
from processors.inputs import inspect_inputs
from toolkit.artifacts import read_events
from toolkit.config import Config, parse_config
from toolkit.errors import PhysicsDomainError, SchemaError

OPEN = {"m_z1": [0, 1000], "m_z2": [0, 1000], "m4l": [0, 5000], "n_leptons_exact": True, "leading_pt_min": []}
LUMINOSITY = 100.0
SF = {"nominal": (0.9, 0.95), "up": (0.92, 0.99), "down": (0.88, 0.93)}
"""Scale factors of leptons below and above 40 GeV."""
PU = {"nominal": (0.8, 1.1, 1.3), "up": (0.9, 1.2, 1.5), "down": (0.7, 1.0, 1.2)}


def _binned(edges: list[float], content: Any, name: str) -> dict[str, Any]:
    return {"nodetype": "binning", "input": name, "edges": [float(x) for x in edges], "content": list(content), "flow": "clamp"}


@pytest.fixture
def corrections(tmp_path: Path) -> Path:
    """A correctionlib file with a scale factor of leptons and a pile-up weight, each with variations."""
    pytest.importorskip("correctionlib")

    def correction(name: str, edges: list[float], numbers: dict[str, Any], kind: str, argument: str) -> dict[str, Any]:
        content = [{"key": key, "value": _binned(edges, values, argument)} for key, values in numbers.items()]
        inputs = [{"name": "variation", "type": "string"}, {"name": argument, "type": kind}]
        return {
            "name": name,
            "version": 1,
            "inputs": inputs,
            "output": {"name": "sf", "type": "real"},
            "data": {"nodetype": "category", "input": "variation", "content": content},
        }

    document = {
        "schema_version": 2,
        "corrections": [correction("sf", [5, 40, 1000], SF, "real", "pt"), correction("pu", [0, 10, 20, 100], PU, "int", "n_true")],
    }
    path = tmp_path / "sf.json"
    path.write_text(json.dumps(document))
    return path


def _config(path: Path, *, sample: dict[str, Any] | None = None, **sections: Any) -> Config:
    entry = {"name": "qqZZ", "files": [str(path)], **(sample or {})}
    document = {"luminosity_ifb": LUMINOSITY, "samples": [entry], "selection": OPEN, "ratios": {"features": ["m4l"]}}
    return parse_config({**document, **sections}, folder=path.parent)


def _nominal(ntuples: ModuleType, events: list[Any]) -> dict[int, float]:
    """Expected events of each event at the luminosity, before corrections."""
    total = sum(e.gen_weight for e in events)
    return {e.number: e.gen_weight * ntuples.XSEC_FB * LUMINOSITY / total for e in events}


def _leptons(event: Any, flavour: int, pt_min: float, abs_eta_max: float) -> list[Any]:
    return [p for p in event.leptons if abs(p.pdg_id) == flavour and p.pt > pt_min and abs(p.eta) < abs_eta_max]


def _sf(pt: float, variation: str = "nominal") -> float:
    return SF[variation][0 if pt < 40 else 1]


def test_scale_factors_and_pile_up_are_products_over_the_selected_leptons(ntuples: ModuleType, tmp_path: Path, corrections: Path) -> None:
    events = ntuples.make_events(400, seed=31)
    n_true = np.arange(len(events)) % 30
    path = ntuples.write_nano(tmp_path / "in.root", events, benchmarks=False, Pileup_nTrueInt=n_true.astype(np.float32))
    sections = {
        "corrections": {
            "electron_sf": {"object": "electron", "file": str(corrections), "correction": "sf", "inputs": ["{variation}", "pt"]},
            "pileup": {"file": "sf.json", "correction": "pu", "inputs": ["{variation}", "Pileup_nTrueInt"]},
        },
        "systematics": {
            "weights": {
                "id": {"kind": "correction", "of": ["electron_sf"]},
                "all": {"kind": "correction", "of": ["electron_sf", "pileup"], "down": None},
            }
        },
    }
    result = run(_config(path, **sections), tmp_path / "out")
    folder = tmp_path / "out" / "events"
    nominal = read_events(folder, "qqZZ")
    before = _nominal(ntuples, events)
    expected: dict[str, list[float]] = {"nominal": [], "id_up": [], "id_down": [], "all_up": []}
    for number in nominal.event_id:
        event = next(e for e in events if e.number == number)
        electrons, pile = _leptons(event, 11, 7, 2.47), min(int(n_true[number - 1]) // 10, 2)

        def factor(sf: str, pu: str, electrons: list[Any] = electrons, pile: int = pile) -> float:
            return float(np.prod([_sf(p.pt, sf) for p in electrons]) * PU[pu][pile])

        for name, sf, pu in (
            ("nominal", "nominal", "nominal"),
            ("id_up", "up", "nominal"),
            ("id_down", "down", "nominal"),
            ("all_up", "up", "up"),
        ):
            expected[name].append(before[int(number)] * factor(sf, pu))
    assert len(nominal.weight) > 100
    np.testing.assert_allclose(nominal.weight, expected["nominal"], rtol=1e-12)
    for name in ("id_up", "id_down", "all_up"):
        np.testing.assert_allclose(read_events(folder, "qqZZ", variation=name).weight, expected[name], rtol=1e-12)
        assert result.varied_yields("qqZZ")[name] == pytest.approx(sum(expected[name]), rel=1e-9)
    flow = result.cutflow["qqZZ"]
    *_, last_cut, last = flow
    assert last == LAST_LINE
    assert flow[last_cut]["sumw"] == pytest.approx(sum(before[int(n)] for n in nominal.event_id), rel=1e-9)
    assert result.yields["qqZZ"] == pytest.approx(sum(expected["nominal"]), rel=1e-9)
    assert set(result.variations["qqZZ"]) == {"id_up", "id_down", "all_up"}


def test_corrections_follow_shifted_objects(ntuples: ModuleType, tmp_path: Path, corrections: Path) -> None:
    events = ntuples.make_events(200, seed=32)
    path = ntuples.write_nano(tmp_path / "in.root", events, benchmarks=False)
    correction = {"object": "electron", "file": str(corrections), "correction": "sf", "inputs": ["{variation}", "pt"]}
    shift = {"objects": {"scale": {"object": "electron", "kind": "scale", "size": 0.2}}}
    run(_config(path, corrections={"sf": correction}, systematics=shift), tmp_path / "out")
    up = read_events(tmp_path / "out" / "events", "qqZZ", variation="scale_up")
    before = _nominal(ntuples, events)
    for number, weight in zip(up.event_id, up.weight, strict=True):
        event = next(e for e in events if e.number == number)
        electrons = [1.2 * p.pt for p in event.leptons if abs(p.pdg_id) == 11 and 1.2 * np.float64(p.pt) > 7 and abs(p.eta) < 2.47]
        assert weight == pytest.approx(before[int(number)] * np.prod([_sf(pt) for pt in electrons]), rel=1e-12)


def test_curves_and_histograms_are_looked_up_by_observable(ntuples: ModuleType, tmp_path: Path) -> None:
    events = ntuples.make_events(300, seed=33)
    path = ntuples.write_nano(tmp_path / "in.root", events, benchmarks=False)
    edges, values, shifts = [0.0, 250.0, 350.0, 450.0], [1.4, 1.5, 1.7], [0.1, 0.05, 0.2]
    with uproot.recreate(tmp_path / "k.root") as file:
        file["ew"] = (np.array([0.9, 0.8]), np.array([0.0, 300.0, 5000.0]))
    curve = {"observable": "m4l", "edges": edges, "values": values, "outside": "edge", "uncertainty": shifts}
    sections = {
        "corrections": {"k": curve, "ew": {"observable": "m4l", "file": "k.root", "histogram": "ew", "uncertainty": 0.02}},
        "systematics": {"weights": {"k": {"kind": "correction", "of": ["k"]}, "ew": {"kind": "correction", "of": ["ew"]}}},
    }
    run(_config(path, **sections), tmp_path / "out")
    folder = tmp_path / "out" / "events"
    table = read_events(folder, "qqZZ")
    m4l, before = table.observables["m4l"], _nominal(ntuples, events)
    start = np.array([before[int(n)] for n in table.event_id])
    k, ew, relative = (np.array(v) for v in (values, [0.9, 0.8], shifts))
    bins = np.minimum(np.digitize(m4l, edges) - 1, 2)
    assert m4l.max() > 450
    expected = start * k[bins] * ew[(m4l >= 300).astype(int)]
    np.testing.assert_allclose(table.weight, expected, rtol=1e-12)
    np.testing.assert_allclose(read_events(folder, "qqZZ", variation="k_down").weight, expected * (1 - relative[bins]), rtol=1e-12)
    np.testing.assert_allclose(read_events(folder, "qqZZ", variation="ew_up").weight, expected * 1.02, rtol=1e-12)


def test_a_curve_that_does_not_cover_the_selection_is_refused(ntuples: ModuleType, tmp_path: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(100, seed=34), benchmarks=False)
    curve = {"observable": "m4l", "edges": [0, 250], "values": [1.4]}
    with pytest.raises(PhysicsDomainError, match=r"(?s)correction 'k': m4l of .* events.*outside: edge"):
        run(_config(path, corrections={"k": curve}), tmp_path / "out")


def test_factors_of_the_ntuple_count_per_event_and_per_lepton(ntuples: ModuleType, tmp_path: Path) -> None:
    events = ntuples.make_events(300, seed=35)
    sf = [[0.9 + 0.001 * p.pt for p in e.leptons] for e in events]
    pu = np.linspace(0.7, 1.3, len(events))
    columns = ntuples.nano_columns(events, benchmarks=False) | {"puWeight": pu}
    for name, flavour in (("Electron", 11), ("Muon", 13)):
        rows = [[s for s, p in zip(row, e.leptons, strict=True) if abs(p.pdg_id) == flavour] for row, e in zip(sf, events, strict=True)]
        more = ak.unflatten(np.array([x for row in rows for x in row]), [len(row) for row in rows])
        columns[name] = ak.zip({**{f: columns[name][f] for f in columns[name].fields}, "sf": more})
    nano = ntuples.write_tree(tmp_path / "nano.root", columns)
    flat_columns = ntuples.flat_columns(events) | {"puWeight": pu}
    flat_columns |= {f"lep{i + 1}_sf": np.array([row[i] if i < len(row) else -999.0 for row in sf]) for i in range(5)}
    flat = ntuples.write_tree(tmp_path / "flat.root", flat_columns)
    lists = ak.unflatten(np.array([x for row in sf for x in row]), [len(row) for row in sf])
    atlas = ntuples.write_atlas(tmp_path / "atlas.root", events, puWeight=pu, lep_sf=lists)
    scale = {"xsec_pb": ntuples.XSEC_FB * 1e-3, "gen_sumw": "sum"}
    samples = {
        nano: {**scale, "layout": {"kind": "nanoaod", "weight_factors": ["puWeight", "Electron_sf", "Muon_sf"]}},
        flat: {**scale, "layout": {"kind": "flat", "n_leptons": 5, "n_jets": 6, "weight_factors": ["puWeight", "lep{i}_sf"]}},
        atlas: {**scale, "tree": "mini", "layout": {"kind": "atlas", "weight_factors": ["puWeight", "lep_sf"]}},
    }
    before = _nominal(ntuples, events)
    for path, sample in samples.items():
        result = run(_config(path, sample=sample), tmp_path / f"out_{path.stem}")
        table = read_events(tmp_path / f"out_{path.stem}" / "events", "qqZZ")
        expected = []
        for number in table.event_id:
            event, row = events[int(number) - 1], sf[int(number) - 1]
            chosen = {*map(id, _leptons(event, 11, 7, 2.47)), *map(id, _leptons(event, 13, 5, 2.7))}
            product = np.prod([s for s, p in zip(row, event.leptons, strict=True) if id(p) in chosen])
            expected.append(before[int(number)] * pu[int(number) - 1] * product)
        np.testing.assert_allclose(table.weight, expected, rtol=1e-6)
        assert result.yields["qqZZ"] == pytest.approx(float(table.weight.sum()), rel=1e-12)
        assert any("gen_sumw: sum" in note for s in result.inputs for note in s.notes)


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0.0"), (np.nan, "nan")])
def test_a_factor_of_zero_or_nan_is_refused_with_event_and_branch(ntuples: ModuleType, tmp_path: Path, value: float, shown: str) -> None:
    events = ntuples.make_events(60, seed=36)
    selected = run(_config(ntuples.write_nano(tmp_path / "a.root", events, benchmarks=False)), tmp_path / "a")
    assert selected.selected["qqZZ"] > 10
    number = int(read_events(tmp_path / "a" / "events", "qqZZ").event_id[3])
    pu = np.ones(len(events))
    pu[number - 1] = value
    path = ntuples.write_nano(tmp_path / "b.root", events, benchmarks=False, puWeight=pu)
    with pytest.raises(PhysicsDomainError, match=rf"(?s)weight factor 'puWeight' of event {number} .*got: +{shown}"):
        run(_config(path, sample={"layout": {"kind": "nanoaod", "weight_factors": ["puWeight"]}}), tmp_path / "b")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"edges": [0, 1], "values": [1.0]}, "histograms and curves need `observable`"),
        ({"observable": "m4l", "edges": [0, 1, 2], "values": [1.0]}, "2 bins, but 1 values"),
        ({"observable": "m4l", "edges": [1, 0], "values": [1.0]}, "edges must increase"),
        ({"observable": "m4l", "edges": [0, 1], "values": [0.0]}, "must not be 0"),
        ({"correction": "sf", "inputs": ["pt"]}, "`file` belongs"),
        ({}, "give exactly one of"),
        ({"observable": "m4l", "edges": [0, 1], "values": [1.0], "samples": ["nobody"]}, "no samples"),
    ],
)
def test_a_wrong_correction_is_refused_when_the_config_is_read(tmp_path: Path, section: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        _config(tmp_path / "a.root", corrections={"k": section})


def test_a_variation_needs_numbers_of_its_own(tmp_path: Path) -> None:
    curve = {"observable": "m4l", "edges": [0, 1], "values": [1.0]}
    for of in ("k", "other"):
        weights = {"k": {"kind": "correction", "of": [of]}}
        with pytest.raises(SchemaError, match=r"no such variation|no corrections"):
            _config(tmp_path / "a.root", corrections={"k": curve}, systematics={"weights": weights})


def test_an_input_that_no_sample_has_is_refused_before_anything_runs(ntuples: ModuleType, tmp_path: Path, corrections: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(20, seed=37), benchmarks=False)
    section = {"file": str(corrections), "correction": "pu", "inputs": ["{variation}", "Pileup_nTrue"]}
    with pytest.raises(SchemaError, match=r"'Pileup_nTrue' in selection.where, `where` of the sample or corrections"):
        inspect_inputs(_config(path, corrections={"pileup": section}))


def test_data_events_are_not_corrected(ntuples: ModuleType, tmp_path: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(100, seed=38), benchmarks=False)
    curve = {"observable": "m4l", "edges": [0, 5000], "values": [1.4]}
    result = run(_config(path, sample={"kind": "data"}, corrections={"k": curve}), tmp_path / "out")
    assert LAST_LINE not in result.cutflow["qqZZ"]
    assert result.yields["qqZZ"] == result.selected["qqZZ"]
    assert any("kind data" in note and "genWeight" in note for s in result.inputs for note in s.notes)


def test_jets_have_the_product_of_their_factors(tmp_path: Path, corrections: Path, ntuples: ModuleType) -> None:
    """b-tagging as experiments have it: a file in the flavour of the jet and a curve in its pt, over the jets that are counted."""
    events = ntuples.make_events(250, seed=12)
    columns = ntuples.nano_columns(events)
    flat = ak.flatten(columns["Jet"].pt)
    flavour = ak.unflatten(np.random.default_rng(2).choice([0, 4, 5], len(flat)).astype(np.int32) * 4, ak.num(columns["Jet"].pt))
    jets = ak.zip({**{f: columns["Jet"][f] for f in columns["Jet"].fields}, "hadronFlavour": flavour})
    path = ntuples.write_nano(tmp_path / "in.root", events, Jet=jets)
    tag = {"object": "jet", "file": str(corrections), "correction": "pu", "inputs": ["{variation}", "hadronFlavour"]}
    curve = {"object": "jet", "observable": "pt", "edges": [0, 45, 1000], "values": [0.9, 0.97]}
    sections = {
        "corrections": {"btag": tag, "jvt": curve},
        "systematics": {"weights": {"btagging": {"kind": "correction", "of": ["btag"]}}},
        "observables": ["m4l", "n_jets"],
    }
    run(_config(path, sample={"benchmarks": []}), tmp_path / "plain")
    run(_config(path, sample={"benchmarks": []}, **sections), tmp_path / "out")
    plain, table, varied = (
        read_events(tmp_path / folder / "events", "qqZZ", variation=v)
        for folder, v in (("plain", "nominal"), ("out", "nominal"), ("out", "btagging_up"))
    )
    expected, counted = {"nominal": [], "up": []}, []
    for row in table.entry:
        leptons = [p for p in events[row].leptons if p.pt > (7 if abs(p.pdg_id) == 11 else 5)]
        kept = [
            (jet, int(flavour[row][k]))
            for k, jet in enumerate(events[row].jets)
            if jet.pt > 30
            and abs(jet.eta) < 4.5
            and all(np.hypot(jet.eta - p.eta, (jet.phi - p.phi + np.pi) % (2 * np.pi) - np.pi) >= 0.4 for p in leptons)
        ]
        counted.append(len(kept))
        of_pt = np.prod([0.9 if jet.pt < 45 else 0.97 for jet, _ in kept])
        for direction, values in expected.items():
            values.append(of_pt * np.prod([PU[direction][0 if f < 10 else 1 if f < 20 else 2] for _, f in kept]))
    assert table.observables["n_jets"].tolist() == counted
    assert max(counted) > 1
    np.testing.assert_allclose(table.weight / plain.weight, expected["nominal"], rtol=1e-12)
    np.testing.assert_allclose(varied.weight / plain.weight, expected["up"], rtol=1e-12)


def test_corrections_of_jets_need_jets(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = {k: v for k, v in ntuples.nano_columns(ntuples.make_events(60, seed=13), benchmarks=False).items() if k != "Jet"}
    path = ntuples.write_tree(tmp_path / "in.root", columns, runs={"genEventSumw": 60.0, "xsec_fb": 5.0})
    curve = {"object": "jet", "observable": "pt", "edges": [0, 1000], "values": [0.9]}
    with pytest.raises(SchemaError, match="ntuples without jets"):
        run(_config(path, corrections={"jvt": curve}, observables=["m4l"]), tmp_path / "out")
