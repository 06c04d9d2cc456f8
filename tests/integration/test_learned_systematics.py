"""Learned variations through the real stages, on a skim of the example ntuples: training, files, decisions, fit, and without them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from toolkit.analysis.datasets import read_pairs, read_simulation
from toolkit.analysis.learned import learned_directions
from toolkit.analysis.nuisances import read_systematics
from toolkit.config import Config, load_config, parse_config
from toolkit.example import demo_config, example_folder
from toolkit.likelihood import MethodResult, OnnxRatio, Workspace
from toolkit.pipeline import GRAPH, STAGE_NAMES, Plan, StageContext, run_pipeline
from toolkit.pipeline.bundle import write_bundle
from toolkit.pipeline.reuse import Bundle, differences

EVENTS = 5_000
SAMPLES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
SHIFTS = {
    "electron_scale": {"object": "electron", "kind": "scale", "size": 0.01},
    "jet_smear": {"object": "jet", "kind": "resolution", "size": 0.2},
    "muon_nothing": {"object": "muon", "kind": "resolution", "size": 0.0},
}
RATIOS = {"shape": "networks", "hidden": [16], "epochs": 6, "batch_size": 128}


def skim(source: Path, target: Path) -> None:
    """Write the first events of an example file, with the sum of weights scaled so that the cross-section stays."""
    with uproot.open(source) as file:
        tree, runs = file["Events"], file["Runs"].arrays(library="np")
        events, share = tree.arrays(entry_stop=EVENTS), min(EVENTS / tree.num_entries, 1.0)
    columns: dict[str, Any] = {name: ak.to_numpy(events[name]) for name in ("event", "genWeight")}
    if "LHEReweightingWeight" in events.fields:
        columns["LHEReweightingWeight"] = ak.from_regular(ak.to_numpy(events["LHEReweightingWeight"]))
    for kind in ("Electron", "Muon", "Jet"):
        names = [name for name in events.fields if name.startswith(f"{kind}_")]
        columns[kind] = ak.zip({name.removeprefix(f"{kind}_"): events[name] for name in names})
    scaled = {name: values * share if name == "genEventSumw" else values for name, values in runs.items()}
    with uproot.recreate(target) as output:
        for name, content in (("Events", columns), ("Runs", scaled)):
            types = {key: value.type.content if isinstance(value, ak.Array) else value.dtype for key, value in content.items()}
            output.mktree(name, types).extend(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("learned")
    for name in SAMPLES:
        skim(example_folder() / f"{name}_0.root", made / f"{name}_0.root")
    return made


def config_of(folder: Path, **changes: Any) -> Config:
    document = load_config(demo_config()).model_dump(mode="json", exclude_unset=True)
    for sample in document["samples"]:
        sample["files"] = [f"{sample['name']}_0.root"]
    document["ratios"] = {"hidden": [16], "epochs": 3, "composition_epochs": 4, "calibration_mu": [1.0]}
    document["parameter"]["interval"] = "asymptotic"
    document["systematics"] = {"objects": SHIFTS, "ratios": RATIOS}
    document["likelihood"] = {"ratio_uncertainty": False, "closure_mu": [1.0], "bootstrap_replicas": 20, "scan_points": 11}
    return parse_config({**document, **changes}, folder=folder)


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    run_pipeline(config_of(folder), out=folder / "out", plan=Plan(GRAPH[: STAGE_NAMES.index("report")]))
    return folder / "out"


@pytest.fixture(scope="module")
def decisions(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / "models" / "systematics.json").read_text(encoding="utf-8"))
    return document["variations"]  # type: ignore[no-any-return]


def context_of(folder: Path, run: Path) -> StageContext:
    return StageContext(config=config_of(folder), out=run, work=run, key="")


def test_pairs_hold_the_events_of_both_sides(folder: Path, run: Path) -> None:
    """The pairs have the weights of the nominal and of the varied tables, and electrons alone have moved."""
    context = context_of(folder, run)
    for k in (0, 1):
        pairs = read_pairs(context, variation="electron_scale_up")[k]
        nominal, varied = (read_simulation(context, variation=v)[k] for v in ("nominal", "electron_scale_up"))
        np.testing.assert_allclose(pairs.nominal_weights.sum(axis=0), nominal.yields, rtol=1e-12)
        np.testing.assert_allclose(pairs.varied_weights.sum(axis=0), varied.yields, rtol=1e-12)
        np.testing.assert_array_equal(pairs.nominal["m4l"][: len(nominal)], nominal.observables["m4l"])
        moved = pairs.nominal["m4l"] != pairs.varied["m4l"]
        assert 0.6 < moved.mean() < 0.9  # all but four-muon events
        shift = pairs.varied["m4l"][moved] / pairs.nominal["m4l"][moved] - 1.0
        assert shift.max() < 0.0101
        assert shift.min() > 0.0


def test_what_electrons_do_is_learned(decisions: dict[str, Any]) -> None:
    """Test events confirm the ratio within 20 %, and both Z masses agree better with it than without."""
    for direction in ("up", "down"):
        found = decisions["electron_scale"]["qqZZ"]["directions"][direction]["test"]
        assert found["slope"] == pytest.approx(1.0, abs=0.2)
        assert found["mean"] == pytest.approx(1.0, abs=0.01)
        assert abs(found["auc_after"][0] - 0.5) < 0.3 * (found["auc_before"][0] - 0.5)
        closures = {c["observable"]: c for c in found["closures"]}
        assert closures["m_z1"]["visible_after"] < closures["m_z1"]["visible_before"]
        assert closures["m4l"]["visible_before"] < 0.3 * closures["m_z1"]["visible_before"]
    assert {entry["shape"] for entry in decisions["electron_scale"].values()} == {"kept"}


def test_what_changes_nothing_is_dropped_with_a_reason(decisions: dict[str, Any], run: Path) -> None:
    assert all(entry["shape"] == entry["yield"] == "changes nothing" for entry in decisions["muon_nothing"].values())
    assert not (run / "models" / "systematics" / "muon_nothing_up.onnx").exists()
    for entry in decisions["jet_smear"].values():
        assert entry["shape"] == "kept" or entry["shape"].startswith(("negligible", "not significant"))


def test_the_fit_uses_what_was_kept(run: Path, decisions: dict[str, Any]) -> None:
    fit = json.loads((run / "workspace" / "fit.json").read_text(encoding="utf-8"))["methods"]["nsbi"]
    pulls = {p["parameter"]: p for p in fit["uncertainties"]["pulls"]}
    assert "muon_nothing" not in pulls
    assert 0.02 < pulls["electron_scale"]["constraint"] < 0.5  # the Z peaks know the scale; m4l alone would not
    (channel,) = json.loads((run / "workspace" / "nsbi.json").read_text(encoding="utf-8"))["unbinned_channels"]
    kept = {name for name, entries in decisions.items() if any(e["shape"] == "kept" for e in entries.values())}
    shapes = {m["name"] for s in channel["samples"] for m in s["modifiers"] if m["type"] == "shapesys_ratio"}
    assert shapes == kept
    ratio = OnnxRatio(run / "models" / "systematics" / "electron_scale_up.onnx")
    assert tuple(ratio.numerators) == SAMPLES
    assert tuple(ratio.features) == tuple(channel["observables"])


def test_the_workspace_is_the_fit_and_survives_a_bundle(run: Path, tmp_path: Path) -> None:
    """Moved away from the run with nothing but what the archive holds, it gives the published scan."""
    fit = json.loads((run / "workspace" / "fit.json").read_text(encoding="utf-8"))
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "results.json").write_text(json.dumps(fit), encoding="utf-8")
    write_bundle(tmp_path / "run", tmp_path / "bundle.tar.gz")
    bundle = Bundle.open(tmp_path / "bundle.tar.gz", tmp_path / "elsewhere")
    assert max(differences(bundle.measure("nsbi"), bundle.published.methods["nsbi"]).values()) < 1e-6


def test_without_systematics_the_result_is_the_statistical_one(folder: Path, run: Path) -> None:
    """Fixed at nominal, the variations leave no trace; switched off in the config, there are none."""
    fit = json.loads((run / "workspace" / "fit.json").read_text(encoding="utf-8"))["methods"]["nsbi"]
    likelihood = Workspace.load(run / "workspace" / "nsbi.json").likelihood()
    nominal = {name: 0.0 for name in likelihood.parameter_names if name != "mu"}
    fixed = likelihood.fit(fixed=nominal)
    assert fixed.parameters["mu"] == pytest.approx(fit["statistical_only"]["mu_hat"], abs=1e-6)
    scan = MethodResult.from_json(fit["statistical_only"], method="nsbi").scan
    at = [likelihood.twice_nll({**nominal, "mu": mu}) - fixed.twice_nll for mu in scan.values]
    np.testing.assert_allclose(at, scan.twice_delta_nll, atol=1e-6)
    off = config_of(folder, likelihood={"systematics": False})
    assert learned_directions(off, folder) == ()
    assert not read_systematics(replace(context_of(folder, run), config=off), {}, training=read_simulation(context_of(folder, run))[0])
