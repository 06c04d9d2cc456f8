"""A network that reads the signal strength through the whole chain: training, file, fits, closure, report, workspace, bundle, C++."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG, EVENTS
from toolkit.cli import main
from toolkit.likelihood import ParameterisedLikelihood, Workspace
from toolkit.likelihood.toy_factory import toys_of

pytestmark = pytest.mark.slow


def small() -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    del config["systematics"]
    config["ratios"] = {
        "estimator": "alices",
        "features": ["m4l", "cos_theta_star"],
        "hidden": [12],
        "activation": "tanh",
        "epochs": 2,
        "batch_size": 64,
        "theta": {"kind": "listed", "points": [0.0, 0.5, 1.0, 2.0, 4.0, 6.0]},
    }
    config["ratio_histograms"] = {"values": [3.0], "bins": 4}
    for name in ("normalisations", "ratio_uncertainty"):
        del config["likelihood"][name]
    return config


def run(folder: Path, *arguments: str, config: dict[str, Any] | None = None) -> int:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(small() if config is None else config))
    with pytest.raises(SystemExit) as ended:
        main([*(str(path) if a == "CONFIG" else a for a in arguments)])
    return int(str(ended.value.code))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alices")
    write_first_events(folder, EVENTS)
    assert run(folder, "run", "CONFIG", "--out", str(folder / "out")) == 0
    return folder


def test_all_results_are_there(folder: Path) -> None:
    results = json.loads((folder / "out" / "results.json").read_text())
    assert {"rate", "m4l", "plane", "score", "ratio_at_3", "nsbi"} <= set(results["methods"])
    assert [c["method"] for c in results["closure"]].count("nsbi") == 1
    assert results["methods"]["nsbi"]["statistical_only"]["mu_hat"] >= 0.0
    assert results["diagnostics"]["normalisation"]["processes"] == ["mu=0", "mu=1", "mu=6"]
    assert np.abs(np.array(results["diagnostics"]["normalisation"]["mean_ratio"]) - 1.0).max() < 0.1
    assert results["diagnostics"]["problems"] == []
    assert "One network that reads the parameter of interest" in (folder / "out" / "report.html").read_text()


def test_the_workspace_is_the_likelihood_of_the_results(folder: Path) -> None:
    result = json.loads((folder / "out" / "results.json").read_text())["methods"]["nsbi"]
    likelihood = Workspace.load(folder / "out" / "workspace" / "nsbi.json").likelihood()
    assert isinstance(likelihood, ParameterisedLikelihood)
    assert likelihood.parameter_names == ("mu", "lumi")
    assert likelihood.fit().parameters["mu"] == pytest.approx(result["mu_hat"], abs=1e-5)
    scan = likelihood.scan("mu", result["scan"]["mu"])
    np.testing.assert_allclose(scan.twice_delta_nll, result["scan"]["twice_delta_nll"], atol=1e-4)
    source = toys_of(likelihood, asimov={"mu": 1.0, "lumi": 1.0})
    drawn = source.likelihood_of(source.sample({"mu": 1.0, "lumi": 1.0}, np.random.default_rng(1)))
    assert 0.0 <= drawn.fit().parameters["mu"] <= 6.0


def test_a_second_run_trains_nothing(folder: Path) -> None:
    members = sorted((folder / "out" / "models" / "members").glob("*.pt"))
    before = [m.stat().st_mtime_ns for m in members]
    assert len(members) == 7
    assert run(folder, "run", "CONFIG", "--out", str(folder / "out")) == 0
    assert [m.stat().st_mtime_ns for m in members] == before


def test_the_file_goes_to_cpp_and_into_a_bundle(folder: Path) -> None:
    pytest.importorskip("sofie", reason="SOFIE is not installed")
    assert run(folder, "cpp", str(folder / "out" / "models" / "mixture.onnx"), "--out", str(folder / "cpp")) == 0
    assert "p(x|mu)" in (folder / "cpp" / "models" / "mixture" / "mixture_model.cpp").read_text()
    assert run(folder, "bundle", str(folder / "out"), str(folder / "bundle.tar.gz")) == 0


def test_uncertainties_of_shapes_are_refused_before_anything_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small()
    config["likelihood"]["normalisations"] = {"qq_theory": {"processes": ["qqZZ"], "up": 1.05}}
    assert run(folder, "run", "CONFIG", "--out", str(folder / "refused"), config=config) == 2
    assert "normalisation (qq_theory)" in capsys.readouterr().err
