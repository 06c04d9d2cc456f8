"""RooFit workspaces: a macro and its events for every likelihood, and the workspace file where ROOT is at hand.

The macro needs ROOT alone. It builds the model with the classes of RooFit and HistFactory, compares -2 ln L with the numbers of the toolkit
at the points of the tree `reference`, and writes the workspace if they agree to a relative 1e-9.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uproot

from exports.roofit_events import UnbinnedEvents
from exports.roofit_model import BinnedChannels, RoofitModel, Table, safe
from exports.roofit_theta import ThetaEvents
from toolkit.artifacts.atomic import atomic_path, make_folder, write_text
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError
from toolkit.likelihood import OnnxRatio, Workspace
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.combined import CombinedLikelihood
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.pyhf_model import PyhfLikelihood
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.likelihood.workspace_shapes import OpenRatio

ROOT_PYTHON = "H4L_ROOT_PYTHON"
"""Environment variable: a Python interpreter in which ROOT can be imported."""
POINTS = 50
MACRO = Path(__file__).with_name("roofit_macro.C")
_LIMIT_S = 3600
_TRIES = 200


@dataclass(frozen=True)
class RoofitExport:
    """Say what `write_roofit` wrote.

    Attributes:
        macro: The macro.
        events: Its ROOT file of events and reference points.
        workspace: The workspace file, None where ROOT is not at hand.
    """

    macro: Path
    events: Path
    workspace: Path | None


def write_roofit(
    workspace: Workspace, folder: str | Path, *, name: str, measurement: str | None = None, open_ratio: OpenRatio = OnnxRatio
) -> RoofitExport:
    """Write a likelihood for RooFit.

    Args:
        workspace: The workspace.
        folder: Where the files go: `NAME.C`, `NAME_events.root` and, if ROOT is found, `NAME_roofit.root`.
        name: Name of the macro and of the RooWorkspace.
        measurement: Name of the measurement (default: the first).
        open_ratio: Opens the model file of an unbinned channel.

    Returns:
        The files.

    Raises:
        SchemaError: The likelihood has no form in RooFit.
        ArtifactMismatchError: ROOT finds another likelihood than the toolkit.
        InputFileError: The folder cannot be written to.
    """
    target, chosen = make_folder(folder), safe(name)
    model = roofit_model(workspace, measurement=measurement, open_ratio=open_ratio)
    model.tables["reference"] = reference_points(model.likelihood)
    macro, events, built = target / f"{chosen}.C", target / f"{chosen}_events.root", target / f"{chosen}_roofit.root"
    with atomic_path(events) as path:
        _write_trees(path, model.tables)
    body = "\n".join(f"   {s}" for s in model.statements)
    main = _MAIN.replace("@NAME@", chosen).replace("@BODY@", body)
    write_text(macro, MACRO.read_text(encoding="utf-8") + main)
    built.unlink(missing_ok=True)
    command = root_command(macro)
    return RoofitExport(macro, events, None if command is None else _run(command, macro, built))


def roofit_model(workspace: Workspace, *, measurement: str | None = None, open_ratio: OpenRatio = OnnxRatio) -> RoofitModel:
    """Translate a workspace into the calls of a macro and the tables of its events.

    Raises:
        SchemaError: Names that RooFit could not tell apart.
    """
    likelihood = workspace.likelihood(measurement=measurement, open_ratio=open_ratio)
    model = RoofitModel(likelihood)
    model.parameters()
    terms = likelihood.terms if isinstance(likelihood, CombinedLikelihood) else (likelihood,)
    for term in terms:
        if isinstance(term, PyhfLikelihood):
            BinnedChannels(model, term, workspace).write()
    unbinned = [t for t in terms if isinstance(t, UnbinnedLikelihood | ParameterisedLikelihood)]
    for own, channel in zip(unbinned, workspace.unbinned_channels, strict=True):
        if isinstance(own, ParameterisedLikelihood):
            ThetaEvents(model, own, channel).write()
        else:
            UnbinnedEvents(model, own, channel).write()
    for c in likelihood.constraints:
        model.call(c.kind, safe(c.parameter), c.observed, c.scale)
    fit = likelihood.fit()
    model.call("finish", [safe(likelihood.poi)])
    model.call("snapshot", "best_fit", [fit.parameters[p.name] for p in likelihood.parameters])
    model.call("snapshot", "initial", [p.init for p in likelihood.parameters])
    return model


def reference_points(likelihood: Likelihood, *, n_points: int = POINTS, seed: int = 1) -> Table:
    """Draw allowed points and evaluate -2 ln L there: the start first, the others around it within the ranges.

    Raises:
        PhysicsDomainError: No allowed points are found.
    """
    rng, parameters = np.random.default_rng(seed), likelihood.parameters
    low, high, start = (np.array([getattr(p, key) for p in parameters]) for key in ("low", "high", "init"))
    fixed = np.array([p.fixed for p in parameters])
    widths = {c.parameter: c.scale if c.kind == "gaussian" else c.scale**-0.5 for c in likelihood.constraints}
    reach = np.array([2.0 * widths.get(p.name, np.inf) for p in parameters])
    low, high = np.maximum(low, np.maximum(start - reach, start - 5.0)), np.minimum(high, np.minimum(start + reach, start + 5.0))
    found, values, shrink = [start], [float(likelihood.twice_nll_points(start[None, :])[0])], 1.0
    for _ in range(_TRIES):
        if len(found) == n_points or not np.isfinite(values[0]):
            break
        draw = start + shrink * (rng.uniform(low, high) - start)
        draw = np.where(fixed, start, draw)
        value = float(likelihood.twice_nll_points(draw[None, :])[0])
        if np.isfinite(value):
            found.append(draw)
            values.append(value)
        else:
            shrink *= 0.9
    if len(found) < n_points:
        what = "points to compare the RooFit workspace at"
        remedy = "give the parameters starting values and ranges at which every bin and event expects something"
        raise PhysicsDomainError(what, got=f"{len(found)} allowed ones", expected=str(n_points), remedy=remedy)
    columns = np.stack(found, axis=1)
    return {**{safe(p.name): column for p, column in zip(parameters, columns, strict=True)}, "twice_nll": np.array(values)}


def root_command(macro: Path) -> list[str] | None:
    """Return the command that runs a macro with ROOT, None where there is none: `H4L_ROOT_PYTHON`, else this interpreter."""
    named = os.environ.get(ROOT_PYTHON)
    run = f"import ROOT, sys; ROOT.gROOT.LoadMacro({str(macro)!r}); sys.exit(getattr(ROOT, {macro.stem!r})(sys.argv[1]))"
    if named:
        return [named, "-c", run]
    if _has_root():
        return [sys.executable, "-c", run]
    return None


def _has_root() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415

    return find_spec("ROOT") is not None


def _run(command: list[str], macro: Path, built: Path) -> Path:
    """Run the macro; the workspace file is there only if its numbers agree."""
    with atomic_path(built) as path:
        done = subprocess.run([*command, str(path)], cwd=macro.parent, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        if done.returncode != 0 or not path.is_file():
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            what = f"RooFit workspace of {macro}"
            raise ArtifactMismatchError(what, got=tail, expected="the likelihood of the toolkit", remedy="check the installation of ROOT")
    return built


def _write_trees(path: Path, tables: dict[str, Table]) -> None:
    with uproot.recreate(path) as file:
        for name, table in tables.items():
            tree = file.mktree(name, dict.fromkeys(table, np.float64))
            tree.extend({key: np.ascontiguousarray(values, dtype=np.float64) for key, values in table.items()})


_MAIN = """
// Run with: root -l -b -q '@NAME@.C("@NAME@_roofit.root")' in the folder of the file of events.
int @NAME@(const char *out = "@NAME@_roofit.root", const char *events = "@NAME@_events.root")
{
   h4l::Model m("@NAME@", events);
@BODY@
   return m.write(out);
}
"""
