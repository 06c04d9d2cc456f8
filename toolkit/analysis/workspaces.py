"""Writes the likelihood of every method as a workspace, with the events that it needs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.analysis.channels import binned_document, normalisation_columns, parameters_of, special_constraints, unbinned_channel
from toolkit.analysis.cross_fit import CrossFitRatio, fold_file, fold_of
from toolkit.analysis.data import FitData, yields_and_shape
from toolkit.analysis.datasets import DataEvents
from toolkit.analysis.layout import ASIMOV, MODEL, MODELS, NORMALISATION, OBSERVED, WORKSPACE
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.others import with_expectation
from toolkit.analysis.region_method import Part, RegionMethod
from toolkit.analysis.regions import NetworkOutput
from toolkit.analysis.theta import theta_channel
from toolkit.artifacts.checksums import write_checked_json
from toolkit.errors import SchemaError
from toolkit.likelihood import OnnxRatio, UnbinnedChannel, Workspace, make_document, write_observation
from toolkit.likelihood.observation import WEIGHT
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.likelihood.workspace_schema import Observation
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents

_FILES = {"asimov": ASIMOV, "observed": OBSERVED, "normalisation": NORMALISATION}


def write_region_workspaces(folder: Path, data: FitData, ratio: OnnxRatio) -> None:
    """Write the likelihood of every method over regions: `<method>.json`, and `<method>.pyhf.json` in plain pyhf where all is binned.

    Unbinned regions have their events beside them, `asimov_<region>.parquet`. Those of data are called
    `<method>_observed.json`, `observed_<region>.parquet` and so on. Learned variations are normalised on the training events of every
    region, `normalisation_<region>.parquet`.

    Args:
        folder: The folder that holds `workspace/`.
        data: The events, and all methods.
        ratio: The exported networks.
    """
    for method in (m for m in data.methods if isinstance(m, RegionMethod)):
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
    if isinstance(part.method, BinnedMethod):
        return Workspace(binned_document(part.method, data.weights[part.test], data.systematics), folder / WORKSPACE)
    if not isinstance(part.method, UnbinnedMethod):
        raise SchemaError(f"method {part.method.name}", got=type(part.method).__name__, expected="BinnedMethod or UnbinnedMethod")
    systematics = data.systematics.within(data=part.test, training=part.training)
    channels = _channels(
        folder,
        replace(data, systematics=systematics),
        ratio,
        model=part.model,
        yields=part.method.base.yields,
        methods=part.siblings,
        inside=part.test,
        region=part.region.name,
        outputs=part.outputs,
    )
    return Workspace(_document(part.model, data, channels), folder / WORKSPACE)


def _document(model: FitModel, data: FitData, channels: Sequence[UnbinnedChannel]) -> dict[str, Any]:
    """Return the workspace of unbinned channels."""
    kinds = {kind for channel in channels for kind in channel.kinds}
    used = {*model.names, *kinds}
    return make_document(
        parameters=[p for p in parameters_of(model, data.systematics) if p.name in used],
        unbinned=channels,
        constraints=[c for c in special_constraints(data.systematics, modifiers=kinds) if c.parameter in used],
    )


def _channels(
    folder: Path,
    data: FitData,
    ratio: OnnxRatio,
    *,
    model: FitModel,
    yields: FloatArray,
    methods: Sequence[Method],
    inside: BoolArray,
    region: str = "",
    outputs: Sequence[NetworkOutput | None] | None = None,
) -> list[UnbinnedChannel]:
    """Describe unbinned events, and write them: one channel, or one per fold of a cross-fit with 1/K of the yields and the fold's networks.

    Args:
        folder: The folder that holds `workspace/`.
        data: All events.
        ratio: The exported networks.
        model: Coefficients and parameters.
        yields: Expected events of each density, (n_densities,).
        methods: All methods of the region.
        inside: Which events belong to it, (n_events,).
        region: Its name; empty without regions.
        outputs: Where the density of each process comes from, in a region.
    """
    observed, systematics = isinstance(data.events, DataEvents), data.systematics
    rate, shape = yields_and_shape(methods)
    ending = f"_{region}" if region else ""
    files = {kind: file.with_name(f"{file.stem}{ending}.parquet") for kind, file in _FILES.items()}
    events, found = files["observed" if observed else "asimov"], []
    for part in _parts(ratio, data, inside):
        file = events.with_name(f"{events.stem}{part.ending}.parquet")
        channel = unbinned_channel(
            model,
            yields / part.n_parts,
            ratio,
            systematics,
            rate=rate,
            shape=shape,
            observation=Observation(file=file.name, weight=None if observed else WEIGHT),
            name=f"{region or 'nsbi'}{part.ending}",
            outputs=outputs,
            normalised_on=files["normalisation"].name,
            network=part.network,
        )
        varied = [] if shape is None or channel.normalisation is None else [str(shape.observable)]
        columns = dict.fromkeys([*ratio.features, *channel.condition_columns, *varied])
        observables = {name: data.events.observables[name][part.events] for name in columns}
        write_observation(folder / file, observables, weights=None if observed else data.weights[part.events])
        if channel.normalisation is not None:
            write_observation(folder / files["normalisation"], normalisation_columns(shape, systematics, features=ratio.features))
        found.append(channel)
    return found


@dataclass(frozen=True, eq=False)
class _Part:
    """Events that are fitted with one file of networks: those of a fold in a cross-fit, otherwise all."""

    events: BoolArray
    network: Path = MODEL
    ending: str = ""
    n_parts: int = 1


def _parts(ratio: OnnxRatio, data: FitData, inside: BoolArray) -> list[_Part]:
    if not isinstance(ratio, CrossFitRatio) or not isinstance(data.events, SimulatedEvents):
        return [_Part(inside)]
    fold, n = fold_of(data.events, ratio.splits), ratio.splits.folds
    return [_Part(inside & (fold == k), fold_file(MODELS, k), f"_fold_{k}", n) for k in range(n)]


def write_workspaces(folder: Path, data: FitData, *, yields: FloatArray, ratio: OnnxRatio) -> None:
    """Write `nsbi.json`, `<histogram>.json` (with the parameter of interest), `<histogram>.pyhf.json` (plain pyhf) and the events.

    Those of data are called `nsbi_observed.json` and so on.

    Args:
        folder: The folder that holds `workspace/`.
        data: The events, and all methods.
        yields: Expected events of each process, (n_processes,).
        ratio: The exported networks.
    """
    model, systematics, observed = data.model, data.systematics, isinstance(data.events, DataEvents)
    for method in data.methods:
        if isinstance(method, BinnedMethod):
            workspace, name = Workspace(binned_document(method, data.weights, systematics)), data.named(method.name)
            workspace.save(folder / WORKSPACE / f"{name}.json")
            plain = workspace.to_pyhf() if systematics else method.likelihood(data.weights).to_pyhf()
            write_checked_json(folder / WORKSPACE / f"{name}.pyhf.json", plain)
    if isinstance(ratio, RatioAtPoints):
        file = OBSERVED if observed else ASIMOV
        weights = None if observed else data.weights
        write_observation(folder / file, {name: data.events.observables[name] for name in ratio.features}, weights=weights)
        observation = Observation(file=file.name, weight=None if observed else WEIGHT)
        channels = [theta_channel(model, yields, ratio, systematics, observation=observation)]
    else:
        everywhere = np.ones(len(data.events), dtype=np.bool_)
        channels = _channels(folder, data, ratio, model=model, yields=yields, methods=data.methods, inside=everywhere)
    Workspace(_document(model, data, channels)).save(folder / WORKSPACE / f"{data.named('nsbi')}.json")
