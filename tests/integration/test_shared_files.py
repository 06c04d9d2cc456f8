"""Files of ../shared/data as a user meets them: inspect never fails on one, and init, validate and process give the numbers of a script."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from tests.by_hand import Lepton, four_lepton_mass, from_cartesian
from tests.integration.test_formats import LUMINOSITY, compare, start
from toolkit.cli.app import app

Shared = Callable[[str], Path]
Script = tuple[list[list[Lepton]], list[float]]
SMALL = 3_000_000
"""Bytes of files that every run of the tests inspects."""
FOLDERS = tuple(Path(__file__).resolve().parents[3] / "shared" / name for name in ("data", "cases"))
FILES = sorted(p for folder in FOLDERS for p in folder.rglob("*") if p.suffix in {".root", ".csv", ".lhe"} and p.stat().st_size < SMALL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_inspect_knows_what_to_say_of_every_file(path: Path) -> None:
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == (2 if "robustness" in path.parts else 0), done.output  # two files there are damaged


def _collections(path: Path, tree: str, parts: dict[int, tuple[str, ...]]) -> list[list[Lepton]]:
    """Leptons from lists: per flavour the branches of pt, eta, phi, charge and, where there is one, the mass."""
    with uproot.open(path) as file:
        names = [name for own in parts.values() for name in own]
        rows = file[tree].arrays(names).tolist()
    events = []
    for row in rows:
        leptons = []
        for flavour, own in parts.items():
            leptons += [Lepton(*values[:3], flavour, values[3], *values[4:]) for values in zip(*(row[name] for name in own), strict=True)]
        events.append(leptons)
    return events


def _nano(path: Path) -> Script:
    fields = ("pt", "eta", "phi", "charge", "mass")
    leptons = _collections(path, "Events", {11: tuple(f"Electron_{f}" for f in fields), 13: tuple(f"Muon_{f}" for f in fields)})
    with uproot.open(path) as file:
        weights = file["Events"]["genWeight"].array(library="np").astype(np.float64)
        runs = file["Runs"].arrays(library="np")
    return leptons, list(weights * (runs["xsec_fb"][0] * LUMINOSITY / runs["genEventSumw"].sum()))


def _muons(path: Path) -> Script:
    leptons = _collections(path, "Events", {13: tuple(f"Muon_{f}" for f in ("pt", "eta", "phi", "charge", "mass"))})
    return leptons, [1.0] * len(leptons)


def _atlas(path: Path) -> Script:
    with uproot.open(path) as file:
        rows = file["mini"].arrays(["lep_pt", "lep_eta", "lep_phi", "lep_type", "lep_charge"]).tolist()
    return [[Lepton(pt / 1000, *rest) for pt, *rest in zip(*row.values(), strict=True)] for row in rows], [1.0] * len(rows)


def _hzz(path: Path) -> Script:
    events = []
    with uproot.open(path) as file:
        tree = file["events"].arrays()
        weights = np.asarray(tree["EventWeight"], dtype=np.float64)
        for row in tree.tolist():
            leptons = []
            for kind, flavour in (("Electron", 11), ("Muon", 13)):
                columns = (row[f"{kind}_{name}"] for name in ("Px", "Py", "Pz", "Charge"))
                leptons += [from_cartesian(px, py, pz, flavour, charge) for px, py, pz, charge in zip(*columns, strict=True)]
            events.append(leptons)
    return events, list(weights * LUMINOSITY * 1e3 / weights.sum())


def _cms(path: Path) -> Script:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    events = []
    for row in rows:
        columns = [[float(row[f"{name}{i}"]) for name in ("pt", "eta", "phi")] for i in range(1, 5)]
        events.append([Lepton(*columns[i - 1], abs(int(row[f"PID{i}"])), int(float(row[f"Q{i}"]))) for i in range(1, 5)])
    return events, [1.0] * len(rows)


SCRIPTS = {
    "atlas_open_data/data_A.4lep.root": _atlas,
    "atlas_open_data/data_B.4lep.root": _atlas,
    "atlas_open_data/data_C.4lep.root": _atlas,
    "atlas_open_data/data_D.4lep.root": _atlas,
    "nanoaod/uproot-HZZ.root": _hzz,
    "nanoaod/Run2012BC_DoubleMuParked_Muons_1000evts_rntuple_v1-0-0-0.root": _muons,
    **{f"cms_open_data/{channel}_{year}.csv": _cms for channel in ("2e2mu", "4e", "4mu") for year in (2011, 2012)},
}
LARGE = {
    f"{folder}/{name}.root": _nano
    for folder, names in {
        "ggzz4l": [f"{sample}_{part}" for sample in ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ") for part in (0, 1)],
        "ggzz4l_eft": ["ggF_SBI_0", "ggF_SBI_1", "ggF_Stg_0", "ggF_Stg_1"],
        "vbfzz4ljj": ["EW_SBI"],
        "pythia": ["pythia8_ggH", "pythia8_VBFH"],
    }.items()
    for name in names
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_numbers_are_those_of_a_script(name: str, shared_data: Shared, tmp_path: Path) -> None:
    path = shared_data(name)
    table, windows = start(tmp_path, path)
    leptons, weights = SCRIPTS[name](path)
    compare(table, [four_lepton_mass(own, windows) for own in leptons], weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_numbers_of_large_files_are_those_of_a_script(name: str, shared_data: Shared, tmp_path: Path) -> None:
    path = shared_data(name)
    table, windows = start(tmp_path, path)
    leptons, weights = LARGE[name](path)
    compare(table, [four_lepton_mass(own, windows) for own in leptons], weights)
