"""Workspaces of others that enter the fit of an analysis, such as an on-shell measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.analysis.model import FitModel
from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import CombinedLikelihood, Likelihood, Parameter, PyhfLikelihood, Workspace


def workspaces_of_others(config: Config) -> tuple[Likelihood, ...]:
    """Open the workspaces that enter the fit; parameters that the analysis has, too, get its ranges and starts.

    Returns:
        Their terms: one of bins each, and constraints.

    Raises:
        InputFileError, SchemaError: A file is missing or no workspace, or has channels without bins, whose data cannot be replaced by an
            expectation while the analysis is blinded.
    """
    return tuple(term for workspace in documents_of_others(config) for term in terms_of(workspace))


def documents_of_others(config: Config) -> tuple[Workspace, ...]:
    """Open the workspaces as documents, arguments and errors as of `workspaces_of_others`."""
    parameters = FitModel.of(config).parameters
    return tuple(_of_others(r.name, Path(r.file), parameters) for r in config.model.regions if r.kind == "workspace")


def terms_of(workspace: Workspace) -> tuple[Likelihood, ...]:
    """Return the terms of the likelihood of a workspace."""
    likelihood = workspace.likelihood()
    return likelihood.terms if isinstance(likelihood, CombinedLikelihood) else (likelihood,)


def with_expectation(workspace: Workspace, truth: Mapping[str, float] | None) -> Workspace:
    """Return the workspace of somebody else with the data that a fit gives it: its own, or the expectation at a truth.

    Raises:
        SchemaError: Its auxiliary measurements are not those of the document at the truth.
    """
    [term, *_] = [t for t in terms_of(workspace) if isinstance(t, PyhfLikelihood)]
    if truth is None:
        return workspace
    expected, config = term.asimov({n: v for n, v in truth.items() if n in term.parameter_names}), term.model.config
    if not np.allclose(expected.data[config.nmaindata :], term.data[config.nmaindata :], rtol=1e-12, atol=1e-12):
        what = f"workspace of channels {list(config.channels)}"
        raise SchemaError(what, got="constraints around another point than the truth", expected="auxiliary measurements at the truth")
    counts = [{"name": name, "data": expected.data[config.channel_slices[name]].tolist()} for name in config.channels]
    return replace(workspace, document={**workspace.document, "observations": counts})


def _of_others(name: str, path: Path, parameters: Sequence[Parameter]) -> Workspace:
    try:
        workspace = Workspace.load(path)
    except SchemaError as error:
        what = f"regions.{name}: {error.what}"
        raise SchemaError(what, got=error.got, expected=error.expected, remedy=error.remedy) from error
    if workspace.unbinned_channels:
        channels = [c.name for c in workspace.unbinned_channels]
        remedy = "take its binned channels (Workspace.to_pyhf), or combine the two with Workspace.combine"
        raise SchemaError(f"regions.{name}: {path}", got=f"unbinned channels {channels}", expected="binned channels alone", remedy=remedy)
    own = {p.name: p for p in parameters}
    document = {**workspace.document, "measurements": [dict(m) for m in workspace.document["measurements"]]}
    for measurement in document["measurements"]:
        config = dict(measurement["config"])
        config["parameters"] = [_shared(entry, own) for entry in config["parameters"]]
        measurement["config"] = config
    return replace(workspace, document=document)


def _shared(entry: dict[str, object], own: dict[str, Parameter]) -> dict[str, object]:
    parameter = own.get(str(entry["name"]))
    if parameter is None:
        return entry
    return {**entry, "inits": [parameter.init], "bounds": [[parameter.low, parameter.high]]}
