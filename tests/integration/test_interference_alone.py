"""A sample of interference alone, and a background whose other generators are other files, from the config to the fit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.session import Folder
from toolkit.artifacts.events import read_events
from toolkit.config import Config, parse_config
from toolkit.likelihood import OnnxRatio, Workspace
from toolkit.pipeline import GRAPH, STAGE_NAMES, Plan, run_pipeline
from toolkit.weights import hash_uniform

pytestmark = pytest.mark.slow

SAMPLES = ("ggF_S", "ggF_I", "ggF_B", "qqZZ")
MU = np.array([0.0, 0.4, 1.0, 3.0, 6.0])


def interference_of(events: Any) -> Any:
    """The events of SBI with the weight of the interference alone: w (w_SBI - w_S - w_B)."""
    s, b, sbi = (ak.to_numpy(events["LHEReweightingWeight"])[:, i].astype(np.float64) for i in range(3))
    return ak.with_field(events, ak.to_numpy(events["genWeight"]) * (sbi - s - b), "genWeight")


def tilted(power: float) -> Any:
    """Events with another spectrum: the weight times a power of the sum of the transverse momenta of all leptons."""

    def change(events: Any) -> Any:
        total = ak.to_numpy(ak.sum(events["Electron_pt"], axis=1) + ak.sum(events["Muon_pt"], axis=1))
        return ak.with_field(events, ak.to_numpy(events["genWeight"]) * (np.maximum(total, 1.0) / 200.0) ** power, "genWeight")

    return change


def config_of(folder: Path) -> Config:
    sums = {}
    for name in ("SBI/ggF_SBI_0.root", "ggF_I_0.root"):
        with uproot.open(folder / name) as file:
            total = file["Events"]["genWeight"].array(library="np").sum(dtype=np.float64)
            sums[name] = float(total), float(file["Runs"]["xsec_fb"].array(library="np")[0])
    (whole, xsec_fb), (alone, _) = sums.values()
    document: dict[str, Any] = copy.deepcopy(CONFIG)
    document["samples"] = [{"name": n, "process": n[:3].replace("qqZ", "qqZZ"), "files": [f"{n}_0.root"]} for n in SAMPLES]
    document["samples"][1] |= {"generated": "ggF_I", "xsec_pb": 1e-3 * xsec_fb * alone / whole, "gen_sumw": "sum"}
    amplitudes = {"S": "sqrt(mu)", "B": "1"}
    document["processes"] = {
        "ggF": {"amplitudes": amplitudes, "benchmarks": {"ggF_S": [1, 0], "ggF_I": "S*B", "ggF_B": [0, 1]}},
        "qqZZ": {},
    }
    document["parameters"] = {"mu": {"range": [0, 6], **document.pop("parameter", {})}}
    document["systematics"] = {
        "samples": {"generator": {"files_up": {"qqZZ": ["up/qqZZ_1.root"]}, "files_down": {"qqZZ": ["down/qqZZ_1.root"]}}},
        "ratios": {"shape": "networks", "hidden": [8], "epochs": 8, "batch_size": 64},
    }
    del document["histograms"]["plane"]
    document["ratios"] |= {"ensemble": {"subsets": "folds"}, "splits": {"folds": 2}}
    document["likelihood"] = {
        "ratio_uncertainty": False,
        "closure_mu": [1.0],
        "bootstrap_replicas": 20,
        "scan_points": 11,
        "goodness": {"toys": 1},
    }
    return parse_config(document, folder=folder)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = tmp_path_factory.mktemp("interference")
    for name in ("SBI", "up", "down"):
        (folder / name).mkdir()
    write_first_events(folder, {"ggF_S": 500, "ggF_B": 900, "qqZZ": 1200})
    write_first_events(folder / "SBI", {"ggF_SBI": 900})
    write_first_events(folder, {"ggF_SBI": 900}, change=interference_of)
    (folder / "ggF_SBI_0.root").rename(folder / "ggF_I_0.root")
    write_first_events(folder / "up", {"qqZZ": 900}, files=2, change=tilted(1.0))
    write_first_events(folder / "down", {"qqZZ": 1000}, files=2, change=tilted(-1.0))
    config = config_of(folder)
    run_pipeline(config, out=folder / "out", plan=Plan(GRAPH[: STAGE_NAMES.index("report")]))
    return Folder(config, folder / "out")


def _held_out(session: Folder, name: str, variation: str = "nominal") -> Any:
    """Table of a sample, and which of its events are test events."""
    table, splits = read_events(session.out / "events", name, variation=variation), session.config.ratios.splits
    return table, hash_uniform(table.event_id, salt=splits.salt) < splits.test


def test_the_sum_with_interference_is_the_signed_sum_of_its_samples(session: Folder) -> None:
    """Yields at mu S + sqrt(mu) I + B, by hand from the tables, in the fit of rates."""
    tables = {name: _held_out(session, name) for name in SAMPLES}
    interference = tables["ggF_I"][0].weight
    assert (interference < 0.0).any()
    assert interference.sum() < 0.0
    share = session.config.ratios.splits.test
    for events, side in zip(read_simulation(session), (False, True), strict=True):
        s, i, b, qq = (t.weight[test == side].sum() / (share if side else 1.0 - share) for t, test in tables.values())
        np.testing.assert_allclose(events.yields, [s, s + i + b, b, qq], rtol=1e-9)
    s, i, b, qq = (t.weight[~test].sum() / (1.0 - share) for t, test in tables.values())
    rate = Workspace.load(session.out / "workspace" / "rate.json").likelihood()
    for mu in MU:
        at = rate.asimov({**{p.name: p.init for p in rate.parameters}, "mu": float(mu)}).data
        assert np.sum(at) == pytest.approx(mu * s + np.sqrt(mu) * i + b + qq, rel=1e-6)


def test_the_density_is_positive_and_the_fit_ends(session: Folder) -> None:
    document = json.loads((session.out / "models" / "training.json").read_text(encoding="utf-8"))
    assert {history["network"] for member in document["members"] for history in member} == {"labels"}
    ratio = OnnxRatio(session.out / "models" / "mixture.onnx")
    events = read_simulation(session)[1]
    densities = np.exp(ratio(ratio.columns(events.observables))) * events.yields
    root = np.sqrt(MU)
    assert np.all(densities @ np.stack([MU - root, root, 1.0 - root, np.ones_like(MU)]) > 0.0)
    results = json.loads((session.out / "workspace" / "fit.json").read_text(encoding="utf-8"))
    assert {"rate", "m4l", "score", "nsbi"} <= set(results["methods"])
    assert {p["method"] for p in results["closure"]} >= {"nsbi"}


def test_other_files_are_learned_by_networks_and_nothing_of_them_is_left_out(session: Folder) -> None:
    decisions = json.loads((session.out / "models" / "systematics.json").read_text(encoding="utf-8"))["variations"]["generator"]
    assert decisions["qqZZ"]["shape"] == "kept"
    assert {entry["shape"] for name, entry in decisions.items() if name != "qqZZ"} == {"changes nothing"}
    nominal, test = _held_out(session, "qqZZ")
    for direction, shift in (("up", 1.0), ("down", -1.0)):
        varied, held = _held_out(session, "qqZZ", f"generator_{direction}")
        own = decisions["qqZZ"]["directions"][direction]
        assert own["yield_ratio"] == pytest.approx(varied.weight[~held].sum() / nominal.weight[~test].sum(), rel=1e-9)
        ratio = OnnxRatio(session.out / "models" / "systematics" / f"generator_{direction}.onnx")
        m4l = nominal.observables["m4l"]
        logs = ratio(ratio.columns(nominal.observables))[:, ratio.numerators.index("qqZZ")]
        assert shift * (logs[m4l > 400.0].mean() - logs[m4l < 280.0].mean()) > 0.1
    fit = json.loads((session.out / "workspace" / "fit.json").read_text(encoding="utf-8"))["methods"]["nsbi"]
    (pull,) = fit["uncertainties"]["pulls"]
    assert (pull["parameter"], pull["constraint"] < 1.0) == ("generator", True)
    assert json.loads((session.out / "workspace" / "left_out.json").read_text(encoding="utf-8"))["variations"] == []
