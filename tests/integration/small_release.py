"""A finished run that takes a second to make: a counting and an unbinned method on events of one observable."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from toolkit.artifacts.archive import write_archive
from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.onnx_metadata import Feature, OnnxMetadata
from toolkit.cli import main
from toolkit.likelihood import (
    BinnedLikelihood,
    MethodResult,
    Observation,
    ObservedResults,
    Parameter,
    Results,
    UnbinnedChannel,
    UnbinnedSample,
    Workspace,
    make_document,
    measure,
    write_observation,
)
from toolkit.typing import FloatArray

COEFFICIENTS = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)")
NAMES = ("S", "SBI", "B")
YIELDS = np.array([20.0, 110.0, 100.0])
TEMPLATES = np.array([[5.0, 15.0], [88.0, 22.0], [85.0, 15.0]])
ASIMOV, COUNTS = np.array([88.0, 22.0]), np.array([91.0, 34.0])
MU = Parameter("mu", init=1.0, low=0.0, high=4.0)
SCAN = np.linspace(0.0, 4.0, 21)


def write_model(path: Path) -> None:
    """ln p_j / p_ref of exponential shapes in x on 0 ... infinity: S falls slowly, B fast, SBI is their sum."""
    slopes, offsets = np.array([[0.5, 0.0, 0.0]], dtype=np.float32), np.array([-0.7, 0.05, 0.0], dtype=np.float32)
    metadata = OnnxMetadata((Feature("x", "GeV", 0.0, 10.0),), NAMES, "B", "mixture")
    entry = helper.make_tensor_value_info("observables", onnx.TensorProto.FLOAT, ["batch", 1])
    output = helper.make_tensor_value_info("log_ratio", onnx.TensorProto.FLOAT, ["batch", 3])
    nodes = [helper.make_node("MatMul", ["observables", "slopes"], ["y"]), helper.make_node("Add", ["y", "offsets"], ["log_ratio"])]
    constants = [numpy_helper.from_array(slopes, "slopes"), numpy_helper.from_array(offsets, "offsets")]
    graph = helper.make_graph(nodes, "g", [entry], [output], initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"h4l": metadata.to_json()})
    path.write_bytes(model.SerializeToString())
    write_json(path.with_name("mixture.reference.json"), {"schema": 1})


def write_workspaces(folder: Path, *, counts: FloatArray, x: FloatArray, weight: float | None) -> None:
    """Write the likelihoods of the simulated events, or without a weight those of data."""
    end = "_observed" if weight is None else ""
    file = "observed.parquet" if weight is None else "asimov.parquet"
    write_observation(folder / file, {"x": x}, weights=None if weight is None else np.full(len(x), weight))
    binned = BinnedLikelihood(
        templates=TEMPLATES,
        data=counts,
        coefficients=COEFFICIENTS,
        parameters=("mu",),
        bounds={"mu": (0.0, 4.0)},
        processes=NAMES,
        channel="m4l",
    )
    samples = [
        {"name": n, "yield": float(y), "output": n, "modifiers": [{"type": "morphing", "data": {"coefficient": c}}]}
        for n, y, c in zip(NAMES, YIELDS, COEFFICIENTS, strict=True)
    ]
    channel = UnbinnedChannel(
        name="nsbi",
        observables=("x",),
        reference="B",
        model="../models/mixture.onnx",
        samples=tuple(UnbinnedSample.model_validate(s) for s in samples),
        observation=Observation(file=file, weight=None if weight is None else "weight"),
    )
    Workspace(make_document(parameters=[MU], binned=[binned])).save(folder / f"m4l{end}.json")
    Workspace(make_document(parameters=[MU], unbinned=[channel])).save(folder / f"nsbi{end}.json")
    write_json(folder / f"m4l{end}.pyhf.json", binned.to_pyhf())


def fitted(folder: Path, end: str = "") -> dict[str, MethodResult]:
    """Measure by both methods."""
    return {n: measure(Workspace.load(folder / f"{n}{end}.json").likelihood(), method=n, values=SCAN) for n in ("m4l", "nsbi")}


def write_run(out: Path) -> None:
    """Write a finished run whose data are blinded."""
    (out / "models").mkdir()
    (out / "workspace").mkdir()
    write_model(out / "models" / "mixture.onnx")
    write_workspaces(out / "workspace", counts=ASIMOV, x=np.random.default_rng(3).exponential(1.0, 400), weight=0.28)
    found = fitted(out / "workspace")
    results = Results("mu", {"mu": 1.0}, 140.0, dict(zip(NAMES, YIELDS.tolist(), strict=True)), found)
    write_json(out / "results.json", results.to_json())
    config = {"name": "tiny", "histograms": {"m4l": {"observable": "m4l", "edges": [200.0, 300.0, 1000.0]}}}
    write_json(out / "manifest.json", {"schema": 1, "config": config, "config_hash": "c0ffee", "versions": {}})


def write_observed(out: Path, x: FloatArray) -> None:
    """Fit data, too."""
    write_workspaces(out / "workspace", counts=COUNTS, x=x, weight=None)
    observed = ObservedResults({"early": 60, "late": 65}, 110.0, fitted(out / "workspace", "_observed"))
    write_json(out / "results.json", {**json.loads((out / "results.json").read_text()), "observed": observed.to_json()})


def by_hand(x: FloatArray, mu: float, *, weight: float = 1.0) -> float:
    """Sum over the events under the densities of the network."""
    logs = np.stack([0.5 * x - 0.7, np.full(len(x), 0.05), np.zeros(len(x))], axis=1)
    f = np.array([mu - np.sqrt(mu), np.sqrt(mu), 1 - np.sqrt(mu)]) * YIELDS
    return float(2 * (f.sum() - weight * np.log(np.exp(logs) @ f).sum()))


def repack(archive: Path, target: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Path:
    """Write the bundle again with another index or other results, sound as an archive."""
    with tarfile.open(archive) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    index, results = json.loads(files.pop("bundle.json")), json.loads(files["results.json"])
    change(index, results)
    files["results.json"] = json.dumps(results).encode()
    write_archive(target, files, description={k: v for k, v in index.items() if k not in {"schema", "format", "files"}})
    return target


def h4l(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)
