"""Every format as a user meets it: `h4l init`, `h4l validate`, `h4l process`, and the numbers of a script with uproot and numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from tests.by_hand import OFF_SHELL, Lepton, four_lepton_mass, from_cartesian
from tests.ntuples import Event, make_events, momentum
from toolkit.artifacts import EventTable, read_events
from toolkit.cli.app import app
from toolkit.config import load_config

LUMINOSITY = 140.0
XSEC_PB = 0.01
GOLDEN = Path(__file__).parents[1] / "golden"


def h4l(*arguments: str | Path) -> str:
    """Run a command that must succeed, and return what it prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def start(folder: Path, *files: Path) -> tuple[EventTable, dict[str, tuple[float, float]]]:
    """Run init, validate and process; return the events of the first sample and the windows of the selection that init proposes."""
    path, out = folder / "analysis.yaml", folder / "out"
    h4l("init", *files, "--out", path)
    h4l("validate", path)
    h4l("process", path, "--out", out, "--quiet")
    config = load_config(path)
    return read_events(out / "events", config.samples[0].name), {name: getattr(config.selection, name) for name in OFF_SHELL}


def compare(table: EventTable, by_hand: Sequence[float | None], weights: Sequence[float]) -> None:
    """Compare m4l of every event and the yield with those of the script; the table is in the order of the file."""
    kept = [(mass, weight) for mass, weight in zip(by_hand, weights, strict=True) if mass is not None]
    assert len(table) == len(kept) > 0
    np.testing.assert_allclose(table.observables["m4l"], [mass for mass, _ in kept], rtol=1e-6)
    np.testing.assert_allclose(table.weight.sum(), sum(weight for _, weight in kept), rtol=1e-9)


def _leptons(event: Event) -> list[Lepton]:
    return [Lepton(p.pt, p.eta, p.phi, abs(p.pdg_id), -int(np.sign(p.pdg_id)), p.mass) for p in event.leptons]


def _jagged(rows: list[list[float]], kind: Any = np.float32) -> Any:
    return ak.values_astype(ak.Array([*rows, [0.0]])[:-1], kind)


def _write(path: Path, tree: str, columns: dict[str, Any], *, rntuple: bool = False) -> None:
    types = {name: values.dtype if isinstance(values, np.ndarray) else values.type.content for name, values in columns.items()}
    with uproot.recreate(path) as file:
        (file.mkrntuple if rntuple else file.mktree)(tree, types).extend(columns)


def _column(events: list[Event], of: Callable[[Any], float], flavours: tuple[int, ...] = (11, 13), kind: Any = np.float32) -> Any:
    return _jagged([[of(p) for p in e.leptons if abs(p.pdg_id) in flavours] for e in events], kind)


def _angular(events: list[Event], pattern: str, flavours: tuple[int, ...] = (11, 13), *, unit: float = 1.0) -> dict[str, Any]:
    """Lists of pt, eta, phi and charge; the pattern says what they are called."""
    columns = {
        pattern.format("pt"): _column(events, lambda p: unit * p.pt, flavours, np.float64),
        pattern.format("eta"): _column(events, lambda p: p.eta, flavours),
        pattern.format("phi"): _column(events, lambda p: p.phi, flavours),
    }
    return columns | {pattern.format("charge"): _column(events, lambda p: -np.sign(p.pdg_id), flavours, np.int32)}


def _weights(events: list[Event]) -> Any:
    return np.array([e.gen_weight for e in events])


Case = tuple[list[list[Lepton]], list[float]]
"""Leptons of each event, and its expected events at 140/fb if the sum of weights is that of the file and the cross-section 1 pb."""


def _plain(events: list[Event]) -> Case:
    w = _weights(events)
    return [_leptons(e) for e in events], list(LUMINOSITY * 1e3 * w / w.sum())


def _atlas_2025(path: Path, events: list[Event]) -> Case:
    n, one = len(events), lambda value: np.full(len(events), value, dtype=np.float32)
    columns = {
        "sum_of_weights": np.full(n, 5e4),
        "mcWeight": _weights(events).astype(np.float32),
        "xsec": one(0.01),
        "filteff": one(0.9),
        "kfac": one(1.1),
        "eventNumber": np.arange(n, dtype=np.uint64),
        "runNumber": np.ones(n, dtype=np.uint32),
        **{f"ScaleFactor_{k}": one(0.97) for k in ("PILEUP", "ELE", "MUON", "LepTRIGGER", "MLTRIGGER", "JVT")},
        **_angular(events, "lep_{}"),
        "lep_type": _column(events, lambda p: abs(p.pdg_id), kind=np.int32),
        **{f"jet_{f}": _jagged([[getattr(p, f) for p in e.jets] for e in events]) for f in ("pt", "eta", "phi")},
        "jet_e": _jagged([[momentum(p)[3] for p in e.jets] for e in events]),
    }
    _write(path, "analysis", columns)
    stated = np.prod(np.array([0.01, 1.1, 0.9], dtype=np.float32).astype(np.float64)) * np.float64(np.float32(0.97)) ** 4
    return [_leptons(e) for e in events], list(LUMINOSITY * 1e3 * stated * _weights(events) / 5e4)


def _flat(path: Path, events: list[Event], *, first: int = 1, cartesian: bool = False, unsigned: bool = False, flavour: int = 0) -> Case:
    name = {0: "lep", 11: "el", 13: "mu"}[flavour] + "{}_{}"
    columns: dict[str, Any] = {"weight": _weights(events)}
    for i in range(5):
        slot = [e.leptons[i] if i < len(e.leptons) else None for e in events]
        values: dict[str, Any] = {"pdgId": [0 if p is None else abs(p.pdg_id) if unsigned else p.pdg_id for p in slot]}
        if unsigned or flavour:
            values["charge"] = [0 if p is None else -np.sign(p.pdg_id) for p in slot]
        if flavour:
            del values["pdgId"]
        if cartesian:
            values |= {x: [-999.0 if p is None else momentum(p)[k] for p in slot] for k, x in enumerate(("px", "py", "pz", "E"))}
        else:
            values |= {x: [-999.0 if p is None else getattr(p, x) for p in slot] for x in ("pt", "eta", "phi")}
        columns |= {name.format(i + first, x): np.array(v, dtype=np.float64) for x, v in values.items()}
    _write(path, "t", columns)
    leptons, weights = _plain(events)
    if cartesian:
        leptons = [[from_cartesian(*momentum(p)[:3], abs(p.pdg_id), -int(np.sign(p.pdg_id))) for p in e.leptons] for e in events]
    return leptons, weights


def _muons(path: Path, events: list[Event]) -> Case:
    own = [e for e in events if {abs(p.pdg_id) for p in e.leptons} == {13}]
    return _flat(path, own, flavour=13)


def _cjlst(path: Path, events: list[Event]) -> Case:
    n = len(events)
    columns = {
        "EventNumber": np.arange(n, dtype=np.int64),
        "RunNumber": np.ones(n, dtype=np.int32),
        "LumiNumber": np.ones(n, dtype=np.int32),
        "LepPt": _column(events, lambda p: p.pt),
        "LepEta": _column(events, lambda p: p.eta),
        "LepPhi": _column(events, lambda p: p.phi),
        "LepLepId": _column(events, lambda p: p.pdg_id, kind=np.int16),
        "overallEventWeight": _weights(events).astype(np.float32),
        "xsec": np.full(n, XSEC_PB, dtype=np.float32),
        "p_Gen_SIG": np.ones(n, dtype=np.float32),
    }
    _write(path, "ZZTree/candTree", columns)
    leptons, weights = _plain(events)
    return leptons, list(np.array(weights) * np.float64(np.float32(XSEC_PB)))


def _physlite(path: Path, events: list[Event]) -> Case:
    columns = {"EventInfoAuxDyn.eventNumber": np.arange(len(events), dtype=np.uint64)}
    columns["EventInfoAuxDyn.mcEventWeights"] = _jagged([[e.gen_weight, 1.1 * e.gen_weight] for e in events])
    for kind, flavour in (("Electrons", 11), ("Muons", 13)):
        columns |= _angular(events, f"Analysis{kind}AuxDyn." + "{}", (flavour,), unit=1e3)
    _write(path, "CollectionTree", columns)
    return _plain(events)


def _lorentz_vectors(path: Path, events: list[Event]) -> Case:
    columns: dict[str, Any] = {"weight": _weights(events)}
    for kind, flavour in (("electron", 11), ("muon", 13)):
        px, py, pz, energy = (_column(events, lambda p, k=k: momentum(p)[k], (flavour,), np.float64) for k in range(4))
        columns[f"{kind}p4"] = ak.zip({"fP": ak.zip({"fX": px, "fY": py, "fZ": pz}), "fE": energy}, depth_limit=2)
        columns[f"{kind}q"] = _column(events, lambda p: -np.sign(p.pdg_id), (flavour,), np.int32)
    _write(path, "events", columns, rntuple=True)
    leptons = [[from_cartesian(*momentum(p)[:3], abs(p.pdg_id), -int(np.sign(p.pdg_id))) for p in e.leptons] for e in events]
    return leptons, _plain(events)[1]


def _split_classes(path: Path, events: list[Event]) -> Case:
    del events
    path.write_bytes((GOLDEN / "split_classes.root").read_bytes())
    with uproot.open(path) as file:
        weights = ak.to_numpy(ak.flatten(file["Delphes"]["Event.Weight"].array())).astype(np.float64)
    return _split(path), list(LUMINOSITY * 1e3 * weights / weights.sum())


WRITERS: dict[str, Callable[[Path, list[Event]], Case]] = {
    "atlas_2025": _atlas_2025,
    "flat_from_zero": lambda path, events: _flat(path, events, first=0),
    "flat_cartesian": lambda path, events: _flat(path, events, cartesian=True),
    "flat_unsigned": lambda path, events: _flat(path, events, unsigned=True),
    "flat_of_muons": _muons,
    "cjlst": _cjlst,
    "physlite": _physlite,
    "lorentz_vectors": _lorentz_vectors,
    "split_classes": _split_classes,
}


@pytest.mark.parametrize("name", WRITERS)
def test_init_validate_process_give_the_numbers_of_a_script(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.root"
    leptons, weights = WRITERS[name](path, make_events(120, seed=11))
    table, windows = start(tmp_path, path)
    compare(table, [four_lepton_mass(own, windows) for own in leptons], weights)


FIRST = 2500
"""Entries of large files that the script looks at."""


@pytest.mark.parametrize(
    "name",
    [
        "ggzz4l/ggF_S_0.root",
        "ggzz4l/qqZZ_1.root",
        "ggzz4l_eft/ggF_Stg_0.root",
        "vbfzz4ljj/EW_SBI.root",
        "pythia/pythia8_ggH.root",
        "pythia/pythia8_VBFH.root",
        "pythia/pythia8_VBFH_rntuple.root",
    ],
)
def test_files_of_the_benchmark_samples_have_the_numbers_of_a_script(name: str, tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    path = shared_data(name)
    table, windows = start(tmp_path, path)
    fields = [f"{kind}_{field}" for kind in ("Electron", "Muon") for field in ("pt", "eta", "phi", "charge")]
    with uproot.open(path) as file:
        named = {key: key.replace("_", ".") if "rntuple" in name else key for key in fields}  # fields of records in an RNTuple
        events = {key: file["Events"][named.get(key, key)].array(entry_stop=FIRST).tolist() for key in (*fields, "genWeight")}
        runs = file["Runs"]
        scale = LUMINOSITY * float(runs["xsec_fb"].array()[0]) / float(ak.sum(runs["genEventSumw"].array()))
    leptons = [
        [
            Lepton(*numbers[:3], flavour, int(numbers[3]))
            for kind, flavour in (("Electron", 11), ("Muon", 13))
            for numbers in zip(*(events[f"{kind}_{field}"][k] for field in ("pt", "eta", "phi", "charge")), strict=True)
        ]
        for k in range(FIRST)
    ]
    first = table.entry < FIRST
    compare(
        replace(table, observables={"m4l": table.observables["m4l"][first]}, weight=table.weight[first], event_id=table.event_id[first]),
        [four_lepton_mass(own, windows) for own in leptons],
        [scale * weight for weight in events["genWeight"]],
    )


def _split(path: Path) -> list[list[Lepton]]:
    with uproot.open(path) as file:
        tree = file["Delphes"]
        columns = {
            flavour: tree.arrays([f"{kind}.{f}" for f in ("PT", "Eta", "Phi", "Charge")]).tolist()
            for flavour, kind in ((11, "Electron"), (13, "Muon"))
        }
    events: list[list[Lepton]] = [[] for _ in columns[11]]
    for flavour, rows in columns.items():
        for event, row in zip(events, rows, strict=True):
            event += [Lepton(*numbers[:3], flavour, numbers[3]) for numbers in zip(*row.values(), strict=True)]
    return events


SPLIT = """
name: split
luminosity_ifb: 140.0
observables: [m4l]
ratios: {{features: [m4l]}}
samples:
  - name: A
    files: [{path}]
    tree: Delphes
    layout:
      kind: mapping
      electrons: {{pt: Electron_PT, eta: Electron.Eta, phi: Electron/Electron.Phi, charge: Electron/Electron_Charge}}
      muons: {{pt: Muon/Muon.PT, eta: Muon_Eta, phi: Muon_Phi, charge: Muon_Charge}}
    xsec_pb: 1.0
    gen_sumw: sum
"""


def test_every_spelling_of_a_split_branch_is_found_by_validate_and_process(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(SPLIT.format(path=GOLDEN / "split_classes.root"))
    h4l("validate", config)
    h4l("process", config, "--out", tmp_path / "out", "--quiet")
    by_hand = [four_lepton_mass(leptons, OFF_SHELL) for leptons in _split(GOLDEN / "split_classes.root")]
    compare(read_events(tmp_path / "out" / "events", "A"), by_hand, [140_000.0 / len(by_hand)] * len(by_hand))


def test_a_misspelled_split_branch_is_refused_by_validate(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(SPLIT.format(path=GOLDEN / "split_classes.root").replace("Muon/Muon.PT", "Muon/Muon.Pt"))
    done = CliRunner().invoke(app, ["validate", str(config)])
    assert done.exit_code == 2
    assert "did you mean 'Muon_PT'?" in done.output
