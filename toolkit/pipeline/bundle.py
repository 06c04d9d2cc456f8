"""Pack what others need to use a result again into one archive: workspaces, networks, reference rows, example events, tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from toolkit import __version__
from toolkit.artifacts.archive import write_archive
from toolkit.errors import ArtifactMismatchError, InputFileError
from toolkit.likelihood import OnnxRatio, Results, Workspace
from toolkit.likelihood.observation import read_observation
from toolkit.pipeline.manifest import NAME as MANIFEST
from toolkit.pipeline.reuse import files_of
from toolkit.pipeline.stages.layout import FIT, RESULTS, WORKSPACE
from toolkit.report.hepdata import hepdata_tables

EXAMPLE_EVENTS = 200
LICENCE = "LICENSE"
LICENCE_NAME = "BSD-3-Clause"


def write_bundle(run: str | Path, path: str | Path, *, licence: Path | None = None, title: str | None = None) -> dict[str, Any]:
    """Write the release bundle of a finished run.

    Args:
        run: Output folder of `h4l run`, with results.json.
        path: The archive, .tar.gz.
        licence: Text of the licence; the toolkit's by default.
        title: Name of the analysis; the config's by default.

    Returns:
        The index of the bundle.

    Raises:
        InputFileError: The run is not finished, or a file is missing.
        ArtifactMismatchError: A workspace refers to a file outside the run.
    """
    out = Path(run)
    results = Results.from_json(_json(out / RESULTS))
    manifest = _json(out / MANIFEST)
    names = [name for name in results.methods if (out / WORKSPACE / f"{name}.json").is_file()]
    workspaces = {name: Workspace.load(out / WORKSPACE / f"{name}.json") for name in names}
    files = {RESULTS.as_posix(): (out / RESULTS).read_bytes(), MANIFEST: (out / MANIFEST).read_bytes()}
    for file in sorted((out / WORKSPACE).iterdir()):
        if file.is_file() and file.name != FIT.name:
            files[(WORKSPACE / file.name).as_posix()] = file.read_bytes()
    channels = [(w.folder, w.document.get("unbinned_channels", [])) for w in workspaces.values()]
    named = {_inside(out, folder / file) for folder, part in channels for file in files_of(part)}
    models = sorted(name for name in named if name.endswith(".onnx"))
    references = {Path(model).with_name(f"{Path(model).stem}.reference.json").as_posix() for model in models}
    for needed in sorted((named | references) - set(files)):
        files[needed] = _bytes(out / needed)
    files |= _examples(workspaces)
    config = manifest.get("config", {})
    name = title or str(config.get("name", out.name))
    edges = {key: section["edges"] for key, section in config.get("histograms", {}).items() if "edges" in section}
    documents = {key: w.document for key, w in workspaces.items() if not w.unbinned_channels}
    tables = hepdata_tables(results, binned=documents, edges=edges, title=name)
    files |= {f"tables/{file}": text.encode() for file, text in tables.items()}
    files[LICENCE] = _licence() if licence is None else _bytes(licence)
    description = {
        "title": name,
        "toolkit_version": __version__,
        "licence": LICENCE_NAME if licence is None else f"see {LICENCE}",
        "poi": results.poi,
        "asimov": results.asimov,
        "luminosity_ifb": results.luminosity_ifb,
        "methods": {key: _method(key, w) for key, w in workspaces.items()},
        "models": models,
        "tables": [f"tables/{file}" for file in tables],
        "config_hash": manifest.get("config_hash", ""),
        "versions": manifest.get("versions", {}),
        "use": "h4l reuse BUNDLE",
    }
    files["README.txt"] = _readme(description).encode()
    return write_archive(path, files, description=description)


def _method(name: str, workspace: Workspace) -> dict[str, Any]:
    return {"workspace": (WORKSPACE / f"{name}.json").as_posix(), "unbinned": bool(workspace.unbinned_channels)}


def _examples(workspaces: Mapping[str, Workspace]) -> dict[str, bytes]:
    """Write the first events of each unbinned channel with their log ratios as CSV: what a user tries the networks on."""
    files = {}
    for name, workspace in workspaces.items():
        for channel in workspace.unbinned_channels:
            ratio = OnnxRatio(workspace.folder / channel.model)
            observables, weights = read_observation(
                workspace.folder / channel.observation.file, channel.observables, weight=channel.observation.weight
            )
            few = {key: values[:EXAMPLE_EVENTS] for key, values in observables.items()}
            logs = ratio(ratio.columns(few))
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow([*few, "weight", *(f"log_ratio_{n}" for n in ratio.numerators)])
            for k, row in enumerate(zip(*few.values(), strict=True)):
                writer.writerow([*(repr(float(v)) for v in row), repr(float(weights[k])), *(f"{v:.9g}" for v in logs[k])])
            files[f"examples/{name}_{channel.name}.csv"] = text.getvalue().encode()
    return files


def _inside(out: Path, path: Path) -> str:
    """Return the name of a file of the run relative to it."""
    try:
        return path.resolve().relative_to(out.resolve()).as_posix()
    except ValueError as error:
        what = f"model {path}"
        remedy = "run export and fit again with one output folder"
        raise ArtifactMismatchError(what, got="outside the run", expected=f"a file in {out}", remedy=remedy) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"cannot read {path}"
        raise InputFileError(
            what, got=error.strerror, expected="a file of a finished run", remedy="finish it with h4l run CONFIG"
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_bytes(path))
    except ValueError as error:
        what = f"{path}"
        raise InputFileError(what, got=str(error), expected="a complete JSON file", remedy="finish the run with h4l run CONFIG") from error


def _licence() -> bytes:
    """Return the text of the toolkit's licence as it is installed."""
    try:
        for file in distribution("h4l-toolkit").files or ():
            if file.name == "LICENSE":
                return file.read_text(encoding="utf-8").encode()
    except (PackageNotFoundError, OSError):  # pragma: no cover - not installed
        pass
    return f"SPDX-License-Identifier: {LICENCE_NAME}\n".encode()


def _readme(description: Mapping[str, Any]) -> str:
    return f"""{description["title"]}: release bundle of h4l-toolkit {description["toolkit_version"]}

bundle.json    description, every file with its SHA-256
results.json   published results: best fit, intervals and scan of every method
workspace/     one likelihood per method; *.pyhf.json is read by pyhf alone; the observation as parquet
models/        ratio networks as ONNX, with reference rows to check other programs against
examples/      events with their log ratios
tables/        scans and templates as HEPData takes them

    pip install h4l-toolkit
    h4l reuse THIS.tar.gz
    h4l reuse THIS.tar.gz --at {description["poi"]}=2
"""
