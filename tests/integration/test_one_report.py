"""All systematic uncertainties of an analysis in one report: scales of leptons and jets, luminosity, theory, the networks themselves.

The first events of the example ntuples, trained as briefly as can be: what is tested is that every number is there and fits the others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG, EVENTS
from tests.vocabulary import check_words
from toolkit.cli import main

pytestmark = pytest.mark.slow

NUISANCES = {"lumi", "gg_theory", "qq_theory", "electron_scale", "jet_scale"}


def run(folder: Path, command: str, **likelihood: Any) -> None:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "likelihood": {**CONFIG["likelihood"], **likelihood}}))
    with pytest.raises(SystemExit) as ended:
        main([command, str(path), "--out", str(folder / "out")])
    assert ended.value.code == 0


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one_report")
    write_first_events(folder, EVENTS)
    run(folder, "run")
    return folder / "out"


@pytest.fixture(scope="module")
def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())  # type: ignore[no-any-return]


def test_every_source_is_on_the_page(out: Path, results: dict[str, Any]) -> None:
    page = (out / "report.html").read_text()
    titles = ("Systematic uncertainties", "Comparison of the methods", "Goodness of fit", "With and without systematic uncertainties")
    for text in (*titles, "Uncertainty of μ and its sources", *NUISANCES - {"lumi"}):
        assert text in page or text in NUISANCES, text
    for name in ("impacts_m4l", "impacts_nsbi", "correlation_m4l", "correlation_nsbi", "comparison", "plane_plane", "goodness_nsbi"):
        assert (out / "plots" / f"{name}.png").is_file(), name
    drawn = json.loads((out / "plots" / "impacts_m4l.json").read_text())
    assert {i["parameter"] for i in drawn["impacts"]} >= NUISANCES - {"jet_scale"}
    assert {p["parameter"] for p in drawn["pulls"]} >= NUISANCES - {"jet_scale"}
    assert "jet_scale" in {i["parameter"] for i in results["methods"]["plane"]["uncertainties"]["impacts"]}
    networks = {p["parameter"] for p in results["methods"]["nsbi"]["uncertainties"]["pulls"]}
    assert {n for n in networks if n.startswith("network_")} == {"network_1"}, "one direction, that of mu at calibration_mu"


def test_the_table_of_uncertainties_adds_up(results: dict[str, Any]) -> None:
    """Total and statistical come from fits, the systematic part is what is between them; a group is never more than all of them."""
    for name, method in results["methods"].items():
        table = {row["group"]: row["up"] for row in method["uncertainties"]["breakdown"]}
        assert {"total", "statistical", "systematic", "luminosity", "normalisation"} <= set(table), name
        if table["total"] is None or table["statistical"] is None or table["total"] < table["statistical"]:
            continue
        assert table["total"] == pytest.approx(np.hypot(table["statistical"], table["systematic"]), rel=1e-6)


def test_the_comparison_holds_every_variant(results: dict[str, Any]) -> None:
    rows = {(r["method"], r["information"], r["uncertainties"]): r for r in results["comparison"]["rows"]}
    kinds = [(i, u) for i in ("rate and shape", "shape") for u in ("statistical", "systematic")]
    methods = set(results["methods"])
    assert set(rows) == {(m, *k) for m in methods for k in kinds if m != "rate" or k[0] == "rate and shape"}
    for (method, information, uncertainties), row in rows.items():
        if information == "rate and shape":
            found = results["methods"][method]
            found = found if uncertainties == "systematic" else found["statistical_only"]
            assert row["interval_68"] == found["interval_68"]
        assert row["length_95"] >= row["length_68"] > 0.0


def test_every_fit_is_tested(results: dict[str, Any]) -> None:
    tests = results["goodness_of_fit"]["methods"]
    assert set(tests) == set(results["methods"])
    assert [t["name"] for t in tests["nsbi"]] == ["mean log density", "m4l", "plane", "score", "score_2d"]
    for own in tests.values():
        assert all(len(t["toys"]) == 1 and 0.5 <= t["p_toys"] <= 1.0 for t in own)


def test_one_vocabulary_for_the_closure(out: Path) -> None:
    assert set(check_words(out / "results.json", out / "report.html")) >= {"rate", "m4l", "score", "nsbi"}


def test_without_systematics_the_statistical_result_is_left(out: Path, results: dict[str, Any]) -> None:
    # Last in this file: another fit removes the results of the first run.
    run(out.parent, "fit", systematics=False, goodness={"toys": 0}, shape_only=False)
    alone = json.loads((out / "workspace" / "fit.json").read_text())
    for name, method in alone["methods"].items():
        before = results["methods"][name]["statistical_only"]
        assert "uncertainties" not in method
        assert method["mu_hat"] == pytest.approx(before["mu_hat"], abs=1e-9)
        np.testing.assert_allclose(method["scan"]["twice_delta_nll"], before["scan"]["twice_delta_nll"], atol=1e-9)
        assert method["interval_68"] == before["interval_68"]
