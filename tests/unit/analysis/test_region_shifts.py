"""Shifts of the densities by their own uncertainty, in several regions and in the parts of a process: the likelihood written out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.analysis.two_regions import ExactRatio, document_of, simulate
from toolkit.analysis import FitModel, Systematics, build_region_methods
from toolkit.analysis.data import FitData
from toolkit.analysis.learned import LearnedVariations, learned_sources, read_learned
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.ratio_spread import add_shifts
from toolkit.analysis.regions import learned_events, split_events
from toolkit.analysis.workspaces import write_region_workspaces
from toolkit.config import Config, parse_config
from toolkit.likelihood import Workspace
from toolkit.typing import BoolArray, FloatArray

CHANGE = {"sig": 0.02, "bkg": -0.03}
"""Of the yields of the whole densities."""
PARTS = {"low": "m4l <= 122", "high": "m4l > 122"}


class Shift:
    """The exported shifts: the signal moves with m4l, the background with the square of it."""

    features = ("m4l",)
    numerators = ("network_1_of_sig", "network_1_of_bkg")

    def __init__(self, path: Path) -> None:
        assert path.name == "network_uncertainty.onnx"

    def columns(self, observables: Any) -> FloatArray:
        return np.asarray(observables["m4l"])[:, None]

    def __call__(self, rows: FloatArray) -> FloatArray:
        return shift(rows[:, 0])


def shift(x: FloatArray) -> FloatArray:
    y = (x - 125.0) / 25.0
    return np.stack([0.2 * y, 0.3 * y**2], axis=1)


@pytest.fixture(params=[False, True], ids=["whole", "split"])
def analysis(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Config, FitData, Path]:
    parts = {"low": {"condition": PARTS["low"], "factor": "t"}, "high": {"condition": PARTS["high"], "factor": "t * u"}}
    more: dict[str, Any] = {"bkg": {"split": parts}, "u": {"kind": "normalisation", "range": [0.3, 3]}} if request.param else {}
    document = document_of(sr="m4l > 115 and m4l <= 130", **more)
    document["regions"]["tail"] = {"kind": "unbinned", "condition": "m4l > 130"}
    document["likelihood"] = {"ratio_uncertainty": True}
    config, training, test, ratio = parse_config(document, folder=tmp_path), simulate(1), simulate(2), ExactRatio()
    config.require_supported()
    rows: Any = ratio
    out_of_bag = ratio(learned_events(config, training).observables["m4l"][:, None])
    methods = build_region_methods(config, training=training, test=test, ratio=rows, out_of_bag=out_of_bag)
    for folder in ("models", "workspace"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / "network_uncertainty.json").write_text(json.dumps({"shifts": {"network_1": CHANGE}}))
    monkeypatch.setattr("toolkit.analysis.ratio_spread.OnnxRatio", Shift)
    learned = add_shifts(None, config, tmp_path, training=training, test=test)
    model, events = FitModel.of(config), split_events(test, config.model)
    systematics = Systematics(learned=learned, networks=("network_1",))
    return config, FitData(events, truth_weights(events, model, model.truth), methods, systematics, model), tmp_path


def test_densities_and_yields_move_region_by_region(analysis: tuple[Config, FitData, Path]) -> None:
    config, data, _ = analysis
    full = data.full(next(m for m in data.methods if m.name == "nsbi"))
    split = "u" in full.parameter_names
    for point in ({"mu": 0.4, "t": 1.1, "u": 0.8}, {"mu": 2.0, "t": 0.7, "u": 1.4}):
        at = {name: value for name, value in point.items() if split or name != "u"}
        for alpha in (0.8, -1.1):
            found = full.twice_nll({**at, "network_1": alpha}) - full.twice_nll({**at, "network_1": 0.0})
            written = sum(_region(data, inside, at, alpha) - _region(data, inside, at, 0.0) for inside in (_in_signal_region, _in_tail))
            assert abs(written) > 1e-3
            assert found == pytest.approx(written + alpha**2, abs=1e-7)
    assert learned_sources(config) == (("sig", "bkg", "bkg") if split else ("sig", "bkg"))


def _in_signal_region(x: FloatArray) -> BoolArray:
    return (x > 115.0) & (x <= 130.0)


def _in_tail(x: FloatArray) -> BoolArray:
    return x > 130.0


def _region(data: FitData, inside: Any, at: dict[str, float], alpha: float) -> float:
    """Return -2 ln L of one region, without constraints: exact densities, those of the parts where their conditions hold."""
    training = simulate(1)
    y = training.observables["m4l"]
    x = data.events.observables["m4l"]
    own, weights = inside(x), data.weights
    learned, v, of_data = y > 115.0, shift(y), shift(x[own])
    exact = np.exp(ExactRatio()(x[own][:, None]))
    low, high = (lambda m: m <= 122.0), (lambda m: m > 122.0)
    everywhere = np.isfinite
    densities: list[tuple[int, Any, float]] = [(0, everywhere, at["mu"])]
    densities += [(1, low, at["t"]), (1, high, at["t"] * at["u"])] if "u" in at else [(1, everywhere, at["t"])]
    nu, total = 0.0, np.zeros(int(own.sum()))
    for j, holds, factor in densities:
        here, w = inside(y) & holds(y), training.weights[:, j]
        if not w[here].sum() > 0.0:
            continue
        change = list(CHANGE.values())[j] + np.average(v[here, j], weights=w[here]) - np.average(v[learned, j], weights=w[learned])
        expected = factor * w[here].sum() * np.exp(alpha * change)
        moved = exact[:, j] * holds(x[own]) * np.exp(alpha * of_data[:, j]) * w[learned].sum() / w[here].sum()
        nu += expected
        total += expected * moved / np.average(np.exp(alpha * v[here, j]), weights=w[here])
    return float(2.0 * (nu - weights[own] @ np.log(total)))


def test_the_file_gives_the_likelihood_of_the_analysis(analysis: tuple[Config, FitData, Path]) -> None:
    _, data, folder = analysis
    rows: Any = ExactRatio()
    write_region_workspaces(folder, data, rows)
    workspace = Workspace.load(folder / "workspace" / "nsbi.json")
    opened: Any = lambda path: Shift(path) if path.name == "network_uncertainty.onnx" else rows  # noqa: E731
    loaded, expected = workspace.likelihood(open_ratio=opened), data.full(next(m for m in data.methods if m.name == "nsbi"))
    names = [name for name in expected.parameter_names if name != "network_1"]
    values = [[m.twice_nll({**dict.fromkeys(names, 0.9), "network_1": a}) for a in (-1.2, 0.0, 0.6)] for m in (loaded, expected)]
    assert values[0] == pytest.approx(values[1], rel=1e-12, abs=1e-9)


def test_the_yield_of_a_region_changes_by_the_mean_shift_of_its_events() -> None:
    events = simulate(1)
    x = events.observables["m4l"]
    learned = LearnedVariations(
        names=(),
        files={},
        processes={"network_1": ("sig", "bkg")},
        dropped_yields={},
        evaluate=lambda _: (),
        data=({"network_1": (shift(x)[:, 0], -shift(x)[:, 0])}, {}),
        training=({"network_1": (shift(x)[:, 0], -shift(x)[:, 0])}, {}),
        training_events=events,
        yields={"network_1": np.array([0.02, 0.0])},
        means={"network_1": np.array([0.004, 0.0])},
    )
    tail = learned.within(data=x > 130.0, training=x > 130.0)
    expected = 0.02 + np.average(shift(x[x > 130.0])[:, 0], weights=events.weights[x > 130.0, 0]) - 0.004
    assert tail.yields["network_1"] == pytest.approx([expected, 0.0])
    assert learned.yields["network_1"].tolist() == [0.02, 0.0]


class Tilt(Shift):
    """In the place of the files of a learned variation."""

    numerators = ("sig", "bkg")

    def __init__(self, path: Path) -> None:
        assert path.name in {"tilt_up.onnx", "tilt_down.onnx"}
        self.sign = 1.0 if path.name == "tilt_up.onnx" else -0.5

    def __call__(self, rows: FloatArray) -> FloatArray:
        return self.sign * shift(rows[:, 0])


@pytest.mark.parametrize("split", [False, True])
def test_what_networks_learn_of_whole_densities_holds_for_their_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: bool) -> None:
    parts = {name: {"condition": condition, "factor": "t"} for name, condition in PARTS.items()}
    document = document_of(**({"bkg": {"split": parts}} if split else {}))
    document["systematics"] = {
        "weights": {"tilt": {"kind": "columns", "up": "w_up", "down": "w_down"}},
        "ratios": {"shape": "networks"},
    }
    config = parse_config(document, folder=tmp_path)
    config.require_supported()
    decisions = {
        "sig": {"shape": "changes nothing", "yield": "negligible: 0.0001 < 0.001"},
        "bkg": {"shape": "kept", "yield": "changes nothing"},
    }
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "systematics.json").write_text(json.dumps({"variations": {"tilt": decisions}}))
    monkeypatch.setattr("toolkit.analysis.learned.OnnxRatio", Tilt)
    training, test = simulate(1), simulate(2)
    learned = read_learned(tmp_path, config, training=training, test=test)
    assert learned is not None
    names = ("low", "high") if split else ("bkg",)
    assert learned.processes == {"tilt": names}
    assert [learned.output_of(name) for name in names] == ["bkg"] * len(names)
    assert learned.dropped_yields == {"tilt": ("sig",) if split else ("sig", "bkg")}, "a variation may move events between parts"
    assert [tuple(own) for own in learned.data] == [(), *[("tilt",)] * len(names)]
    up, down = learned.data[-1]["tilt"]
    np.testing.assert_array_equal(up, shift(test.observables["m4l"])[:, 1])
    np.testing.assert_array_equal(down, -0.5 * up)
    low = training.observables["m4l"] <= 122.0
    np.testing.assert_array_equal(learned.training_events.weights[:, 1], training.weights[:, 1] * (low if split else 1.0))
