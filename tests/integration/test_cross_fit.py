"""Cross-fits on the command line, with the first events of the example ntuples: every event is data once."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG
from tests.integration.test_regions import config_of
from toolkit.analysis.build import open_ratio
from toolkit.analysis.cross_fit import fold_of, log_ratios_of
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.session import Folder
from toolkit.cli import main
from toolkit.config import load_config
from toolkit.likelihood import OnnxRatio, Workspace

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    **{name: CONFIG[name] for name in ("luminosity_ifb", "samples", "observables")},
    "ratios": {"features": ["m4l"], "hidden": [8], "epochs": 1, "composition_epochs": 1, "batch_size": 64, "calibration_mu": [1.0]},
    "histograms": {"m4l": {"observable": "m4l", "edges": [220, 300, 400, 2001]}},
    "score_histogram": {"bins": 3},
    "score_plane": None,
    "report": {"importance_events": 0},
    "likelihood": {"luminosity_uncertainty": 0.02, "closure_mu": [1.0], "bootstrap_replicas": 20, "scan_points": 11, "shape_only": False},
}
"""One parameter, one uncertainty: seconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("cross_fit")
    write_first_events(found, {"ggF_SBI": 1200, "qqZZ": 1200})
    return found


def run(folder: Path, config: dict[str, Any], *, out: str, command: str = "run") -> int:
    path = folder / f"{out}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(SystemExit) as ended:
        main([command, str(path), "--out", str(folder / out)])
    return int(ended.value.code or 0)


def crossed(config: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(config)
    found["ratios"]["splits"] = {"cross_fit": True}
    found["likelihood"]["goodness"] = {"toys": 0}
    found["score_plane"] = None
    return found


def test_what_cannot_be_crossed_is_refused_before_work_starts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = crossed(SMALL)
    config["systematics"] = {**CONFIG["systematics"], "ratios": {"shape": "networks"}}
    assert run(folder, config, out="refused") == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert "take `shape: histogram`, or leave `cross_fit` out" in " ".join(message.split())
    assert not (folder / "refused" / "events").exists()


@pytest.fixture(scope="module")
def one(folder: Path) -> Path:
    assert run(folder, crossed(SMALL), out="one") == 0
    return folder / "one"


def test_every_event_is_data_under_the_networks_without_its_fold(folder: Path, one: Path) -> None:
    config = load_config(folder / "one.yaml")
    training, test = read_simulation(Folder(config, one))
    assert training is test
    found, fold = log_ratios_of(open_ratio(one / "models/mixture.onnx", config), test), fold_of(test, config.ratios.splits)
    whole = OnnxRatio(one / "models/mixture.onnx")
    for k in range(4):
        own = OnnxRatio(one / f"models/folds/without_fold_{k}.onnx")
        x = own.columns(test.observables)
        np.testing.assert_allclose(found[fold == k], own(x[fold == k]), atol=1e-6)
        assert np.abs(found[fold == k] - whole(x[fold == k])).max() > 1e-3
        assert own.metadata.ensemble_size == 3
    assert whole.metadata.ensemble_size == 6


def test_page_results_and_workspaces_carry_it(one: Path) -> None:
    results = json.loads((one / "results.json").read_text())
    page = (one / "report.html").read_text()
    assert page.count("cross-fit: all") == 1
    assert not re.search("over the test events|come from the other events|not test events|Asimov sets? of test events", page)
    assert results["notes"][0].startswith("cross-fit: all")
    for point in results["closure"]:
        assert point["standard_error"] == point["training_error"] > 0.0
        assert "crossed_error" in point
        assert "test_error" not in point
    for name, n_channels in (("nsbi", 4), ("m4l", 0), ("score", 0)):
        workspace = Workspace.load(one / "workspace" / f"{name}.json")
        assert len(workspace.unbinned_channels) == n_channels
        likelihood = workspace.likelihood()
        fit = likelihood.fit()
        method = results["methods"][name]
        assert fit.parameters["mu"] == pytest.approx(method["mu_hat"], abs=2e-3)
        assert likelihood.fit(fixed={"mu": 0.0}).twice_nll - fit.twice_nll == pytest.approx(method["twice_nll_at_0"], abs=2e-3)


def test_several_parameters_and_regions(folder: Path) -> None:
    config = crossed(config_of("m4l > 280", "m4l <= 280"))
    assert run(folder, config, out="several") == 0
    out = folder / "several"
    results = json.loads((out / "results.json").read_text())
    workspace = Workspace.load(out / "workspace" / "nsbi.json")
    assert [c.name for c in workspace.unbinned_channels] == [f"SR_fold_{k}" for k in range(4)]
    likelihood = workspace.likelihood()
    assert likelihood.fit().parameters["mu"] == pytest.approx(results["methods"]["nsbi"]["parameters"]["mu"]["best_fit"], abs=2e-3)
    assert all("crossed_error" in point and "test_error" not in point for point in results["closure"])
