"""Several parameters and regions on the command line, with the first events of the example ntuples: what is refused, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest
import yaml

from tests.example_slice import write_first_events
from toolkit.artifacts.events import read_events
from toolkit.cli import main
from toolkit.likelihood import Workspace
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.report import read_results

pytestmark = pytest.mark.slow

SAMPLES = ("ggF_SBI", "qqZZ")
THREE = ["ggF_S", "ggF_B", "ggF_SBI"]


def config_of(signal: str, control: str) -> dict[str, Any]:
    return {
        "luminosity_ifb": 140.0,
        "parameters": {"mu": {"range": [0, 6], "interval": "asymptotic"}, "t": {"kind": "normalisation", "range": [0.2, 3]}},
        "processes": {"ggF": {"basis": "ggF"}, "qqZZ": {"factor": "t"}},
        "samples": [
            {"name": "ggF_SBI", "process": "ggF", "files": ["ggF_SBI_0.root"], "k_factor": 1.8, "benchmarks": THREE},
            {"name": "qqZZ", "files": ["qqZZ_0.root"], "k_factor": 1.3},
        ],
        "observables": ["m4l", "n_jets"],
        "ratios": {"features": ["m4l"], "hidden": [8], "epochs": 2, "composition_epochs": 2, "batch_size": 16, "calibration_mu": [1.0]},
        "histograms": {"m4l": {"observable": "m4l", "edges": [220, 320, 2001]}},
        "score_histogram": {"bins": 3},
        "score_plane": {"bins": [3, 2]},
        "report": {"importance_events": 0},
        "likelihood": {"ratio_uncertainty": False, "closure": [{"mu": 1.0}], "scan_points": 11, "goodness": {"toys": 1}},
        "regions": {"SR": {"kind": "unbinned", "condition": signal}, "CR": {"kind": "counting", "condition": control}},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("regions")
    write_first_events(found, dict.fromkeys(SAMPLES, 1200))
    return found


def run(folder: Path, config: dict[str, Any], *commands: str) -> int:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    code = 0
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([command, str(path), "--out", str(folder / "out")])
        code = int(ended.value.code or 0)
    return code


@pytest.mark.parametrize(
    ("signal", "control", "said"),
    [
        ("m4l > 250", "m4l <= 260", ("regions 'SR' and 'CR'", "events in both", "make their conditions exclude each other")),
        ("m4l > 250", "m4l <= 200", ("region 'CR'", "no simulated training and no test events fulfil 'm4l <= 200'")),
    ],
)
def test_what_no_fit_can_use_is_refused_before_training(
    folder: Path, capsys: pytest.CaptureFixture[str], signal: str, control: str, said: tuple[str, ...]
) -> None:
    assert run(folder, config_of(signal, control), "process", "train") == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    for words in said:
        assert words in message
    assert not (folder / "out" / "models").exists()


def test_events_in_no_region_are_counted_on_terminal_page_and_in_the_results(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, config_of("m4l > 280", "m4l <= 260"), "run") == 0
    results = read_results(folder / "out" / "results.json")
    [note] = results.notes
    assert note in " ".join(capsys.readouterr().out.split())
    assert note in (folder / "out" / "report.html").read_text()
    mass = np.concatenate([read_events(folder / "out" / "events", name).observables["m4l"] for name in SAMPLES])
    left, of = (int(word) for word in note.split()[:3:2])
    share = np.mean((mass > 260.0) & (mass <= 280.0))
    assert note.endswith("lie in no region and take no part in the fit")
    assert left / of == pytest.approx(share, abs=4.0 * np.sqrt(share / of))
    assert set(results.methods["nsbi"].parameters) == {"mu"}


def test_a_workspace_of_others_and_systematic_uncertainties_enter_the_fit(folder: Path) -> None:
    """A control measurement of the free normalisation in a file of its own; binned methods are written as one pyhf document."""
    normfactor = {"name": "t", "type": "normfactor", "data": None}
    document = {
        "version": "1.0.0",
        "channels": [{"name": "elsewhere", "samples": [{"name": "qqZZ", "data": [1e4], "modifiers": [normfactor]}]}],
        "observations": [{"name": "elsewhere", "data": [9500.0]}],
        "measurements": [{"name": "m", "config": {"poi": "t", "parameters": [{"name": "t", "bounds": [[0, 10]], "inits": [1.0]}]}}],
    }
    (folder / "elsewhere.json").write_text(json.dumps(document))
    config = config_of("m4l > 280", "m4l <= 280")
    config["regions"]["elsewhere"] = {"kind": "workspace", "file": "elsewhere.json"}
    theory = {"processes": ["ggF_S", "ggF_SBI", "ggF_B"], "up": 1.1}
    config["likelihood"] |= {"luminosity_uncertainty": 0.02, "normalisations": {"theory": theory}}
    assert run(folder, config, "run") == 0
    results = read_results(folder / "out" / "results.json")
    nsbi = results.methods["nsbi"]
    assert nsbi.fit is not None
    assert nsbi.fit.errors["t"] == pytest.approx(0.0100, rel=0.1)  # 1 / sqrt(10^4), at the expectation of the truth t = 1
    sources = nsbi.parameters["mu"].uncertainties
    assert sources is not None
    assert {i["parameter"] for i in sources["impacts"]} == {"lumi", "t", "theory"}
    assert (
        {i["parameter"] for i in sources["impacts_auxiliary"]} == {i["parameter"] for i in sources["impacts_pre_fit"]} == {"lumi", "theory"}
    )
    whole = Workspace.load(folder / "out" / "workspace" / "m4l.json").likelihood()
    assert {"mu", "t", "lumi", "theory"} <= set(whole.parameter_names)
    unbinned = Workspace.load(folder / "out" / "workspace" / "nsbi.json").likelihood().fit().parameters
    assert unbinned["mu"] == pytest.approx(nsbi.mu_hat, abs=1e-4)
    plain = json.loads((folder / "out" / "workspace" / "m4l.pyhf.json").read_text())
    assert {c["name"] for c in plain["channels"]} == {"m4l", "CR", "elsewhere"}
    with quiet_schema():
        pyhf.Workspace(plain)


def test_data_events_and_a_nuisance_parameter_of_the_model(folder: Path) -> None:
    """Blinded until the config says otherwise; then observed results stand beside the expected ones, which stay as they are."""
    config = config_of("m4l > 280", "m4l <= 260")
    config["parameters"]["k"] = {"kind": "nuisance", "central": 1.0, "width": 0.1}
    config["processes"]["qqZZ"]["factor"] = "t * k"
    config["samples"].append({"name": "data", "kind": "data", "files": ["qqZZ_0.root"]})
    config |= {"allow_duplicates": True, "luminosity_ifb": 3.0}
    assert run(folder, config, "run") == 0
    blinded = read_results(folder / "out" / "results.json")
    assert blinded.observed is None
    toys = {"methods": ["rate"], "grid_points": 5, "per_point": 100}
    config["likelihood"] |= {"observed": True, "toys": toys}
    config["parameters"]["mu"]["interval"] = "neyman"
    assert run(folder, config, "run") == 0
    results = read_results(folder / "out" / "results.json")
    assert results.observed is not None
    mass = read_events(folder / "out" / "events", "data").observables["m4l"]
    assert results.observed.n_events == len(mass)
    assert results.observed.regions == {"SR": int(np.sum(mass > 280.0)), "CR": int(np.sum(mass <= 260.0))}
    assert set(results.observed.methods) == set(results.methods) == set(blinded.methods)
    kinds = {n: m.parameters["mu"].interval_kind for n, m in results.observed.methods.items()}
    assert kinds == {"rate": "neyman", "m4l": "asymptotic", "score": "asymptotic", "score_2d": "asymptotic", "nsbi": "asymptotic"}
    assert "intervals of mu by rate are Neyman constructions from toys, nuisance parameters profiled" in results.notes
    goodness, shape = (json.loads((folder / "out" / "workspace" / f"{n}.json").read_text()) for n in ("goodness", "comparison"))
    assert set(goodness["observed"]) == set(results.methods)
    assert {row["information"] for row in shape["parameters"]["mu"]["observed"]} == {"rate and shape", "shape"}
    assert results.methods["nsbi"].mu_hat == blinded.methods["nsbi"].mu_hat
    nsbi = results.observed.methods["nsbi"]
    assert nsbi.fit is not None
    known = results.parameters["k"]
    assert (known.kind, known.range, known.truth, known.constraint, known.width) == ("nuisance", (0.5, 1.5), 1.0, "gaussian", 0.1)
    assert nsbi.uncertainties is not None
    assert [p["parameter"] for p in nsbi.uncertainties["pulls"]] == ["k"]
    observed = Workspace.load(folder / "out" / "workspace" / "m4l_observed.json").likelihood()
    assert observed.fit().twice_nll == pytest.approx(results.observed.methods["m4l"].fit.twice_nll, abs=1e-6)  # type: ignore[union-attr]
    assert any("data events lie in no region" in note for note in results.notes)
