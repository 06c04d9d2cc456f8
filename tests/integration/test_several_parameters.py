"""A small analysis of two parameters in two regions, from ntuples to the report: the numbers of results.json, and what is made of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from toolkit.example.paths import example_folder
from toolkit.report import read_results

pytestmark = pytest.mark.slow

H4L = Path(sys.executable).with_name("h4l")
METHODS = ("rate", "m4l", "score", "score_2d", "nsbi")
FEATURES = ["m4l", "m_z1", "m_z2", "cos_theta_star"]
BENCHMARKS = ["ggF_S", "ggF_B", "ggF_SBI"]


def _config() -> dict[str, Any]:
    data = example_folder()
    signal = [
        {"name": n, "process": "ggF", "files": [str(data / f"{n}_0.root")], "k_factor": 1.8, "benchmarks": BENCHMARKS} for n in BENCHMARKS
    ]
    return {
        "name": "small",
        "luminosity_ifb": 140.0,
        "samples": [*signal, {"name": "qqZZ", "files": [str(data / "qqZZ_0.root")], "k_factor": 1.3}],
        "observables": FEATURES,
        "parameters": {"mu": {"range": [0.0, 6.0]}, "mu_qq": {"range": [0.5, 1.5]}},
        "processes": {"ggF": {"basis": "ggF"}, "qqZZ": {"factor": "mu_qq"}},
        "regions": {
            "high": {"kind": "unbinned", "condition": "m4l > 240 and m4l <= 600"},
            "low": {"kind": "counting", "condition": "m4l > 225 and m4l <= 240"},
        },
        "ratios": {"features": FEATURES, "epochs": 5, "composition_epochs": 5, "hidden": [16, 16]},
        "likelihood": {
            "ratio_uncertainty": False,
            "scan_points": 31,
            "closure": [{"mu": 1.0, "mu_qq": 1.0}, {"mu": 0.5, "mu_qq": 1.2}],
            "fits": {"background": {"parameters": {"b": {"range": [0.5, 1.5]}}, "express": {"mu": "1", "mu_qq": "b"}}},
        },
        "report": {"importance_events": 0},
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("several")
    (folder / "config.yaml").write_text(yaml.safe_dump(_config()), encoding="utf-8")
    done = subprocess.run([H4L, "run", "config.yaml", "--out", "out"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stdout


def test_every_parameter_has_its_numbers(run: tuple[Path, str]) -> None:
    document = json.loads((run[0] / "results.json").read_text(encoding="utf-8"))
    assert document["schema"] == 2
    assert document["parameters"]["mu_qq"] == {"kind": "interest", "range": [0.5, 1.5], "truth": 1.0}
    for name in METHODS:
        method = document["methods"][name]
        assert set(method["parameters"]) == {"mu", "mu_qq"}
        own = method["parameters"]["mu_qq"]
        assert own["best_fit"] == pytest.approx(1.0, abs=0.03)
        ((low, high),) = own["interval_68"]
        ((inner_low, inner_high),) = own["fixed_others_68"]
        assert 0.02 < inner_high - inner_low < high - low < 0.12, "knowing mu can only help"
        assert own["interval_kind"] == "asymptotic"
        small, large = method["contours"]
        assert 0.1 < small["area"] < large["area"] < 1.0
        assert len({point["mu_hat"] for point in document["closure"] if point["method"] == name}) == 4
    assert {(p["parameter"], p["truth"]["mu"], p["truth"]["mu_qq"]) for p in document["closure"]} == {
        (parameter, *truth) for parameter in ("mu", "mu_qq") for truth in ((1.0, 1.0), (0.5, 1.2))
    }
    assert document["methods"]["nsbi"]["contours"][0]["area"] < document["methods"]["rate"]["contours"][0]["area"]
    one = document["fits"]["background"]["nsbi"]["parameters"]["b"]
    fixed = document["methods"]["nsbi"]["parameters"]["mu_qq"]["fixed_others_68"]
    assert one["interval_68"][0] == pytest.approx(fixed[0], abs=2e-3), "with mu at 1 the common fit is that with the other fixed"


def test_the_regions_say_what_they_hold(run: tuple[Path, str]) -> None:
    document = json.loads((run[0] / "results.json").read_text(encoding="utf-8"))
    regions = document["regions"]
    assert [r[:2] for r in regions["regions"]] == [["high", "unbinned"], ["low", "counting"]]
    assert regions["outside_events"] == 7794
    total = sum(regions["expected"]) + regions["outside_expected"]
    assert total == pytest.approx(document["yields"]["ggF_SBI"] + document["yields"]["qqZZ"], rel=0.02)


def test_page_plots_and_terminal_show_both_parameters(run: tuple[Path, str]) -> None:
    out, said = run
    for name in (
        "scans_mu",
        "scans_mu_qq",
        "closure_mu",
        "closure_mu_qq",
        "contours_mu_mu_qq",
        "fitted_correlation_nsbi",
        "scans_background_b",
    ):
        assert (out / "plots" / f"{name}.png").stat().st_size > 5000, name
    page = (out / "report.html").read_text(encoding="utf-8")
    for text in (
        "Areas of the contours of μ and μ_qq",
        "Expected results for μ_qq",
        "In no region:",
        "Left out, because",
        "52509 simulated test events (40% of all",
        "those of the unbinned regions",
        "Reweighting closure",
    ):
        assert text in page, text
    assert said.count("from an Asimov set at μ = 1, μ_qq = 1, 140/fb") == 2
    assert read_results(out / "results.json").interest == ("mu", "mu_qq")


def test_a_bundle_holds_tables_networks_and_all_methods_which_are_reproduced(run: tuple[Path, str], tmp_path: Path) -> None:
    archive = tmp_path / "bundle.tar.gz"
    done = subprocess.run([H4L, "bundle", str(run[0]), str(archive), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    index = json.loads(done.stdout)
    assert {f"tables/scan_nsbi_{p}.yaml" for p in ("mu", "mu_qq")} | {"tables/contours_nsbi_mu_mu_qq.yaml"} <= set(index["tables"])
    assert "models/mixture.onnx" in index["models"]
    assert set(index["methods"]) == {"rate", "m4l", "score", "score_2d", "nsbi"}
    again = subprocess.run([H4L, "reuse", str(archive)], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
