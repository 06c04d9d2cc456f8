"""Conditions on objects and event branches, in every layout, against files from which the objects were taken out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from processors import run
from processors.acceptance import FOUR, IDENTIFIED
from processors.inputs import inspect_inputs
from processors.quality import proposals
from toolkit.artifacts import read_events
from toolkit.config import AtlasLayout, Config, NanoLayout, parse_config
from toolkit.errors import SchemaError

OPEN = {"m_z1": [0, 1000], "m_z2": [0, 1000], "m4l": [0, 5000], "n_leptons_exact": False}
DEMANDS = {
    "electron": {"where": "iso < 0.9 and abs(dxy) < 0.45"},
    "muon": {"where": "iso < 0.85 or dxy > 0.4"},
    "jet": {"where": "iso < 0.6"},
}
LAYOUTS = ("nano", "flat", "csv", "atlas", "cartesian")
MAPPING = {
    "kind": "mapping",
    "gen_weight": "EventWeight",
    "electrons": {"px": "Electron_Px", "py": "Electron_Py", "pz": "Electron_Pz", "energy": "Electron_E", "charge": "Electron_Charge"},
    "muons": {"px": "Muon_Px", "py": "Muon_Py", "pz": "Muon_Pz", "energy": "Muon_E", "charge": "Muon_Charge"},
    "jets": {"px": "Jet_Px", "py": "Jet_Py", "pz": "Jet_Pz", "energy": "Jet_E"},
}


def _iso(particle: Any) -> float:
    return float((particle.pt * 7.13) % 1.0)


def _dxy(particle: Any) -> float:
    return float((particle.eta * 11.7) % 1.0 - 0.5)


def _good(particle: Any) -> bool:
    iso, dxy = np.float32(_iso(particle)), np.float32(_dxy(particle))
    if abs(particle.pdg_id) == 11:
        return bool(iso < 0.9 and abs(dxy) < 0.45)
    return bool(iso < 0.85 or dxy > 0.4) if abs(particle.pdg_id) == 13 else bool(iso < 0.6)


def _lists(rows: list[list[float]]) -> Any:
    return ak.values_astype(ak.unflatten(np.array([x for r in rows for x in r]), [len(r) for r in rows]), np.float32)


def _write(ntuples: ModuleType, layout: str, folder: Path, events: list[Any], trigger: Any) -> dict[str, Any]:
    """Write events with the properties iso and dxy, and return the section of the sample."""
    groups = {"Electron": 11, "Muon": 13, "Jet": 0}
    chosen = {name: [[p for p in (e.leptons if f else e.jets) if abs(p.pdg_id) == f] for e in events] for name, f in groups.items()}
    section = {"name": "qqZZ", "xsec_pb": 0.005, "gen_sumw": "sum"}
    properties = {"iso": _iso, "dxy": _dxy}
    if layout == "nano":
        columns = ntuples.nano_columns(events, benchmarks=False) | {"HLT_any": trigger}
        for name, rows in chosen.items():
            more = {k: _lists([[f(p) for p in row] for row in rows]) for k, f in properties.items()}
            columns[name] = ak.zip({**{field: columns[name][field] for field in columns[name].fields}, **more})
        path = ntuples.write_tree(folder / "in.root", columns)
        return {**section, "files": [str(path)]}
    if layout == "cartesian":
        more = {
            f"{name}_{k}": _lists([[f(p) for p in row] for row in rows]) for name, rows in chosen.items() for k, f in properties.items()
        }
        path = ntuples.write_cartesian(folder / "in.root", events, HLT_any=trigger, **more)
        return {**section, "files": [str(path)], "tree": "events", "layout": MAPPING}
    if layout == "atlas":
        own = {"lep": [list(e.leptons) for e in events], "jet": [list(e.jets) for e in events]}
        more = {f"{name}_{k}": _lists([[f(p) for p in row] for row in rows]) for name, rows in own.items() for k, f in properties.items()}
        path = ntuples.write_atlas(folder / "in.root", events, HLT_any=trigger, **more)
        return {**section, "files": [str(path)], "tree": "mini", "layout": {"kind": "atlas"}}
    columns = ntuples.flat_columns(events)
    for kind, number in (("lep", 5), ("jet", 6)):
        for i in range(number):
            particles = [list(e.leptons if kind == "lep" else e.jets) for e in events]
            for k, f in properties.items():
                columns[f"{kind}{i + 1}_{k}"] = np.array([f(p[i]) if i < len(p) else -999.0 for p in particles], dtype=np.float32)
    columns["HLT_any"] = trigger.astype(np.int32)
    layout_section = {"kind": "flat", "n_leptons": 5, "n_jets": 6}
    if layout == "flat":
        return {**section, "files": [str(ntuples.write_tree(folder / "in.root", columns))], "layout": layout_section}
    path = folder / "in.csv"
    rows = [",".join(format(float(columns[name][i]), ".17g") for name in columns) for i in range(len(events))]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return {**section, "files": [str(path)], "layout": layout_section}


def _config(section: dict[str, Any], **selection: Any) -> Config:
    document = {"luminosity_ifb": 100.0, "samples": [section], "selection": {**OPEN, **selection}, "ratios": {"features": ["m4l"]}}
    return parse_config(document, folder=Path())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_objects_that_fail_a_condition_do_not_exist(ntuples: ModuleType, tmp_path: Path, layout: str) -> None:
    events = ntuples.make_events(300, seed=21)
    trigger = np.array([e.number % 3 != 0 for e in events])
    kept = [replace(e, leptons=tuple(p for p in e.leptons if _good(p)), jets=tuple(p for p in e.jets if _good(p))) for e in events]
    tables = []
    for name, content, selection in (
        ("with", events, {**DEMANDS, "where": "HLT_any == 1 and m4l > 150"}),
        ("without", kept, {"where": "HLT_any > 0.5 and m4l > 150"}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        result = run(_config(_write(ntuples, layout, folder, content, trigger), **selection), folder / "out")
        tables.append((read_events(folder / "out" / "events", "qqZZ"), result.cutflow["qqZZ"]))
    (one, flow), (other, _) = tables
    assert 20 < len(other.weight) < 200
    for name, values in other.observables.items():
        np.testing.assert_array_equal(one.observables[name], values, err_msg=name)
    np.testing.assert_array_equal(one.weight, other.weight)
    lines = list(flow)
    start = lines.index(FOUR)
    named = ["electron iso < 0.9", "electron abs(dxy) < 0.45", "muon iso < 0.85 or dxy > 0.4", IDENTIFIED]
    assert lines[start + 1 : start + 5] == named
    assert lines[-2:] == ["HLT_any == 1", "m4l > 150"]
    counts = [flow[line]["events"] for line in lines]
    assert counts == sorted(counts, reverse=True)
    assert flow["all"]["events"] > flow[FOUR]["events"] > flow["electron iso < 0.9"]["events"] > flow[IDENTIFIED]["events"]


def test_lines_of_the_cut_flow_count_events_with_four_leptons_after_each_condition(ntuples: ModuleType, tmp_path: Path) -> None:
    events = ntuples.make_events(300, seed=22)
    config = _config(_write(ntuples, "nano", tmp_path, events, np.ones(len(events), dtype=bool)), **DEMANDS, leading_pt_min=[])
    flow = run(config, tmp_path / "out").cutflow["qqZZ"]
    inside = [
        [p for p in e.leptons if (p.pt > 7 and abs(p.eta) < 2.47) if abs(p.pdg_id) == 11]
        + [p for p in e.leptons if abs(p.pdg_id) == 13 and p.pt > 5 and abs(p.eta) < 2.7]
        for e in events
    ]
    assert flow[FOUR]["events"] == sum(len(row) >= 4 for row in inside)
    isolated = [[p for p in row if abs(p.pdg_id) == 13 or np.float32(_iso(p)) < 0.9] for row in inside]
    assert flow["electron iso < 0.9"]["events"] == sum(len(row) >= 4 for row in isolated)
    assert flow[IDENTIFIED]["events"] == sum(sum(_good(p) for p in row) >= 4 for row in inside)


def test_a_fifth_lepton_that_is_not_identified_does_not_count(ntuples: ModuleType, tmp_path: Path) -> None:
    events = ntuples.make_events(300, seed=23)
    section = _write(ntuples, "nano", tmp_path, events, np.ones(len(events), dtype=bool))
    flow = run(_config(section, **DEMANDS, n_leptons_exact=True), tmp_path / "out").cutflow["qqZZ"]
    accepted = [
        [p for p in e.leptons if p.pt > (7 if abs(p.pdg_id) == 11 else 5) and abs(p.eta) < (2.47 if abs(p.pdg_id) == 11 else 2.7)]
        for e in events
    ]
    good = [sum(map(_good, row)) for row in accepted]
    assert flow[IDENTIFIED]["events"] == sum(n == 4 for n in good)
    assert any(len(row) == 5 and n == 4 for row, n in zip(accepted, good, strict=True))


def test_a_branch_that_one_sample_lacks_is_refused(ntuples: ModuleType, tmp_path: Path) -> None:
    events = ntuples.make_events(20, seed=24)
    section = _write(ntuples, "nano", tmp_path, events, np.ones(20, dtype=bool))
    ntuples.write_nano(tmp_path / "bare.root", events, benchmarks=False)
    bare = {"name": "other", "files": [str(tmp_path / "bare.root")]}
    for selection, message in (
        ({"electron": {"where": "iso < 0.5"}}, r"property 'iso' of electrons(.|\n)*sample other(.|\n)*no branch 'Electron_iso'"),
        ({"where": "HLT_any == 1"}, r"'HLT_any' in selection.where, (.|\n)*sample other(.|\n)*neither an observable nor a branch"),
    ):
        config = parse_config({"luminosity_ifb": 1.0, "samples": [section, bare], "selection": selection}, folder=Path())
        with pytest.raises(SchemaError, match=message):
            inspect_inputs(config)


def test_a_slip_in_the_name_of_an_observable_is_explained(ntuples: ModuleType, tmp_path: Path) -> None:
    section = _write(ntuples, "nano", tmp_path, ntuples.make_events(20, seed=25), np.ones(20, dtype=bool))
    with pytest.raises(SchemaError, match="did you mean 'm_jj'"):
        inspect_inputs(_config(section, where="m_jjj > 3"))


def test_a_section_with_a_condition_only_keeps_the_acceptance() -> None:
    config = _config({"name": "qqZZ", "files": ["a.root"]}, electron={"where": "iso < 1"})
    assert (config.selection.electron.pt_min, config.selection.electron.abs_eta_max) == (7.0, 2.47)


def test_the_cut_flow_says_where_no_identification_is_required(ntuples: ModuleType, tmp_path: Path) -> None:
    section = _write(ntuples, "nano", tmp_path, ntuples.make_events(60, seed=26), np.ones(60, dtype=bool))
    for selection, start in (
        ({}, "no lepton identification required"),
        ({"muon": DEMANDS["muon"]}, "no electron identification required"),
        (DEMANDS, None),
    ):
        run(_config(section, **selection), tmp_path / "out")
        text = (tmp_path / "out" / "cutflow.json").read_text()
        assert (start is None) == ("identification required" not in text)
        assert start is None or start in text


def test_data_events_with_tight_isolated_leptons() -> None:
    """Against a loop over the branches of the file with uproot."""
    path = Path(__file__).parents[4] / "shared" / "data" / "atlas_open_data" / "data_A.4lep.root"
    if not path.is_file():
        path = Path(__file__).parents[3] / ".." / "shared" / "data" / "atlas_open_data" / "data_A.4lep.root"
    if not path.is_file():
        pytest.skip("needs the open data")
    with uproot.open(path) as file:
        tree = file["mini"].arrays(["lep_pt", "lep_eta", "lep_type", "lep_isTightID", "lep_ptcone30", "lep_charge", "trigE", "trigM"])
    where = "isTightID == 1 and ptcone30 < 150 * pt"
    expected = 0
    for e in tree:
        leptons = [
            (t, pt / 1000)
            for pt, eta, t, tight, cone in zip(e.lep_pt, e.lep_eta, e.lep_type, e.lep_isTightID, e.lep_ptcone30, strict=True)
            if tight and cone < 0.15 * pt and pt > (7000 if t == 11 else 5000) and abs(eta) < (2.47 if t == 11 else 2.7)
        ]
        expected += len(leptons) >= 4
    sample = {"name": "data", "kind": "data", "files": [str(path)], "tree": "mini", "layout": {"kind": "atlas"}}
    config = _config(sample, electron={"where": where}, muon={"where": where})
    from processors.branches import branches_to_read
    from processors.eventfile import open_events
    from processors.four_lepton import FourLeptonProcessor

    processor = FourLeptonProcessor(config)
    with open_events(path, "mini") as events:
        arrays = events.arrays(branches_to_read(config, config.samples[0], events.types), 0, events.entries)
        out = processor.process_range(arrays, {"dataset": "data", "filename": str(path), "entrystart": 0, "entrystop": events.entries})
    assert out["data"]["cutflow"][IDENTIFIED]["events"] == expected > 5


def test_proposals_follow_the_branches() -> None:
    jagged, flag = "AsJagged(float)", "bool"
    names = ("Electron_pt", "Electron_cutBased", "Electron_pfRelIso03_all", "Muon_pt", "Muon_mediumId", "Jet_jetId")
    types = {**dict.fromkeys(names, jagged), "HLT_IsoMu24": flag, "HLT_Ele32": flag, "Flag_METFilters": flag}
    found = proposals(NanoLayout(), types)
    assert found == {
        "electron": {"where": "cutBased >= 3 and pfRelIso03_all < 0.15"},
        "muon": {"where": "mediumId == 1"},
        "jet": {"where": "jetId >= 2"},
        "where": "Flag_METFilters == 1 and (HLT_Ele32 == 1 or HLT_IsoMu24 == 1)",
    }
    parse_config({"luminosity_ifb": 1.0, "samples": [{"name": "a", "files": ["a"]}], "selection": found}, folder=Path())
    atlas = proposals(AtlasLayout(kind="atlas"), {"lep_ptcone30": "vector<float>"})
    assert atlas["muon"]["where"] == "ptcone30 < 150 * pt"
