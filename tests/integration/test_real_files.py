"""Real files of other people, from ../shared/data: inspect recognises each, its snippet runs as it is, and the physics is right."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from processors import run
from processors.eventfile import open_events
from processors.formats import reader_for
from processors.inspect import inspect_file
from processors.sanity import read_range, take_census
from toolkit.artifacts import EventTable, read_events
from toolkit.config import SampleConfig, parse_config
from toolkit.errors import PhysicsDomainError
from toolkit.units import M_ELECTRON, M_MUON

Shared = Callable[[str], Path]
CMS = tuple(f"cms_open_data/{channel}_{year}.csv" for channel in ("2e2mu", "4e", "4mu") for year in (2011, 2012))
OPEN = {
    "electron": {"pt_min": 0.0, "abs_eta_max": 10.0},
    "muon": {"pt_min": 0.0, "abs_eta_max": 10.0},
    "leading_pt_min": [],
    "m_z1": [0.0, 1000.0],
    "m_z2": [0.0, 1000.0],
    "m4l": [0.0, 10000.0],
    "n_leptons_exact": False,
}


def _run(path: Path, out: Path, *, files: list[Path] | None = None, **sections: Any) -> tuple[EventTable, dict[str, int]]:
    document = yaml.safe_load(inspect_file(path).snippet) | sections
    if files is not None:
        document["samples"][0]["files"] = [str(f) for f in files]
    config = parse_config(document, folder=out.parent)
    run(config, out)
    name = config.samples[0].name
    cutflow = json.loads((out / "cutflow.json").read_text())["samples"][name]
    return read_events(out / "events", name), {cut: int(sums["events"]) for cut, sums in cutflow.items()}


def test_masses_of_the_published_cms_candidates(shared_data: Shared, tmp_path: Path) -> None:
    files = [shared_data(name) for name in CMS]
    table, cutflow = _run(files[0], tmp_path / "out", files=files, selection=OPEN)
    published = [row for path in files for row in csv.DictReader(path.read_text().splitlines())]
    assert len(published) == len(table) == cutflow["m4l"] == 278
    by_event = {int(row["Event"]) % 2**64: row for row in published}
    rows = [by_event[int(number)] for number in table.event_id]
    printed = {name: np.array([float(row[name]) for row in rows]) for name in ("M", "mZ1", "mZ2")}
    np.testing.assert_allclose(table.observables["m4l"], printed["M"], rtol=0, atol=2e-3)
    for name, column in (("m_z1", "mZ1"), ("m_z2", "mZ2")):
        np.testing.assert_allclose(table.observables[name], printed[column], rtol=0, atol=2e-3, err_msg=name)
    assert np.bincount(table.channel).tolist() == [_n(files, "4e"), _n(files, "4mu"), _n(files, "2e2mu")]


def _n(files: list[Path], channel: str) -> int:
    return sum(len(path.read_text().splitlines()) - 1 for path in files if path.name.startswith(channel))


def test_four_lepton_candidates_of_atlas_open_data(shared_data: Shared, tmp_path: Path) -> None:
    files = [shared_data(f"atlas_open_data/data_{period}.4lep.root") for period in "ABCD"]
    table, cutflow = _run(files[0], tmp_path / "out", files=files, selection={"m4l": [70.0, 2000.0], "m_z2": [12.0, 115.0]})
    assert cutflow["all"] == 832
    assert (cutflow["four leptons"], cutflow["two pairs"], cutflow["m4l"]) == ATLAS_COUNTS
    assert set(table.weight.tolist()) == {1.0}
    loop, two_pairs = _atlas_by_hand(files)
    assert two_pairs == cutflow["two pairs"]
    by_event = dict(zip(table.event_id.tolist(), table.observables["m4l"].tolist(), strict=True))
    assert by_event.keys() <= loop.keys()
    for number, mass in by_event.items():
        assert mass == pytest.approx(loop[number], abs=1e-3)
    at_z = np.sum((table.observables["m4l"] > 80) & (table.observables["m4l"] < 100))
    assert at_z > 10
    assert np.median(table.observables["m_z1"]) == pytest.approx(91.2, abs=1.0)


ATLAS_COUNTS = (827, 504, 323)
"""Events with exactly four leptons in the acceptance, two same-flavour pairs among them, and inside the windows."""


def _atlas_by_hand(files: list[Path]) -> tuple[dict[int, float], int]:
    """Mass (GeV) of the four leptons by event number, and the number of events with two pairs: another way through the same numbers."""
    import uproot

    found, two_pairs = {}, 0
    for path in files:
        names = ["eventNumber", "lep_pt", "lep_eta", "lep_phi", "lep_type", "lep_charge"]
        with uproot.open(path) as file:
            rows = file["mini"].arrays(names).tolist()
        for event in rows:
            total, codes = np.zeros(4), []
            for pt, eta, phi, kind, charge in zip(*(event[name] for name in names[1:]), strict=True):
                if pt <= {11: 7000, 13: 5000}[kind] or abs(eta) >= {11: 2.47, 13: 2.7}[kind]:
                    continue
                p = pt / 1000 * np.array([np.cos(phi), np.sin(phi), np.sinh(eta)])
                total += [*p, np.sqrt(p @ p + {11: M_ELECTRON, 13: M_MUON}[kind] ** 2)]
                codes.append(kind * charge)
            if len(codes) == 4:
                two_pairs += all(codes.count(kind) == codes.count(-kind) for kind in (11, 13))
                found[event["eventNumber"] % 2**32] = float(np.sqrt(total[3] ** 2 - total[:3] @ total[:3]))
    return found, two_pairs


def test_the_43_four_lepton_events_of_hzz(shared_data: Shared, tmp_path: Path) -> None:
    path = shared_data("nanoaod/uproot-HZZ.root")
    report = inspect_file(path)
    assert report.layout == "mapping"
    assert report.findings is not None
    assert report.findings.census.four == 43
    table, cutflow = _run(path, tmp_path / "out", selection=OPEN)
    assert cutflow["four leptons"] == 43
    assert cutflow["two pairs"] == len(table) == 40
    np.testing.assert_allclose(np.median(table.observables["m_z1"]), 91.0, atol=3.0)
    energies = _hzz_m4l_from_energies(path)
    for entry, mass in zip(table.event_id.tolist(), table.observables["m4l"].tolist(), strict=True):
        assert mass == pytest.approx(energies[entry], rel=2e-3)


def _hzz_m4l_from_energies(path: Path) -> dict[int, float]:
    """Mass of all leptons by entry, from the energies that the file holds; the reader takes the momenta and the known masses."""
    import uproot

    found = {}
    for entry, event in enumerate(uproot.open(path)["events"].arrays().tolist()):
        parts = [[event[f"{kind}_{c}"] for c in ("E", "Px", "Py", "Pz")] for kind in ("Electron", "Muon")]
        total = np.array([sum(one) + sum(two) for one, two in zip(*parts, strict=True)])
        found[entry] = float(np.sqrt(max(total[0] ** 2 - total[1:] @ total[1:], 0.0)))
    return found


@pytest.mark.parametrize(
    ("name", "group", "names", "n_events"),
    [
        ("lhe/pylhe-testfile-powheg-box-v2-hvq.lhe", "scale_variations", ("MUR2.0_MUF2.0_PDF99208082", "MUR0.5_MUF1.0_PDF99208082"), 6),
        ("lhe/pylhe-testlhef3.lhe", "scale_variation", ("1001", "1009"), 59),
    ],
)
def test_named_weights_of_lhe_files(shared_data: Shared, name: str, group: str, names: tuple[str, str], n_events: int) -> None:
    path = shared_data(name)
    report = inspect_file(path)
    found = report.trees[0].weight_names[group]
    assert (report.layout, report.trees[0].entries) == ("lhe", n_events)
    assert (found[0], found[-1]) == names
    sample = SampleConfig.model_validate({"name": "a", "files": [str(path)], "layout": {"kind": "lhe"}})
    with open_events(path, "") as events:
        reader = reader_for(sample)
        record = reader.read(
            events.arrays([*reader.required(sample), group, names[0]], 0, n_events), sample, weight_vectors=[group, names[0]]
        )
    np.testing.assert_array_equal(record.weight_vectors[group][:, :1], record.weight_vectors[names[0]])
    assert record.weight_vectors[group].shape == (n_events, len(found))
    text = path.read_text()
    if "1001" in names:
        assert record.gen_weight[0] == 50.109093
        assert record.weight_vectors[group][0, 1] == pytest.approx(45.746 / 50.109093, rel=1e-12)
    else:
        assert "0.11098E+08" in text
        assert record.weight_vectors[group][0, 0] == pytest.approx(0.11098e8 / 1.11453e7, rel=1e-12)
        assert record.electrons.counts.tolist()[:2] == [2, 2]
        assert record.jets is not None
        assert record.jets.counts[0] == 2
        assert record.gen_weight[1] < 0


def test_an_lhe_file_without_four_leptons_is_refused(shared_data: Shared, tmp_path: Path) -> None:
    with pytest.raises(PhysicsDomainError, match=r"(?s)at most 2 leptons .* in each of 6 events.*at least four leptons"):
        _run(shared_data("lhe/pylhe-testfile-powheg-box-v2-hvq.lhe"), tmp_path / "out")


def test_cms_nanoaod_without_weights_is_data(shared_data: Shared, tmp_path: Path) -> None:
    path = shared_data("nanoaod/nano_dimuon.root")
    document = yaml.safe_load(inspect_file(path).snippet)
    assert document["samples"][0]["kind"] == "data"
    with pytest.raises(PhysicsDomainError, match=r"(?s)selected events of sample data.*'all': 40.*'two pairs'"):
        _run(path, tmp_path / "out")


def test_an_rntuple_with_muons_alone(shared_data: Shared, tmp_path: Path) -> None:
    path = shared_data("nanoaod/Run2012BC_DoubleMuParked_Muons_1000evts_rntuple_v1-0-0-0.root")
    report = inspect_file(path)
    assert report.layout == "nanoaod"
    layout = yaml.safe_load(report.snippet)["samples"][0]["layout"]
    assert layout == {"kind": "nanoaod", "electron": None, "jet": None, "event": None}
    table, cutflow = _run(path, tmp_path / "out", selection=OPEN)
    assert (cutflow["all"], cutflow["four leptons"]) == (1000, 126)
    assert set(table.channel.tolist()) == {1}


def test_no_file_is_a_defect_for_inspect(shared_data: Shared) -> None:
    """Every file is described, or refused for what it is: those without leptons say what is missing."""
    folder = shared_data("ggzz4l/ggF_S_0.root").parents[1]
    files = sorted(path for ending in ("root", "csv", "lhe") for path in folder.rglob(f"*.{ending}"))
    assert len(files) > 20
    unknown = [path.name for path in files if inspect_file(path).layout == "unknown"]
    assert unknown == ["expected_t_grid.csv"]


def test_ttree_and_rntuple_of_one_process_agree(shared_data: Shared, tmp_path: Path) -> None:
    """The same generator run twice: not the same events, but the same format in two containers."""
    window = {"m_z1": [12.0, 120.0], "m_z2": [4.0, 120.0], "m4l": [70.0, 13000.0]}
    tables = []
    for i, name in enumerate(("pythia/pythia8_VBFH.root", "pythia/pythia8_VBFH_rntuple.root")):
        path = shared_data(name)
        assert inspect_file(path).trees[0].weight_lengths == {"LHEReweightingWeight": (13,)}
        table, _ = _run(path, tmp_path / str(i), selection=window)
        tables.append(table)
    for table in tables:
        assert np.median(table.observables["m4l"]) == pytest.approx(125.0, abs=1.0)
    assert len(tables[0]) == pytest.approx(len(tables[1]), rel=0.05)


def test_weight_vectors_of_nanoaod_are_relative_and_close(shared_data: Shared) -> None:
    path = shared_data("vbfzz4ljj/EW_SBI.root")
    sample = SampleConfig.model_validate({"name": "SBI", "files": [str(path)], "benchmarks": ["S", "B", "SBI", "SBI10"]})
    with open_events(path, "Events") as events:
        reader = reader_for(sample)
        names = [*reader.required(sample), "LHEScaleWeight"]
        record = reader.read(events.arrays(names, 0, 2000), sample, weight_vectors=["LHEScaleWeight"])
        assert take_census(read_range(events, sample, 0, 2000)).near_z[2] > 1000
    assert record.weight_vectors["LHEScaleWeight"].shape == (2000, 2)
    signal, background, both, strong = record.benchmark_ratios.T
    interference = both - signal - background
    np.testing.assert_allclose(strong, 10 * signal + np.sqrt(10) * interference + background, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both, 1.0, rtol=1e-6)
