"""RooFit workspaces: the macro and its events say what the likelihood says, in a slow twin everywhere and in ROOT where it is."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from exports.hs3 import write_hs3
from exports.roofit import ROOT_PYTHON, reference_points, write_roofit
from exports.roofit_model import formula_of, safe
from tests.unit.exports.roofit_twin import Twin
from tests.unit.likelihood.binned_workspace import binned
from tests.unit.likelihood.systematics_toy import channel
from tests.unit.likelihood.systematics_workspace import AnalyticRatio, control_region, document, write_files
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.likelihood import Workspace

ROOT = Path(__file__).resolve().parents[3]
in_root = pytest.mark.skipif(
    not os.environ.get(ROOT_PYTHON), reason=f"{ROOT_PYTHON} names no Python with ROOT (a virtual environment with the package ROOT)"
)


def combined(folder: Path, code: str) -> Workspace:
    """An unbinned channel with per-event variations beside a binned one, in shared parameters."""
    toy = channel(400)
    write_files(folder, toy)
    both = document(toy)
    both["unbinned_channels"][0]["interpolation"] = code
    both["channels"], both["observations"] = [control_region()], [{"name": "cr", "data": [110.0, 41.0]}]
    return Workspace(both, folder)


def changes(values: Any) -> Any:
    return np.asarray(values)[1:] - np.asarray(values)[0]


def agree(found: Any, expected: Any, rel: float = 1e-9) -> None:
    """Compare changes of -2 ln L from the first point; those below 1 as they are."""
    difference = np.abs(changes(found) - changes(expected)) / np.maximum(1.0, np.abs(changes(expected)))
    assert float(difference.max()) < rel


def points_of(events: Path) -> tuple[list[dict[str, float]], list[float]]:
    with uproot.open(events) as file:
        table = file["reference"].arrays(library="np")
    values = table.pop("twice_nll").tolist()
    return [dict(zip(table, row, strict=True)) for row in zip(*(c.tolist() for c in table.values()), strict=True)], values


@pytest.fixture
def without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ROOT_PYTHON, raising=False)
    monkeypatch.setattr("exports.roofit._has_root", lambda: False)


@pytest.mark.usefixtures("without_root")
@pytest.mark.parametrize("code", ["log_quadratic", "code4", "binned"])
def test_the_calls_of_the_macro_are_the_likelihood(code: str, tmp_path: Path) -> None:
    workspace = Workspace(binned()) if code == "binned" else combined(tmp_path, code)
    export = write_roofit(workspace, tmp_path, name="m 4l", open_ratio=AnalyticRatio)
    assert (export.macro.name, export.events.name, export.workspace) == ("m_4l.C", "m_4l_events.root", None)
    twin = Twin(export.macro, export.events)
    points, expected = points_of(export.events)
    likelihood = workspace.likelihood(open_ratio=AnalyticRatio)
    names = {safe(n): n for n in likelihood.parameter_names}
    assert len(points) == 50
    assert [likelihood.twice_nll({names[k]: v for k, v in p.items()}) for p in points] == pytest.approx(expected, rel=1e-12)
    agree([twin.twice_nll(p) for p in points], expected)
    best = twin.twice_nll(dict(zip(twin.parameters, twin.snapshots["best_fit"], strict=True)))
    start = twin.twice_nll(dict(zip(twin.parameters, twin.snapshots["initial"], strict=True)))
    assert best < start


@in_root
@pytest.mark.slow
@pytest.mark.parametrize("code", ["log_quadratic", "code4", "binned"])
def test_root_evaluates_and_minimises_the_same_likelihood(code: str, tmp_path: Path) -> None:
    workspace = Workspace(binned()) if code == "binned" else combined(tmp_path, code)
    export = write_roofit(workspace, tmp_path, name="sr", open_ratio=AnalyticRatio)
    assert export.workspace is not None
    points, expected = points_of(export.events)
    found = in_a_root(tmp_path, do="minimise", path=str(export.workspace), points=points)
    agree(found["values"], expected)
    assert found["interest"] == ["mu"]
    fit = workspace.likelihood(open_ratio=AnalyticRatio).fit()
    assert found["minimum"] == pytest.approx(found["ours"], abs=1e-4)
    for name, value in fit.parameters.items():
        fitted, error = found["fitted"][safe(name)]
        assert fitted == pytest.approx(value, abs=1e-2 * error)


@in_root
@pytest.mark.slow
def test_root_reads_our_hs3_and_we_read_what_it_writes(tmp_path: Path) -> None:
    workspace = Workspace(binned())
    likelihood = workspace.likelihood()
    table = reference_points(likelihood)
    expected = table.pop("twice_nll")
    points = [dict(zip(table, row, strict=True)) for row in zip(*(c.tolist() for c in table.values()), strict=True)]
    write_hs3(workspace.to_pyhf(), tmp_path / "ours.json")
    found = in_a_root(tmp_path, do="read_hs3", path=str(tmp_path / "ours.json"), points=points, out=str(tmp_path / "root.json"))
    agree(found["values"], expected)
    for file, rel in (("ours.json", 1e-12), ("root.json", 2e-6)):  # RooFit writes errors of the simulation with seven digits
        again = Workspace.load(tmp_path / file).likelihood()
        named = [{n: p[safe(n)] for n in likelihood.parameter_names} for p in points]
        assert sorted(again.parameter_names) == sorted(likelihood.parameter_names)
        agree([again.twice_nll(p) for p in named], expected, rel)


def in_a_root(folder: Path, **task: Any) -> Any:
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    command = [os.environ[ROOT_PYTHON], str(ROOT / "tests" / "runtimes" / "in_root.py"), str(folder / "task.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.usefixtures("without_root")
def test_two_things_of_one_name_are_refused(tmp_path: Path) -> None:
    alike = binned()
    alike["channels"][0]["samples"][0]["name"], alike["channels"][0]["samples"][1]["name"] = "a b", "a-b"
    with pytest.raises(SchemaError, match="two different things"):
        write_roofit(Workspace(alike), tmp_path, name="alike")


def test_a_root_that_finds_other_numbers_leaves_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "largest relative difference of -2 ln L: 1.00e-03"\nexit 1\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv(ROOT_PYTHON, str(python))
    with pytest.raises(ArtifactMismatchError, match=r"1\.00e-03"):
        write_roofit(Workspace(binned()), tmp_path / "out", name="sr")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["sr.C", "sr_events.root"]


def test_formulas_of_numbers_with_exponents() -> None:
    assert formula_of("1e-3 * e1 + .5E+2 * mu**2", ("e1", "mu")) == "1e-3 * @0 + .5e+2 * @1^2"
