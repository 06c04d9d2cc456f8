"""Writes the likelihood of every method as a workspace, with the events that it needs beside it."""

from __future__ import annotations

from pathlib import Path

from toolkit.analysis.channels import binned_document, normalisation_columns, parameters_of, special_constraints, unbinned_channel
from toolkit.analysis.data import FitData, yields_and_shape
from toolkit.analysis.datasets import RecordedEvents
from toolkit.analysis.layout import ASIMOV, NORMALISATION, OBSERVED, WORKSPACE
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod
from toolkit.analysis.others import with_expectation
from toolkit.analysis.region_method import Part, RegionMethod
from toolkit.analysis.theta import theta_channel
from toolkit.artifacts.checksums import write_checked_json
from toolkit.errors import SchemaError
from toolkit.likelihood import OnnxRatio, Workspace, make_document, write_observation
from toolkit.likelihood.observation import WEIGHT
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.likelihood.workspace_schema import Observation
from toolkit.typing import FloatArray

_FILES = {"asimov": ASIMOV, "observed": OBSERVED, "normalisation": NORMALISATION}


def write_region_workspaces(folder: Path, data: FitData, ratio: OnnxRatio) -> None:
    """Write the likelihood of every method over regions: `<method>.json`, and `<method>.pyhf.json` in plain pyhf where all is binned.

    Unbinned regions have their events beside them, `asimov_<region>.parquet`. Those of data are called
    `<method>_observed.json`, `observed_<region>.parquet` and so on. With learned variations of densities the unbinned method has none.

    Args:
        folder: The folder that holds `workspace/`.
        data: The events, and all methods.
        ratio: The exported networks.
    """
    for method in (m for m in data.methods if isinstance(m, RegionMethod)):
        binned = all(isinstance(part.method, BinnedMethod) for part in method.parts)
        learned = data.systematics.learned is not None and bool(data.systematics.learned.processes)
        if learned and not binned:
            continue
        documents = {part.region.name: _region_workspace(folder, data, part, ratio) for part in method.parts}
        for k, workspace in enumerate(method.documents):
            documents[f"workspace {k}"] = with_expectation(workspace, data.expectation)
        whole = Workspace.combine(documents, poi=method.parameter, folder=folder / WORKSPACE)
        name = data.named(method.name)
        whole.save(folder / WORKSPACE / f"{name}.json")
        if not whole.unbinned_channels:
            write_checked_json(folder / WORKSPACE / f"{name}.pyhf.json", whole.to_pyhf())


def _region_workspace(folder: Path, data: FitData, part: Part, ratio: OnnxRatio) -> Workspace:
    """Describe a region; the events of an unbinned one are written beside it."""
    weights, model, systematics = data.weights[part.test], part.model, data.systematics
    if isinstance(part.method, BinnedMethod):
        return Workspace(binned_document(part.method, weights, systematics), folder / WORKSPACE)
    if not isinstance(part.method, UnbinnedMethod):
        raise SchemaError(f"method {part.method.name}", got=type(part.method).__name__, expected="BinnedMethod or UnbinnedMethod")
    recorded = isinstance(data.events, RecordedEvents)
    files = {kind: file.with_name(f"{file.stem}_{part.region.name}.parquet") for kind, file in _FILES.items()}
    rate, shape = yields_and_shape(part.siblings)
    channel = unbinned_channel(
        model,
        part.method.base.yields,
        ratio,
        systematics,
        rate=rate,
        shape=shape,
        observation=Observation(file=files["observed" if recorded else "asimov"].name, weight=None if recorded else WEIGHT),
        name=part.region.name,
        outputs=part.outputs,
        normalised_on=files["normalisation"].name,
    )
    varied = [] if shape is None or channel.normalisation is None else [str(shape.observable)]
    columns = dict.fromkeys([*ratio.features, *channel.condition_columns, *varied])
    observables = {name: data.events.observables[name][part.test] for name in columns}
    write_observation(folder / WORKSPACE / channel.observation.file, observables, weights=None if recorded else weights)
    if channel.normalisation is not None:
        write_observation(folder / files["normalisation"], normalisation_columns(shape, systematics, features=ratio.features))
    used = {*model.names, *channel.kinds}
    document = make_document(
        parameters=[p for p in parameters_of(model, systematics) if p.name in used],
        unbinned=[channel],
        constraints=[c for c in special_constraints(systematics, modifiers=channel.kinds) if c.parameter in used],
    )
    return Workspace(document, folder / WORKSPACE)


def write_workspaces(folder: Path, data: FitData, *, yields: FloatArray, ratio: OnnxRatio) -> None:
    """Write `nsbi.json`, `<histogram>.json` (with the parameter of interest), `<histogram>.pyhf.json` (plain pyhf) and the events.

    Those of data are called `nsbi_observed.json` and so on.

    Args:
        folder: The folder that holds `workspace/`.
        data: The events, and all methods.
        yields: Expected events of each process, (n_processes,).
        ratio: The exported networks.
    """
    model, systematics, recorded = data.model, data.systematics, isinstance(data.events, RecordedEvents)
    rate, shape = yields_and_shape(data.methods)
    columns = dict.fromkeys([*ratio.features, *([str(shape.observable)] if systematics and shape is not None else [])])
    file = OBSERVED if recorded else ASIMOV
    write_observation(folder / file, {name: data.events.observables[name] for name in columns}, weights=None if recorded else data.weights)
    for method in data.methods:
        if isinstance(method, BinnedMethod):
            workspace, name = Workspace(binned_document(method, data.weights, systematics)), data.named(method.name)
            workspace.save(folder / WORKSPACE / f"{name}.json")
            plain = workspace.to_pyhf() if systematics else method.likelihood(data.weights).to_pyhf()
            write_checked_json(folder / WORKSPACE / f"{name}.pyhf.json", plain)
    observation = Observation(file=file.name, weight=None if recorded else WEIGHT)
    if isinstance(ratio, RatioAtPoints):
        channel = theta_channel(model, yields, ratio, systematics, observation=observation)
    else:
        channel = unbinned_channel(model, yields, ratio, systematics, rate=rate, shape=shape, observation=observation)
    if channel.normalisation is not None:
        write_observation(folder / NORMALISATION, normalisation_columns(shape, systematics, features=ratio.features))
    used = {*model.names, *channel.kinds}
    document = make_document(
        parameters=[p for p in parameters_of(model, systematics) if p.name in used],
        unbinned=[channel],
        constraints=[c for c in special_constraints(systematics, modifiers=channel.kinds) if c.parameter in used],
    )
    Workspace(document).save(folder / WORKSPACE / f"{data.named('nsbi')}.json")
