"""The command export-roofit."""

from __future__ import annotations

import json
from pathlib import Path

from toolkit.cli.screen import Screen
from toolkit.errors import InputFileError


def export_roofit(source: Path, out: Path | None, *, methods: tuple[str, ...], screen: Screen) -> None:
    """Write macro, events and RooFit workspace of the likelihoods of a run, or of one workspace file."""
    with screen.explained():
        from exports.roofit import ROOT_PYTHON, write_roofit
        from toolkit.likelihood import Workspace

        files = _workspaces(source, methods) if source.is_dir() else {source.stem: source}
        folder = out or (source / "roofit" if source.is_dir() else source.parent / "roofit")
        loaded = {name: Workspace.load(file) for name, file in files.items()}
        written = {name: write_roofit(w, folder, name=name) for name, w in loaded.items()}
        lines = []
        for export in written.values():
            if export.workspace is not None:
                lines.append(f"{export.workspace} agrees with the likelihood at the reference points")
            else:
                lines.append(f"cd {folder} && root -l -b -q {export.macro.name}")
        if any(export.workspace is None for export in written.values()):
            screen.note(f"no ROOT here ({ROOT_PYTHON} names a Python that has it): the macros build the workspaces where there is one")
        document = {name: {"macro": e.macro, "events": e.events, "workspace": e.workspace} for name, e in written.items()}
        screen.result({"folder": folder, "workspaces": document}, *lines)


def _workspaces(run: Path, methods: tuple[str, ...]) -> dict[str, Path]:
    """Return the workspace files of a run by method: those asked for, or all that RooFit can hold."""
    folder = run / "workspace"
    found = {p.stem: p for p in sorted(folder.glob("*.json")) if not p.name.endswith(".pyhf.json") and _is_workspace(p)}
    unknown = [name for name in methods if name not in found]
    if unknown or not found:
        got = f"no workspace of {unknown}" if found else "no workspaces"
        expected = f"some of {sorted(found)}" if found else "those that h4l fit writes"
        raise InputFileError(
            f"{folder}", got=got, expected=expected, remedy="name the output folder of a finished run, or a workspace file"
        )
    return {name: found[name] for name in methods or found}


def _is_workspace(path: Path) -> bool:
    """Whether a JSON file holds a likelihood; the tables of the fit stage lie beside the workspaces."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "measurements" in document
