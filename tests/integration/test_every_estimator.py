"""Every estimator and architecture of the config from ntuples to the report, and again without training anything twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG, EVENTS
from toolkit.cli import main
from toolkit.likelihood import OnnxRatio
from toolkit.ratios.densities import DensityTask
from toolkit.report import read_results

pytestmark = pytest.mark.slow

NETWORK = {"features": ["m4l", "cos_theta_star"], "hidden": [16, 16], "epochs": 3, "batch_size": 64, "calibration_mu": [1.0]}
LEPTONS = [f"{q}_z{z}_lep{k}" for q in ("pt", "eta") for z in (1, 2) for k in (1, 2)]
OBJECTS = {**NETWORK, "features": ["m4l", *LEPTONS], "fold_beam_axis": False, "composition_epochs": 3}
CHOICES: dict[str, dict[str, Any]] = {
    "per_process": {**NETWORK, "estimator": "per_process", "splits": {"folds": 2}},
    "multiclass": {**NETWORK, "estimator": "multiclass", "ensemble": {"subsets": "fraction", "fraction": 0.7, "members": 5}},
    "quasi_parametric": {**NETWORK, "estimator": "quasi_parametric", "splits": {"folds": 2}},
    "bit": {
        "estimator": "bit",
        "features": ["m4l", "cos_theta_star"],
        "trees": 4,
        "min_events": 20,
        "splits": {"folds": 2},
        "calibration_mu": [1.0],
    },
    "residual": {
        **NETWORK,
        "composition_epochs": 3,
        "architecture": "residual",
        "activation": "swish",
        "largest_batch_size": 128,
        "splits": {"folds": 2},
    },
    "deep_set": {**OBJECTS, "architecture": "deep_set", "splits": {"folds": 3}, "ensemble": {"train_folds": 2}},
    "recurrent": {**OBJECTS, "architecture": "recurrent", "ensemble": {"subsets": "bootstrap", "fraction": 0.5, "members": 2}},
}
SALLY = {
    "features": ["m4l", "cos_theta_star"],
    "local_score": {"parameter": "mu"},
    "hidden": [8],
    "epochs": 3,
    "folds": 2,
    "batch_size": 64,
}
HISTOGRAMS = {
    "classifiers": {"sally": SALLY},
    "histograms": {**CONFIG["histograms"], "sally": {"observable": "sally", "bins": 4}},
    "ratio_histograms": {"values": [0.0, 2.5], "bins": 4},
}
MEMBERS = {"per_process": 2, "multiclass": 5, "quasi_parametric": 2, "bit": 2, "residual": 2, "deep_set": 3, "recurrent": 2}


@pytest.fixture(scope="module")
def ntuples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ntuples")
    write_first_events(folder, EVENTS)
    return folder


@pytest.mark.parametrize("choice", CHOICES)
def test_from_ntuples_to_the_report(choice: str, ntuples: Path, tmp_path: Path) -> None:
    features = CHOICES[choice]["features"]
    config = {name: part for name, part in CONFIG.items() if name != "systematics"}
    likelihood = {name: CONFIG["likelihood"][name] for name in ("closure_mu", "bootstrap_replicas", "scan_points", "goodness")}
    config |= {"ratios": CHOICES[choice], "observables": [*features, "n_jets"], "likelihood": likelihood | {"ratio_uncertainty": False}}
    config |= HISTOGRAMS if choice == "per_process" else {}
    config |= {"report": {**CONFIG["report"], "learning_curve": [0.5]}} if choice == "quasi_parametric" else {}
    config["samples"] = [{**s, "files": [str(ntuples / s["files"][0])]} for s in CONFIG["samples"]]
    path, out = tmp_path / "config.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(config))
    run("run", path, "--out", out)
    results = read_results(out / "results.json")
    assert {"rate", "m4l", "nsbi"} <= set(results.methods)
    assert np.isfinite(results.methods["nsbi"].mu_hat)
    if choice == "per_process":
        assert {"sally", "ratio_at_0", "ratio_at_2p5"} <= set(results.methods)
        assert all(results.methods[name].twice_nll_at_0 >= 0.0 for name in ("sally", "ratio_at_0"))
    ratio = OnnxRatio(next((out / "models").glob("*.onnx")))
    assert ratio.metadata.estimator == CHOICES[choice].get("estimator", "mixture")
    assert ratio.metadata.ensemble_size == MEMBERS[choice]
    training = json.loads((out / "models" / "training.json").read_text())
    assert len(training["members"]) == MEMBERS[choice]
    assert all(len(part["validation"]) > 0 for member in training["members"] for part in member)
    page = (out / "report.html").read_text()
    assert choice in page.replace("deep set", "deep_set")
    before = {file.name: file.stat().st_mtime_ns for file in (out / "models" / "members").iterdir()}
    run("run", path, "--out", out)
    assert before == {file.name: file.stat().st_mtime_ns for file in (out / "models" / "members").iterdir()}, "members are trained once"
    if choice == "quasi_parametric":
        check_learning_curve(out, page)
        check_shares_are_kept(path, out)


def check_learning_curve(out: Path, page: str) -> None:
    """Half of the events and all of them; the last point and the histogram are what the first table says of the methods."""
    found = json.loads((out / "results.json").read_text())
    curve, methods = found["learning_curve"], found["methods"]
    half, whole = curve["points"]
    training = np.load(out / "models" / "out_of_bag.npz")["event_id"]
    assert (half["share"], whole["share"], whole["events"]) == (0.5, 1.0, len(training))
    assert 0.4 < half["events"] / len(training) < 0.6
    for name, bound, error in (("nsbi", whole["bound"], whole["error"]), (curve["histogram"], curve["bound"], curve["error"])):
        [told] = [i for i in methods[name]["information"] if (i["truth"], i["against"]) == (curve["truth"], curve["against"])]
        assert (bound, error) == pytest.approx((told["value"], told["error"]), rel=1e-4), name
    assert half["bound"] != whole["bound"]
    assert "Learning curve" in page
    assert json.loads((out / "plots" / "learning_curve.json").read_text())["points"] == curve["points"]


def check_shares_are_kept(path: Path, out: Path) -> None:
    """Another report takes the members of the share over and trains nothing."""
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "report": {**config["report"], "status": "Internal"}}))
    before = json.loads((out / "results.json").read_text())["learning_curve"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(DensityTask, "train")
        run("report", path, "--out", out)
    assert json.loads((out / "results.json").read_text())["learning_curve"] == before


def run(*words: str | Path) -> None:
    """Run a command of the command line, which must succeed."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code in {0, None}
