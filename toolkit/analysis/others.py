"""Workspaces of others that enter the fit of an analysis, such as an on-shell measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.analysis.model import FitModel
from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import CombinedLikelihood, Likelihood, Parameter, Workspace


def workspaces_of_others(config: Config) -> tuple[Likelihood, ...]:
    """Open the workspaces that enter the fit; parameters that the analysis has, too, get its ranges and starts.

    Returns:
        Their terms: one of bins each, and constraints.

    Raises:
        InputFileError, SchemaError: A file is missing or no workspace, or has channels without bins, whose data cannot be replaced by an
            expectation while the analysis is blinded.
    """
    parameters = FitModel.of(config).parameters
    return tuple(t for r in config.model.regions if r.kind == "workspace" for t in _of_others(r.name, Path(r.file), parameters))


def _of_others(name: str, path: Path, parameters: Sequence[Parameter]) -> tuple[Likelihood, ...]:
    try:
        workspace = Workspace.load(path)
    except SchemaError as error:
        what = f"regions.{name}: {path}: {error.what}"
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
    likelihood = replace(workspace, document=document).likelihood()
    return likelihood.terms if isinstance(likelihood, CombinedLikelihood) else (likelihood,)


def _shared(entry: dict[str, object], own: dict[str, Parameter]) -> dict[str, object]:
    parameter = own.get(str(entry["name"]))
    if parameter is None:
        return entry
    return {**entry, "inits": [parameter.init], "bounds": [[parameter.low, parameter.high]]}
