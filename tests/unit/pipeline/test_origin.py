"""What the page says of selection and input files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

from toolkit.config import AnyRatioConfig, RatioSettings, parse_config
from toolkit.pipeline.stages.origin import (
    LABELS,
    USES,
    WEIGHTS,
    describe_provenance,
    input_rows,
    network_rows,
    selection_rows,
    uncertainty_rows,
)
from toolkit.pipeline.stamps import Stamp, stamp_path, write_stamp
from toolkit.weights import SimulatedEvents

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = {"name": "ggF_SBI", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}


@pytest.fixture
def simulated() -> SimulatedEvents:
    observables, weights = {"m4l": np.array([300.0, 400.0])}, np.ones((2, 1))
    return SimulatedEvents(("qqZZ",), np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64), ("qqZZ",), observables, weights)


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


def test_networks_are_described(tmp_path: Path) -> None:
    ratios = {"features": ["m4l", "phi"], "hidden": [32, 16], "splits": {"folds": 6}, "epochs": 3}
    rows = dict(network_rows(parse_config({"luminosity_ifb": 1.0, "samples": [SAMPLE], "ratios": ratios}, folder=tmp_path)))
    assert rows["observables"] == "m4l, phi"
    assert rows["ensemble"] == "20 members, each trained on 3 of 6 folds of the training sample"
    assert rows["hidden layers"] == "32 x 16 nodes"
    assert rows["epochs, at most"].startswith("3 (classes), ")


def test_networks_that_learn_from_labels_say_so(tmp_path: Path) -> None:
    apart = [{"name": name, "files": [f"{name}.root"]} for name in ("ggF_S", "ggF_SBI", "ggF_B")]
    rows = dict(network_rows(parse_config({"luminosity_ifb": 1.0, "samples": apart}, folder=tmp_path)))
    assert rows["learns from"] == LABELS
    assert "folded" in rows["lepton charges"]
    assert (rows["epochs, at most"], rows["ensemble"][:10]) == ("20", "15 members")
    joint = dict(network_rows(parse_config({"luminosity_ifb": 1.0, "samples": [SAMPLE]}, folder=tmp_path)))
    assert (joint["learns from"], "lepton charges" in joint) == (WEIGHTS, False)


def test_the_page_says_what_networks_leave_undecided(tmp_path: Path) -> None:
    assert uncertainty_rows(tmp_path) == ()
    (tmp_path / "models").mkdir()
    rows = [{"direction": f"mu at mu = {mu}", "longer": longer} for mu, longer in ((0, 1.0123), (1, 1.08))]
    for shifts, end in (({}, "left out of the fit"), ({"network_1": {}, "network_2": {}}, "in the fit as network_1, network_2")):
        (tmp_path / "models" / "network_uncertainty.json").write_text(json.dumps({"directions": rows, "shifts": shifts}))
        [(_, text)] = uncertainty_rows(tmp_path)
        assert text == f"error 1.08 times as long (mu at mu = 1, the largest of 2); {end}"


@pytest.mark.parametrize("section", get_args(get_args(AnyRatioConfig)[0]))
def test_every_estimator_has_a_use(section: type[RatioSettings]) -> None:
    assert set(get_args(section.model_fields["estimator"].annotation)) <= set(USES)


def test_data_events_are_counted_apart_and_only_unblinded(tmp_path: Path, simulated: SimulatedEvents) -> None:
    data = {"name": "late", "kind": "data", "files": ["late.root"]}
    document = {"luminosity_ifb": 1.0, "samples": [SAMPLE, data]}
    cutflow = {name: {"all": {"events": 7, "sumw": 7.0, "sumw2": 7.0}} for name in ("ggF_SBI", "late")}
    blind = describe_provenance(parse_config(document, folder=tmp_path), simulated, cutflow)
    assert (list(blind.cutflow), list(blind.data_cutflow)) == (["ggF_SBI"], [])
    assert blind.samples[1] == ("late", "late.root", "-", "data")
    opened = parse_config({**document, "likelihood": {"observed": True}}, folder=tmp_path)
    assert list(describe_provenance(opened, simulated, cutflow).data_cutflow) == ["late"]


def test_input_files_are_those_of_the_processing_stage(tmp_path: Path) -> None:
    assert input_rows(tmp_path) == ()
    sha256 = hashlib.sha256(b"").hexdigest()
    stamp_path(tmp_path, "process").parent.mkdir()
    parts = {"inputs": {"ggF_S": [{"name": "a.root", "size": 4_300_000, "sha256": sha256}]}}
    write_stamp(tmp_path, Stamp(stage="process", key="k", parts=parts, outputs={}, seconds=1.0))
    assert input_rows(tmp_path) == (("ggF_S", "a.root", "4.3 MB", sha256[:16]),)
