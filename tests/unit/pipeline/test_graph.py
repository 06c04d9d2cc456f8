"""The graph of the analysis: which change of a config makes which stage stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from toolkit.config import Config, load_config, parse_config
from toolkit.example import demo_config
from toolkit.pipeline import GRAPH, STAGE_NAMES, Plan
from toolkit.pipeline.code import module_closure
from toolkit.pipeline.graph import input_files

DATA = {"name": "data", "kind": "data", "files": ["data.root"]}
SAMPLE = {"name": "ggF_S", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}


def _config(folder: Path, **changes: Any) -> Config:
    return parse_config({"luminosity_ifb": 140.0, "samples": [SAMPLE], **changes}, folder=folder)


def _stale(before: Config, after: Config) -> list[str]:
    """Stages whose own config part differs."""
    return [stage.name for stage in GRAPH if stage.config_part(before) != stage.config_part(after)]


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"luminosity_ifb": 36.1}, "process"),
        ({"selection": {"m4l": [180.0, 2000.0]}}, "process"),
        ({"observables": ["m4l", "m_jj"]}, "process"),
        ({"histograms": {"q": {"observable": "q2_v1", "edges": [0.0, 2000.0]}}}, "process"),
        ({"histograms": {"mass": {"observable": "m4l", "edges": [180.0, 400.0, 2000.0]}}}, "histograms"),
        ({"samples": [SAMPLE | {"k_factor": 1.8}]}, "process"),
        ({"ratios": {"seed": 9}}, "train"),
        ({"ratios": {"splits": {"salt": "other"}}}, "train"),
        ({"parameter": {"range": [0.0, 5.0]}}, "fit"),
        ({"likelihood": {"closure_mu": [0.5]}}, "fit"),
        ({"samples": [SAMPLE, DATA | {"files": ["other.root"]}]}, "process"),
        ({"score_histogram": {"bins": 10}}, "fit"),
        ({"name": "another"}, "report"),
    ],
)
def test_a_change_makes_its_first_stage_stale(tmp_path: Path, change: dict[str, Any], first: str) -> None:
    assert _stale(_config(tmp_path), _config(tmp_path, **change))[0] == first


def test_other_edges_leave_events_and_networks_as_they_are(tmp_path: Path) -> None:
    before, after = (
        _config(tmp_path, histograms={"m4l": {"observable": "m4l", "edges": [180.0, edge, 2000.0]}}) for edge in (300.0, 400.0)
    )
    assert _stale(before, after) == ["histograms", "fit", "report"]
    assert set(Plan(GRAPH).after("histograms")) == set()


@pytest.mark.parametrize(("changes", "again"), [({"range": [0, 9]}, False), ({"label": "x"}, False), ({"truth": 2.0}, True)])
def test_classifiers_do_not_depend_on_the_range_of_a_parameter(tmp_path: Path, changes: dict[str, Any], again: bool) -> None:
    """Their densities may stand at points that a truth completes; where a fit may go does not matter."""
    score = {"features": ["m4l"], "numerator": ["s"], "denominator": ["b"]}
    common = {
        "samples": [{"name": n, "files": [f"{n}.root"]} for n in "sb"],
        "processes": {"s": {"factor": "mu"}, "b": {}},
        "classifiers": {"D": score},
    }
    before, after = (_config(tmp_path, **common, parameters={"mu": {"range": [0, 6], **more}}) for more in ({}, changes))
    stale = _stale(before, after)
    assert ("classify" in stale) == again
    assert "fit" in stale


def test_unblinding_makes_the_fit_stale_and_nothing_before_it(tmp_path: Path) -> None:
    before, after = (_config(tmp_path, samples=[SAMPLE, DATA], likelihood={"observed": seen}) for seen in (False, True))
    assert _stale(before, after) == ["fit", "report"]


def test_data_files_are_inputs_and_the_fit_depends_on_them(tmp_path: Path) -> None:
    for name in ("a.root", "data.root"):
        (tmp_path / name).write_bytes(b"root")
    assert input_files(_config(tmp_path, samples=[SAMPLE, DATA]))["data"] == [tmp_path / "data.root"]
    assert "process" in next(stage for stage in GRAPH if stage.name == "fit").needs


def test_a_moved_analysis_is_the_same(tmp_path: Path) -> None:
    assert _stale(_config(tmp_path / "here"), _config(tmp_path / "there")) == []


def test_every_section_of_the_config_counts_somewhere(tmp_path: Path) -> None:
    config = _config(tmp_path)
    used = {key for stage in GRAPH for key in stage.config_part(config)}
    assert set(Config.model_fields) - used == set()


def test_stages_come_after_what_they_need() -> None:
    for number, stage in enumerate(GRAPH):
        assert set(stage.needs) <= set(STAGE_NAMES[:number])


@pytest.mark.parametrize(
    ("stage", "used", "unused"),
    [
        ("process", "processors.four_lepton", "toolkit.ratios.training"),
        pytest.param("train", "toolkit.ratios.training", "processors.four_lepton", marks=pytest.mark.torch),
        pytest.param("export", "exports.onnx_graph", "toolkit.report.html", marks=pytest.mark.torch),
        ("fit", "toolkit.likelihood.unbinned", "toolkit.ratios.training"),
        ("report", "toolkit.plots.scans", "exports.onnx_graph"),
    ],
)
def test_code_of_a_stage(stage: str, used: str, unused: str) -> None:
    closure = module_closure(next(s.modules for s in GRAPH if s.name == stage))
    assert used in closure
    assert unused not in closure


def test_inputs_are_the_files_of_the_samples() -> None:
    inputs = input_files(load_config(demo_config()))
    assert {name: [path.name for path in paths] for name, paths in inputs.items()}["qqZZ"] == ["qqZZ_0.root", "qqZZ_1.root"]
