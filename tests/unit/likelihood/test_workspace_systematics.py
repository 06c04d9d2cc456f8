"""Workspaces with nuisance parameters: unbinned and binned channels that share them, every source of a variation, refusals."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest

from tests.unit.likelihood.systematics_toy import PARAMETERS, asimov, channel, log_ratios, shapes
from tests.unit.likelihood.systematics_workspace import AT, NAMES, OTHER, AnalyticRatio, control_region, document, write_files
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError
from toolkit.likelihood import CombinedLikelihood, PyhfLikelihood, UnbinnedLikelihood, Workspace, write_observation
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.likelihood.workspace_shapes import BinnedSource, binned_variation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("systematics")
    write_files(path, channel(400))
    return path


def build(document: dict[str, Any], folder: Path) -> Any:
    return Workspace(document, folder).likelihood(open_ratio=AnalyticRatio)


def test_an_unbinned_channel_is_the_likelihood_built_by_hand(folder: Path) -> None:
    toy = channel(400)
    read, direct = build(document(toy), folder), toy.likelihood(weights=asimov(toy.x))
    assert isinstance(read, UnbinnedLikelihood)
    assert set(read.parameter_names) == {p.name for p in PARAMETERS}
    for at in (AT, OTHER):
        assert read.twice_nll(at) == pytest.approx(direct.twice_nll(at), rel=1e-12)
    assert {c.parameter: (c.observed, c.scale) for c in read.constraints} == {"lumi": (1.0, 0.02), "scale": (0.0, 1.0), "slope": (0.0, 1.0)}


def test_channels_that_share_parameters_count_each_constraint_once(folder: Path) -> None:
    toy, both = channel(400), document(channel(400))
    both["channels"], both["observations"] = [control_region()], [{"name": "cr", "data": [110.0, 41.0]}]
    combined = build(both, folder)
    assert isinstance(combined, CombinedLikelihood)
    assert sorted(c.parameter for c in combined.constraints) == ["efficiency", "lumi", "scale", "slope"]
    binned = next(t for t in combined.terms if isinstance(t, PyhfLikelihood))
    separate, point = toy.likelihood(constraints=[], weights=asimov(toy.x)), {**AT, "efficiency": 0.4}
    shared = {n: point[n] for n in binned.parameter_names}
    slope = 0.6**2 + np.log(2 * np.pi)
    expected = separate.twice_nll(AT) - 2.0 * float(binned.model.logpdf([shared[n] for n in binned.model.config.par_names], binned.data)[0])
    assert combined.twice_nll(point) == pytest.approx(expected + slope, rel=1e-12)
    step = 1e-4
    for name in combined.parameter_names:
        v = [combined.twice_nll({**point, name: point[name] + m * step}) for m in (-2, -1, 1, 2)]
        k = combined.parameter_names.index(name)
        assert combined.gradient(point)[k] == pytest.approx((v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * step), rel=1e-6, abs=1e-6)
    assert combined.fit(fixed={"mu": 1.0, "lumi": 1.0}).status == "converged"
    k, alone = combined.parameter_names.index("t0"), toy.likelihood(weights=asimov(toy.x))
    assert combined.hessian_at(combined.point(point))[k, k] > alone.hessian_at(alone.point(AT))[1, 1]


def test_variations_in_bins_and_uncertainties_of_ratios(folder: Path) -> None:
    source = {"observable": "x", "edges": [0.0, 0.5, 1.0], "log_ratio": [0.1, -0.05]}
    raw = document(channel(400))
    for sample in raw["unbinned_channels"][0]["samples"]:
        sample["modifiers"] = [m for m in sample["modifiers"] if m["type"] not in {"shapesys_ratio"}]
    samples = raw["unbinned_channels"][0]["samples"]
    samples[3]["modifiers"].append({"type": "shapesys_ratio", "name": "scale", "data": {"up": source, "hi": 1.1, "lo": 0.9}})
    samples[0]["modifiers"].append(
        {"type": "ratio_uncertainty", "name": "ensemble", "data": {"sigma": {"model": "scale.onnx", "output": "up", "spread": True}}}
    )
    likelihood = build(raw, folder)
    x = channel(400).x
    point = likelihood.shapes.at(np.array([{"scale": 1.0, "ensemble": -0.5}[n] for n in likelihood.shapes.names]))
    np.testing.assert_allclose(point.log_factor(3, slice(None)), np.where(x < 0.5, 0.1, -0.05), rtol=1e-13)
    np.testing.assert_allclose(point.log_factor(0, slice(None)), -0.5 * np.abs(shapes(x).logs[1][:, 0]), rtol=1e-13)
    rates = likelihood.coefficients.values(np.array([likelihood.point({**AT, "scale": 1.0})]))
    assert rates[0, 3] == pytest.approx(1.1 * 1.01 * 1.1 * 1.06)
    edge = binned_variation([-1.0, 0.5, 7.0], BinnedSource.model_validate(source))
    assert edge.tolist() == [0.1, -0.05, -0.05]


def test_normalisation_from_weights_of_each_sample(folder: Path, tmp_path: Path) -> None:
    """Weights per sample replace the ratios of the reference: the same normalisation."""
    toy = channel(400)
    write_files(tmp_path, toy)
    pair, ratios = shapes(toy.grid).logs[1], np.exp(log_ratios(toy.grid))
    columns = {f"w_{n}": 7.0 * ratios[:, j] for j, n in enumerate(NAMES)}
    write_observation(tmp_path / "grid.parquet", {"x": toy.grid, "scale_up": pair[:, 0], "scale_down": pair[:, 1], **columns})
    raw = document(toy)
    raw["unbinned_channels"][0]["normalisation"] = {"file": "grid.parquet", "weights": {n: f"w_{n}" for n in NAMES}}
    assert build(raw, tmp_path).twice_nll(AT) == pytest.approx(build(document(toy), folder).twice_nll(AT), rel=1e-12)
    del raw["unbinned_channels"][0]["normalisation"]["weights"]["B"]
    with pytest.raises(SchemaError, match="no column for"):
        build(raw, tmp_path)


def test_without_systematics_the_statistical_likelihood_returns(folder: Path) -> None:
    raw = document(channel(400))
    for sample in raw["unbinned_channels"][0]["samples"]:
        sample["modifiers"] = [m for m in sample["modifiers"] if m["type"] in {"morphing", "normfactor"}]
    plain = build(raw, folder)
    assert plain.constraints == ()
    assert set(plain.parameter_names) == {"mu", "t0"}
    fixed = {"scale": 0.0, "slope": 0.0, "lumi": 1.0}
    full = build(document(channel(400)), folder)
    one, two = plain.fit(fixed={"mu": 1.2}), full.fit(fixed={**fixed, "mu": 1.2})
    assert one.parameters["t0"] == pytest.approx(two.parameters["t0"], abs=1e-6)
    assert one.errors["t0"] == pytest.approx(two.errors["t0"], rel=1e-5)
    assert full.fit(fixed={"mu": 1.2}).errors["t0"] > one.errors["t0"]


def edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return an editor that sets a nested entry, or removes it (value ...)."""

    def change(raw: dict[str, Any]) -> None:
        *parents, last = [int(k) if k.isdigit() else k for k in path.split(".")]
        target: Any = raw
        for key in parents:
            target = target[key]
        if value is ...:
            del target[last]
        else:
            target[last] = value

    return change


FIRST = "unbinned_channels.0.samples.0.modifiers"
BAD = [
    (edit("measurements.0.config.parameters.2", {"name": "other", "inits": [1], "bounds": [[0, 1]]}), SchemaError, "'lumi'"),
    (edit("unbinned_channels.0.normalisation", ...), SchemaError, "no reference"),
    (edit("unbinned_channels.0.normalisation", {"file": "absent.parquet"}), InputFileError, "absent"),
    (edit("unbinned_channels.0.interpolation", "cubic"), SchemaError, "interpolation"),
    (edit(f"{FIRST}.2", {"type": "normsys", "name": "slope", "data": {"hi": -1.0, "lo": 1.0}}), SchemaError, "greater than 0"),
    (edit(f"{FIRST}.2.name", "t0"), SchemaError, "one kind of constraint"),
    (edit(f"{FIRST}.3.data.up", {"column": "nowhere"}), SchemaError, "nowhere"),
    (edit(f"{FIRST}.4.data.up", {"model": "slope.onnx", "output": "sideways"}), ArtifactMismatchError, "sideways"),
    (edit(f"{FIRST}.3.data.up", {"observable": "x", "edges": [0, 1, 1], "log_ratio": [1, 2]}), SchemaError, "edges must increase"),
    (edit(f"{FIRST}.3.name", "slope"), SchemaError, "one variation per parameter"),
    (edit("unbinned_channels.0.samples.0.modifiers.1.data.coefficient", "mu * undefined"), SchemaError, "undefined"),
]


@pytest.mark.parametrize(("change", "error", "match"), BAD)
def test_bad_documents_are_refused(folder: Path, change: Any, error: Any, match: str) -> None:
    raw = copy.deepcopy(document(channel(400)))
    change(raw)
    with pytest.raises(error, match=match):
        build(raw, folder)


def test_contradictory_constraints_are_refused(folder: Path) -> None:
    raw = document(channel(400))
    raw["channels"], raw["observations"] = [control_region()], [{"name": "cr", "data": [110.0, 41.0]}]
    sample = raw["channels"][0]["samples"][0]
    sample["modifiers"].append({"name": "slope", "type": "shapesys", "data": [3.0, 4.0]})
    with pytest.raises(SchemaError, match="constraint of 'slope'"):
        build(raw, folder)
    raw = document(channel(400))
    raw["measurements"][0]["config"]["parameters"].append({"name": "scale", "sigmas": [2.0]})
    with pytest.raises(SchemaError, match="unit Gaussian"):
        build(raw, folder)


def test_nan_in_a_variation_names_the_event(folder: Path, tmp_path: Path) -> None:
    toy = channel(400)
    write_files(tmp_path, toy)
    pair = shapes(toy.x).logs[1].copy()
    pair[17, 0] = np.nan
    write_observation(tmp_path / "data.parquet", {"x": toy.x, "scale_up": pair[:, 0], "scale_down": pair[:, 1]}, weights=asimov(toy.x))
    with pytest.raises(PhysicsDomainError, match="event 17"):
        build(document(toy), tmp_path)


def test_binned_part_stays_a_pyhf_workspace(folder: Path) -> None:
    raw = document(channel(400))
    raw["channels"], raw["observations"] = [control_region()], [{"name": "cr", "data": [110.0, 41.0]}]
    exported = Workspace(raw, folder).to_pyhf()
    with quiet_schema():
        model = pyhf.Workspace(exported).model(poi_name=None)
    assert set(model.config.parameters) == {"t0", "lumi", "scale", "efficiency"}
    assert set(exported) == {"version", "channels", "observations", "measurements"}
    assert {p["name"] for p in exported["measurements"][0]["config"]["parameters"]} == {"t0", "lumi"}
