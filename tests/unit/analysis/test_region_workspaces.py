"""Workspaces of analyses with several regions: the file gives the likelihood of the analysis, of every method, Asimov set and data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.unit.analysis.two_regions import ExactRatio, document_of, simulate
from toolkit.analysis import FitModel, Systematics, build_region_methods
from toolkit.analysis.data import FitData
from toolkit.analysis.datasets import DataEvents
from toolkit.analysis.learned import SHIFT, LearnedVariations, shift_output
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.nuisances import Ratios, normalisations
from toolkit.analysis.regions import learned_events, split_events
from toolkit.analysis.workspaces import write_region_workspaces
from toolkit.config import parse_config
from toolkit.likelihood import Workspace
from toolkit.likelihood.workspace_schema import UnbinnedSample
from toolkit.typing import FloatArray

FACTOR = {"name": "t", "type": "normfactor", "data": None}
POINTS = (
    {"mu": 0.3, "t": 1.1, "u": 0.8, "lumi": 1.01, "theory": 0.4, "slope": -0.3},
    {"mu": 2.5, "t": 0.7, "u": 1.4, "lumi": 0.98, "theory": -1.2, "slope": 0.9},
)


def analysis(folder: Path, *, shape: bool) -> FitData:
    """Two unbinned regions, a count and a workspace of others; the background in parts with factors of their own; all systematics."""
    elsewhere = {
        "version": "1.0.0",
        "channels": [{"name": "elsewhere", "samples": [{"name": "bkg", "data": [1000.0], "modifiers": [FACTOR]}]}],
        "observations": [{"name": "elsewhere", "data": [950.0]}],
        "measurements": [{"name": "m", "config": {"poi": "t", "parameters": [{"name": "t", "inits": [1.0], "bounds": [[0.3, 3.0]]}]}}],
    }
    (folder / "elsewhere.json").write_text(json.dumps(elsewhere))
    parts = {"low": {"condition": "m4l <= 122", "factor": "t"}, "high": {"condition": "m4l > 122", "factor": "t * u"}}
    document = document_of(bkg={"split": parts}, u={"kind": "normalisation", "range": [0.3, 3]})
    document["regions"] = {
        "peak": {"kind": "unbinned", "condition": "m4l > 115 and m4l <= 130"},
        "tail": {"kind": "unbinned", "condition": "m4l > 130"},
        "CR": {"kind": "counting", "condition": "m4l <= 110"},
        "elsewhere": {"kind": "workspace", "file": str(folder / "elsewhere.json")},
    }
    document["likelihood"] = {"normalisations": {"theory": {"processes": ["bkg"], "up": 1.1}}}
    config = parse_config(document, folder=folder)
    training, test, model, ratio = simulate(1), simulate(2), FitModel.of(config), ExactRatio()
    rows: Any = ratio
    learned = ratio(learned_events(config, training).observables["m4l"][:, None])
    methods = build_region_methods(config, training=training, test=test, ratio=rows, out_of_bag=learned)
    systematics = Systematics(luminosity=0.02, norms=normalisations(config), unscaled=frozenset({"low"}))
    if shape:
        rng, fills = np.random.default_rng(4), {name: fill for m in methods for name, fill in m.fills().items()}
        ratios = {name: {"slope": Ratios(*(1.0 + 0.1 * rng.uniform(-1, 1, (2, *fill(training).shape))))} for name, fill in fills.items()}
        systematics = replace(systematics, ratios=ratios)
    events = split_events(test, config.model)
    return FitData(events, truth_weights(events, model, model.truth), methods, systematics, model)


def data_events() -> DataEvents:
    rng = np.random.default_rng(9)
    x = np.concatenate([rng.normal(125.0, 4.0, 70), rng.uniform(100.0, 150.0, 450)])
    return DataEvents(np.arange(len(x), dtype=np.uint64), {"m4l": x}, {"data": len(x)})


@pytest.mark.parametrize("shape", [False, True])
def test_the_file_gives_the_likelihood_of_the_analysis(tmp_path: Path, shape: bool) -> None:
    (tmp_path / "workspace").mkdir()
    data = analysis(tmp_path, shape=shape)
    ratio: Any = ExactRatio()
    for own in (data, data.for_events(data_events(), label="observed")):
        write_region_workspaces(tmp_path, own, ratio)
        for method in own.methods:
            workspace = Workspace.load(tmp_path / "workspace" / f"{own.named(method.name)}.json")
            loaded, expected = workspace.likelihood(open_ratio=lambda _: ratio), own.full(method)
            assert set(loaded.parameter_names) == set(expected.parameter_names)
            assert loaded.poi == "mu"
            values = []
            for point in POINTS:
                at = {name: value for name, value in point.items() if name in expected.parameter_names}
                values.append((loaded.twice_nll(at), expected.twice_nll(at)))
            assert np.ptp([a for a, _ in values]) > 1.0
            for found, wanted in values:
                assert found == pytest.approx(wanted, rel=1e-12, abs=1e-9), method.name
    document = json.loads((tmp_path / "workspace" / "nsbi.json").read_text())
    assert [c["name"] for c in document["unbinned_channels"]] == ["peak", "tail"]
    assert {c["name"] for c in document["channels"]} == {"CR", "elsewhere"}
    samples = {s["name"]: s for s in document["unbinned_channels"][0]["samples"]}
    assert list(samples) == ["sig", "low", "high"]
    assert (samples["low"]["output"], samples["low"]["condition"]) == ("bkg", "m4l <= 122")
    assert [s["name"] for s in document["unbinned_channels"][1]["samples"]] == ["sig", "high"], "nothing below 122 GeV in the tail"
    assert not (tmp_path / "workspace" / "nsbi.pyhf.json").exists()
    assert (tmp_path / "workspace" / "mass.pyhf.json").exists()


class Tilted:
    """In the place of an ONNX file: ln(varied/nominal density) of the background."""

    features = ("m4l",)
    numerators = ("bkg",)

    def columns(self, observables: Any) -> FloatArray:
        return np.asarray(observables["m4l"])[:, None]

    def __call__(self, rows: FloatArray) -> FloatArray:
        return 0.02 * (rows - 125.0)


@pytest.mark.parametrize("shift", [False, True])
def test_learned_variations_are_normalised_in_each_region(tmp_path: Path, shift: bool) -> None:
    """Two unbinned regions; the background is tilted, by a variation with a mirrored side or by a shift of the density itself."""
    tilted: Any
    (tmp_path / "workspace").mkdir()
    document = document_of(sr="m4l > 115 and m4l <= 130")
    document["regions"]["tail"] = {"kind": "unbinned", "condition": "m4l > 130"}
    config, training, test, ratio = parse_config(document, folder=tmp_path), simulate(1), simulate(2), ExactRatio()
    rows: Any = ratio
    out_of_bag = ratio(learned_events(config, training).observables["m4l"][:, None])
    methods = build_region_methods(config, training=training, test=test, ratio=rows, out_of_bag=out_of_bag)

    def logs(events: Any) -> Any:
        v = Tilted()(events.observables["m4l"])
        return {}, {"tilt": (v, -v)}

    file = {SHIFT: Path("models/tilt.onnx")} if shift else {"up": Path("models/tilt.onnx")}
    changed, means = ({"tilt": np.array([0.0, x])} if shift else {} for x in (0.05, 0.01))
    learned = LearnedVariations(
        ("tilt",), {"tilt": file}, {"tilt": ("bkg",)}, {}, logs, logs(test), logs(training), training, changed, means
    )
    flat = {
        name: {"tilt": Ratios(np.ones_like(t), np.ones_like(t))} for m in methods for name, f in m.fills().items() for t in [f(training)]
    }
    model, tilted = FitModel.of(config), _NamedOutput() if shift else Tilted()
    data = FitData(test, truth_weights(test, model, model.truth), methods, Systematics(learned=learned, ratios=flat), model)
    for own in (data, data.for_events(data_events(), label="observed")):
        write_region_workspaces(tmp_path, own, rows)
        workspace = Workspace.load(tmp_path / "workspace" / f"{own.named('nsbi')}.json")
        loaded = workspace.likelihood(open_ratio=lambda path: tilted if path.name == "tilt.onnx" else rows)
        expected = own.full(next(m for m in own.methods if m.name == "nsbi"))
        points = [{"mu": 0.4, "t": 1.1, "tilt": a} for a in (-1.3, 0.0, 0.7)]
        found, wanted = ([likelihood.twice_nll(p) for p in points] for likelihood in (loaded, expected))
        assert np.ptp(wanted) > 1.0
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-9)
    document = json.loads((tmp_path / "workspace" / "nsbi.json").read_text())
    assert [c["normalisation"]["file"] for c in document["unbinned_channels"]] == ["normalisation_SR.parquet", "normalisation_tail.parquet"]


class _NamedOutput(Tilted):
    """The same function as the shift of a density."""

    numerators = (shift_output("tilt", "bkg"),)


def test_a_condition_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValidationError, match="condition 'm4l >'"):
        UnbinnedSample.model_validate({"name": "s", "yield": 1.0, "output": "s", "condition": "m4l >"})
