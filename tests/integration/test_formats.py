"""Every format as a user meets it: `h4l init`, `h4l validate`, `h4l process`, and the numbers of a script with uproot and numpy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from typer.testing import CliRunner

from tests.by_hand import OFF_SHELL, Lepton, four_lepton_mass
from toolkit.artifacts import EventTable, read_events
from toolkit.cli.app import app
from toolkit.config import load_config

GOLDEN = Path(__file__).parents[1] / "golden"


def h4l(*arguments: str | Path) -> str:
    """Run a command that must succeed, and return what it prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def start(folder: Path, *files: Path) -> tuple[dict[str, Any], list[EventTable]]:
    """Run init, validate and process; return the cut flow by sample, and the event tables in the order of the config."""
    config, out = folder / "analysis.yaml", folder / "out"
    h4l("init", *files, "--out", config)
    h4l("validate", config)
    h4l("process", config, "--out", out, "--quiet")
    cutflow = json.loads((out / "cutflow.json").read_text())["samples"]
    return cutflow, [read_events(out / "events", sample.name) for sample in load_config(config).samples]


def compare(table: EventTable, by_hand: Sequence[float | None], weights: Sequence[float]) -> None:
    """Compare m4l of every event and the yield with those of the script; the table is in the order of the file."""
    kept = [(mass, weight) for mass, weight in zip(by_hand, weights, strict=True) if mass is not None]
    assert len(table) == len(kept) > 0
    np.testing.assert_allclose(table.observables["m4l"], [mass for mass, _ in kept], rtol=1e-6)
    np.testing.assert_allclose(table.weight.sum(), sum(weight for _, weight in kept), rtol=1e-9)


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
