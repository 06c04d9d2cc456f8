"""Pack what others need to use a result again into one archive: workspaces, networks, reference rows, example events, tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import __version__
from toolkit.analysis.layout import MANIFEST, MODEL, OBSERVED, RESULTS, WORKSPACE
from toolkit.artifacts.archive import write_archive
from toolkit.artifacts.checksums import checksum_path
from toolkit.errors import ArtifactMismatchError, InputFileError
from toolkit.likelihood import Coefficients, OnnxRatio, Results, Workspace
from toolkit.likelihood.observation import read_observation
from toolkit.pipeline.reuse import files_of
from toolkit.report.hepdata import hepdata_tables

EXAMPLE_EVENTS = 200
LICENCE = "LICENSE"
LICENCE_NAME = "BSD-3-Clause"


def write_bundle(run: str | Path, path: str | Path, *, licence: Path | None = None, title: str | None = None) -> dict[str, Any]:
    """Write the release bundle of a finished run.

    The likelihoods of the data are packed beside the expected ones if results.json has observed results; otherwise nothing
    that depends on the data is, whatever lies in the folder.

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
    document, manifest = _json(out / RESULTS), _json(out / MANIFEST)
    results = Results.from_json(document)
    workspaces = {n: Workspace.load(out / _workspace(n)) for n in results.methods if (out / _workspace(n)).is_file()}
    fitted = results.observed.methods if results.observed is not None else {}
    observed = {n: _observed_workspace(out / _workspace(n, observed=True)) for n in workspaces if n in fitted}
    general = bool(manifest.get("config", {}).get("processes"))
    if not workspaces and not general:
        raise InputFileError(f"{out / WORKSPACE}", got="no workspace of any method", expected="those of a finished run", remedy="fit again")
    networks = _networks(out) if general else ()
    files = {name: _bytes(out / name) for name in (RESULTS.as_posix(), MANIFEST.as_posix(), *_needed(out, workspaces, observed), *networks)}
    files |= _examples(workspaces)
    config = manifest.get("config", {})
    name = title or str(config.get("name", out.name))
    edges = {key: section["edges"] for key, section in config.get("histograms", {}).items() if "edges" in section}
    binned, counted = ({n: w.document for n, w in found.items() if not w.unbinned_channels} for found in (workspaces, observed))
    tables = hepdata_tables(results, binned=binned, edges=edges, title=name, observed=counted, intervals=document.get("intervals"))
    files |= {f"tables/{file}": text.encode() for file, text in tables.items()}
    files[LICENCE] = _licence() if licence is None else _bytes(licence)
    description = {
        "title": name,
        "toolkit_version": __version__,
        "licence": LICENCE_NAME if licence is None else f"see {LICENCE}",
        "poi": results.poi,
        "asimov": results.asimov,
        "luminosity_ifb": results.luminosity_ifb,
        "methods": {n: _method(n, w, observed=n in observed) for n, w in workspaces.items()},
        "models": sorted(file for file in files if file.endswith(".onnx")),
        "tables": [f"tables/{file}" for file in tables],
        "config_hash": manifest.get("config_hash", ""),
        "versions": manifest.get("versions", {}),
        "use": "h4l reuse BUNDLE" if workspaces else "results.json, models and tables; the likelihoods of the regions are not in it",
    }
    files["README.txt"] = (_readme(description, observed=bool(observed)) if workspaces else _readme_of_several(description)).encode()
    return write_archive(path, files, description=description)


def _workspace(name: str, *, observed: bool = False, plain: bool = False) -> str:
    """Return the file of the likelihood of a method, relative to the run; `plain` is what pyhf reads alone."""
    return (WORKSPACE / f"{name}{f'_{OBSERVED.stem}' * observed}{'.pyhf' * plain}.json").as_posix()


def _observed_workspace(path: Path) -> Workspace:
    """Open the likelihood of the data that results.json speaks of."""
    _bytes(path)
    return Workspace.load(path)


def _method(name: str, workspace: Workspace, *, observed: bool) -> dict[str, Any]:
    entry = {"workspace": _workspace(name), "unbinned": bool(workspace.unbinned_channels)}
    return {**entry, "observed": _workspace(name, observed=True)} if observed else entry


def _needed(out: Path, workspaces: Mapping[str, Workspace], observed: Mapping[str, Workspace]) -> list[str]:
    """List the files of the likelihoods: workspaces, their form for pyhf, and what they name, reference rows, checksums."""
    own = [(name, flag) for found, flag in ((workspaces, False), (observed, True)) for name in found]
    plain = {file for name, flag in own if (out / (file := _workspace(name, observed=flag, plain=True))).is_file()}
    opened = (*workspaces.values(), *observed.values())
    named = {_inside(out, w.folder / file) for w in opened for file in files_of(w.document.get("unbinned_channels", []))}
    references = {Path(file).with_name(f"{Path(file).stem}.reference.json").as_posix() for file in named if file.endswith(".onnx")}
    files = {*(_workspace(name, observed=flag) for name, flag in own), *plain, *named, *references}
    return sorted(files | {file for name in files if (out / (file := checksum_path(name).as_posix())).is_file()})


def _networks(out: Path) -> tuple[str, ...]:
    """List the files of the density networks, with their reference rows and checksums."""
    names = [MODEL.as_posix(), MODEL.with_name(f"{MODEL.stem}.reference.json").as_posix()]
    return tuple(file for name in names for file in (name, checksum_path(name).as_posix()) if (out / file).is_file())


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
            few |= {key: np.full(len(weights[:EXAMPLE_EVENTS]), value) for key, value in _start(workspace, channel.inputs).items()}
            logs = ratio(ratio.columns(few))
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow([*few, "weight", *(f"log_ratio_{n}" for n in ratio.numerators)])
            for k, row in enumerate(zip(*few.values(), strict=True)):
                writer.writerow([*(repr(float(v)) for v in row), repr(float(weights[k])), *(f"{v:.9g}" for v in logs[k])])
            files[f"examples/{name}_{channel.name}.csv"] = text.getvalue().encode()
    return files


def _start(workspace: Workspace, inputs: Mapping[str, str]) -> dict[str, float]:
    """Evaluate what a network reads besides observables at the starting values of the parameters."""
    starts = {p["name"]: float(p["inits"][0]) for p in workspace.measurement()["config"]["parameters"] if p.get("inits")}
    values = Coefficients.parse(tuple(inputs.values()), tuple(starts)).values(np.array([list(starts.values())]))[0] if inputs else ()
    return dict(zip(inputs, map(float, values), strict=True))


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


def _readme(description: Mapping[str, Any], *, observed: bool) -> str:
    data = "*_observed.json are those of the data" if observed else "the data are not in this bundle"
    return f"""{description["title"]}: release bundle of h4l-toolkit {description["toolkit_version"]}

bundle.json    description, every file with its SHA-256
results.json   published results: best fit, intervals and scan of every method
workspace/     one likelihood per method; {data};
               *.pyhf.json is read by pyhf alone; events as parquet
models/        ratio networks as ONNX, with reference rows to check other programs against
examples/      simulated events with their log ratios
tables/        scans, templates and nuisance parameters as HEPData takes them

    pip install h4l-toolkit
    h4l reuse THIS.tar.gz
    h4l reuse THIS.tar.gz --at {description["poi"]}=2
"""


def _readme_of_several(description: Mapping[str, Any]) -> str:
    return f"""{description["title"]}: release bundle of h4l-toolkit {description["toolkit_version"]}

bundle.json    description, every file with its SHA-256
results.json   published results of every parameter and method: best fits, intervals, scans, contours
models/        ratio networks as ONNX, with reference rows to check other programs against
tables/        scans and contours as HEPData takes them

The likelihoods of several parameters or regions are not in this bundle.
"""
