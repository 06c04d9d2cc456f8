"""What the page says of selection and input files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from toolkit.config import parse_config
from toolkit.pipeline.stages.origin import input_rows, selection_rows
from toolkit.pipeline.stamps import Stamp, stamp_path, write_stamp

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = {"name": "ggF_SBI", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}


def test_every_requirement_of_the_selection(tmp_path: Path) -> None:
    electron = {"pt_min": 9.0, "abs_eta_max": 2.47, "abs_eta_gap": [1.37, 1.52]}
    selection = {"electron": electron, "n_leptons_exact": False, "total_charge": 0, "m4l": [180.0, 2000.0]}
    config = parse_config({"luminosity_ifb": 1.0, "samples": [SAMPLE], "selection": selection}, folder=tmp_path)
    rows = dict(selection_rows(config))
    assert rows["electrons"] == "pT ≥ 9 GeV, |η| ≤ 2.47, without 1.37 to 1.52"
    assert rows["muons"] == "pT ≥ 5 GeV, |η| ≤ 2.7"
    assert rows["jets"] == "pT ≥ 30 GeV, |η| ≤ 4.5, ΔR to leptons ≥ 0.4"
    assert rows["leptons"] == "at least four, in 4e, 4mu, 2e2mu"
    assert rows["leading leptons"] == "pT ≥ 20, 15, 10 GeV"
    assert rows["sum of charges"] == "0"
    assert rows["m4l"] == "180 to 2000 GeV"


def test_input_files_are_those_of_the_processing_stage(tmp_path: Path) -> None:
    assert input_rows(tmp_path) == ()
    sha256 = hashlib.sha256(b"").hexdigest()
    stamp_path(tmp_path, "process").parent.mkdir()
    parts = {"inputs": {"ggF_S": [{"name": "a.root", "size": 4_300_000, "sha256": sha256}]}}
    write_stamp(tmp_path, Stamp(stage="process", key="k", parts=parts, outputs={}, seconds=1.0))
    assert input_rows(tmp_path) == (("ggF_S", "a.root", "4.3 MB", sha256[:16]),)
