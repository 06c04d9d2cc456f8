"""`h4l combine`: event tables and counts in one fit; files, terminal, resuming, exit codes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from tests.unit.analysis.finished_runs import make_run
from toolkit.artifacts.events import read_events

if TYPE_CHECKING:
    from conftest import CommandLine

OFF = {"counts": {"processes": {"S": {"expected": 900.0, "factor": "mu_ggF", "uncertainties": {"theory": 1.03}}}, "observed": 1000.0}}


def write(**changes: Any) -> Path:
    """Write a config; the events of `make_run` weigh about 2.5 in all, so that the other part is known well."""
    on = {"folder": "{runs}/tables", "condition": "m4l > 240", "processes": {"qqZZ": {"factor": "400 * mu_ggF_on"}},
          "histogram": {"observable": "m4l", "edges": [240, 300, 5000]}}  # fmt: skip
    parameters = {"mu_ggF_on": {"range": [0.5, 2]}, "width": {"range": [0.5, 2]}}
    document = {
        "name": "both",
        "parts": {"off": OFF, "on": {"events": on}},
        "parameters": parameters,
        "parameterisations": "width",
        "scan_points": 11,
    }
    path = Path("both.yaml")
    path.write_text(yaml.safe_dump({**document, **changes}), encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_width_in_mev_with_files_and_a_second_run_that_changes_nothing(h4l: CommandLine) -> None:
    make_run(Path("runs/tables"), seed=1)
    table = read_events(Path("runs/tables/events"), "qqZZ")
    inside = table.observables["m4l"] > 240
    weight = 400.0 * table.weight[inside]
    done = h4l("combine", str(write()), "--runs", "runs", "--out", "there")
    assert done.code == 0, done.stderr
    document = json.loads(Path("there/results.json").read_text())
    assert (document["poi"], document["luminosity_ifb"], document["fit"]) == ("width", 140.0, "width")
    ((low, high),) = document["methods"]["counts"]["interval_68"]
    relative = math.sqrt(1 / 900.0 + 0.03**2 + 1 / weight.sum() + np.sum(weight**2) / weight.sum() ** 2)
    assert (high - low) / 2 == pytest.approx(relative, rel=0.03), "counts, theory, and the finite simulation in quadrature"
    impacts = document["methods"]["counts"]["uncertainties"]["impacts_pre_fit"]
    assert next(i["up"] for i in impacts if i["parameter"] == "theory") == pytest.approx(-0.03, abs=0.002)
    assert "Γ_H [MeV]" in done.stdout
    assert f"[{4.1 * low:.2f}, {4.1 * high:.2f}]" in done.stdout
    names = {str(p.relative_to("there")) for p in Path("there").rglob("*") if p.is_file()}
    assert {
        "report.html",
        "manifest.json",
        "workspace/counts.json",
        "hepdata/width/submission.yaml",
        "plots/scans_width_width.png",
    } <= names
    assert not [name for name in names if name.startswith(".")], "nothing is left of the work"
    page = Path("there/report.html").read_text(encoding="utf-8")
    assert "Interpretation" in page
    assert "before the fit" in page
    before = {name: Path("there", name).stat().st_mtime_ns for name in names}
    again = h4l("combine", str(write()), "--runs", "runs", "--out", "there", "--json")
    assert json.loads(again.stdout)["ran"] is False
    assert before == {name: Path("there", name).stat().st_mtime_ns for name in names}
    Path("there/results.json").write_text("{}")
    assert json.loads(h4l("combine", str(write()), "--runs", "runs", "--out", "there", "--json").stdout)["ran"] is True


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parts": {"off": {**OFF, "run": "nowhere"}}}, ["parts.off", "run and counts given"]),
        ({"parts": {"off": {"counts": {"processes": {"S": {"expected": -1}}}}}}, ["greater than or equal to 0"]),
        ({"parameterisations": ["widht"]}, ["widht", "R_gg_R_VV"]),
        ({"correlation": "by_name"}, ["correlation", "did you mean 'correlations'"]),
        ({"observed": True}, ["parts.on", "no observed events"]),
        ({"fits": {"width": {"parameters": {"a": {}}, "express": {"mu_ggF": "a"}}}}, ["a name stands twice"]),
        ({"fits": {"m": {"parameters": {"a": {}, "b": "a"}, "express": {"mu_ggF": "b"}}}}, ["fits.m", "['b'] are expressions"]),
        (
            {"fits": {"m": {"parameters": {"a": {"kind": "nuisance"}}, "express": {"mu_ggF": "a"}}}},
            ["fits.m", "new parameters of a fit are free"],
        ),
        ({"fits": {"m": {"interest": ["mu_ggF", "mu_ggF"]}}}, ["fits.m", "a name stands twice"]),
        ({"methods": ["nsbi", "nsbi"]}, ["methods ['nsbi', 'nsbi']: a name stands twice"]),
        ({"parts": {"off": {"counts": {"processes": {"S": {"expected": [0, 0]}}}}}}, ["parts.off", "no event in any bin"]),
        ({"parts": {"off": {"counts": {"processes": {"S": {"expected": 9, "uncertainties": {"a": 0.05}}}}}}}, ["1.05 for 5 %", "0.05"]),
        ({"parts": {"off": {"counts": {"processes": {"S": {"expected": 9}}, "observed": 9.5}}}}, ["whole numbers", "9.5"]),
        ({"parts": {"off": OFF, "x": {"workspace": "both.yaml"}}}, ["parts.x.workspace: workspace", "both.yaml", "valid JSON"]),
    ],
)
def test_wrong_input_is_told_before_anything_is_written(h4l: CommandLine, changes: dict[str, Any], words: list[str]) -> None:
    make_run(Path("runs/tables"), seed=1)
    done = h4l("combine", str(write(**changes)), "--runs", "runs", "--out", "there")
    assert done.code == 2
    told = " ".join(done.stderr.split())
    assert all(word in told for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("there/results.json").exists()


def test_configs_of_other_commands_are_told_apart(h4l: CommandLine) -> None:
    made = write()
    assert "use h4l combine" in h4l("validate", str(made)).stderr
    Path("analysis.yaml").write_text("samples: []\n")
    assert "use h4l run" in h4l("combine", "analysis.yaml").stderr


def test_the_folder_of_a_run_is_not_overwritten(h4l: CommandLine) -> None:
    make_run(Path("runs/tables"), seed=1)
    before = Path("runs/tables/manifest.json").read_bytes()
    done = h4l("combine", str(write()), "--runs", "runs", "--out", "runs/tables")
    assert (done.code, Path("runs/tables/manifest.json").read_bytes()) == (2, before)
    assert "a folder of its own" in done.stderr
