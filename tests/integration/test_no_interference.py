"""Two signals that interfere with nothing: on-shell H -> 4l from gluon and from vector-boson fusion over a continuum of free normalisation.

The continuum has the leptons of gluon fusion, all momenta scaled so that the mass of the four is flat, and fewer jets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
import yaml

from toolkit.cli import main
from toolkit.likelihood import Results
from toolkit.report import read_results

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pythia"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason="needs the on-shell ntuples of the shared data")]

CONFIG: dict[str, Any] = {
    "name": "on-shell",
    "luminosity_ifb": 140.0,
    "parameters": {
        "mu_ggH": {"range": [0, 4], "interval": "asymptotic"},
        "mu_VBFH": {"range": [0, 5], "interval": "asymptotic"},
        "t": {"kind": "normalisation", "range": [0.3, 3]},
    },
    "processes": {"ggH": {"factor": "mu_ggH"}, "VBFH": {"factor": "mu_VBFH"}, "continuum": {"factor": "t"}},
    "samples": [
        {"name": "ggH", "files": ["ggH.root"]},
        {"name": "VBFH", "files": ["VBFH.root"]},
        {"name": "continuum", "files": ["continuum.root"]},
    ],
    "selection": {"m4l": [118, 129], "m_z1": [40, 106], "m_z2": [12, 65], "leading_pt_min": [15, 10]},
    "observables": ["m4l", "pt4l", "n_jets", "m_jj", "delta_eta_jj"],
    "fills": {"m_jj": 0.0, "delta_eta_jj": 0.0},
    "ratios": {
        "features": ["m4l", "pt4l", "n_jets", "m_jj_filled", "delta_eta_jj_filled"],
        "fold_beam_axis": False,
        "hidden": [32, 32],
        "epochs": 8,
        "batch_size": 256,
    },
    "histograms": {
        "plane": {
            "observable": ["m4l", "n_jets"],
            "edges": [[118, 122, 124, 126, 129], [-0.5, 0.5, 1.5, 2.5, 20.5]],
            "least_expected": 1.0,
        }
    },
    "likelihood": {
        "ratio_uncertainty": False,
        "closure": [{"mu_ggH": 1.0, "mu_VBFH": 1.0}, {"mu_ggH": 0.5, "mu_VBFH": 2.0}, {"mu_ggH": 1.5, "mu_VBFH": 0.5}],
        "scan_points": 21,
        "goodness": {"toys": 1},
    },
    "report": {"importance_events": 0},
}


def write_continuum(source: Path, target: Path) -> None:
    """Scale the momenta of four leptons by one factor per event, so that their mass is uniform in [110, 137] GeV."""
    rng = np.random.default_rng(8)
    with uproot.open(source) as file:
        events, runs = file["Events"].arrays(), file["Runs"].arrays(library="np")
    lepton = {f: ak.concatenate([events[f"Electron_{f}"], events[f"Muon_{f}"]], axis=1) for f in ("pt", "eta", "phi", "mass")}
    four = ak.num(lepton["pt"]) == 4
    events, lepton = events[four], {f: v[four] for f, v in lepton.items()}
    momenta = [ak.sum(lepton["pt"] * part(lepton[angle]), axis=1) for part, angle in ((np.cos, "phi"), (np.sin, "phi"), (np.sinh, "eta"))]
    mass = np.sqrt(ak.to_numpy(ak.sum(lepton["pt"] * np.cosh(lepton["eta"]), axis=1) ** 2 - sum(p**2 for p in momenta)))
    scale = rng.uniform(110.0, 137.0, len(mass)) / mass
    keep = ak.Array(rng.uniform(size=len(mass)) < 0.5)
    groups: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    for name in [f for f in events.fields if not f.startswith("n")]:
        group, _, part = name.partition("_")
        values = events[name]
        if group in {"Electron", "Muon"} and part in {"pt", "mass"}:
            values = values * scale
        if group == "Jet":
            values = ak.mask(values, keep)
            values = ak.fill_none(values, [], axis=0)
        if group in {"Electron", "Muon", "Jet"}:
            groups.setdefault(group, {})[part] = values
        elif name in {"run", "luminosityBlock", "event", "genWeight"}:
            columns[name] = ak.to_numpy(values)
    columns["event"] = columns["event"] + np.uint64(10**7)
    columns |= {name: ak.zip({part: ak.values_astype(v, "float32") for part, v in parts.items()}) for name, parts in groups.items()}
    runs["genEventSumw"], runs["xsec_fb"] = np.array([float(columns["genWeight"].sum())]), np.array([4.0])
    runs["genEventCount"] = np.array([len(mass)])
    with uproot.recreate(target) as file:
        file.mktree("Events", {name: v.type.content if isinstance(v, ak.Array) else v.dtype for name, v in columns.items()}).extend(columns)
        file.mktree("Runs", {name: v.dtype for name, v in runs.items()}).extend(runs)


def run(folder: Path, command: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([command, str(folder / "config.yaml"), *(["--out", str(folder / "out")] if command != "validate" else [])])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("onshell")
    for name in ("ggH", "VBFH"):
        (folder / f"{name}.root").symlink_to(DATA / f"pythia8_{name}.root")
    write_continuum(DATA / "pythia8_ggH.root", folder / "continuum.root")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    for command in ("validate", "run"):
        assert run(folder, command) == 0, command
    return read_results(folder / "out" / "results.json")


@pytest.mark.parametrize("method", ["plane", "score", "nsbi"])
@pytest.mark.parametrize("parameter", ["mu_ggH", "mu_VBFH"])
def test_every_strength_closes_within_its_error(results: Results, method: str, parameter: str) -> None:
    """At all three truths, on events that nothing has seen; the truths share them, so that their deviations go together."""
    points = [p for p in results.closure if (p.method, p.parameter) == (method, parameter)]
    assert [p.mu for p in points] == [point[parameter] for point in CONFIG["likelihood"]["closure"]]
    for point in points:
        assert abs(point.mu_hat - point.mu) < 2.5 * point.standard_error


def test_networks_tell_the_signals_apart_at_least_as_well_as_the_histogram(results: Results) -> None:
    for parameter in ("mu_ggH", "mu_VBFH"):
        widths = {}
        for method in ("plane", "nsbi"):
            [interval] = results.methods[method].parameters[parameter].interval_68
            assert interval.low < 1.0 < interval.high
            widths[method] = interval.high - interval.low
        assert widths["nsbi"] < widths["plane"]
