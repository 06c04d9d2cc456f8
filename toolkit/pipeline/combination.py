"""Runs a combination in an output folder: what is finished and unchanged is kept, results appear when they are complete."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import __version__
from toolkit.analysis.combination import Combination
from toolkit.analysis.combination_parts import Part
from toolkit.analysis.combination_results import Agreement, measure_combination
from toolkit.analysis.layout import PLOTS, REPORT, RESULTS, WORKSPACE
from toolkit.artifacts.atomic import make_folder, write_json, write_text
from toolkit.artifacts.checksums import write_checked_json
from toolkit.artifacts.hashing import file_sha256, stage_key
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import CombineConfig
from toolkit.errors import SchemaError
from toolkit.likelihood import Results, Workspace
from toolkit.model.parameterisations import SYMBOLS
from toolkit.pipeline.code import code_digest, module_digests
from toolkit.pipeline.lock import folder_lock
from toolkit.pipeline.unfinished import folder_of_key
from toolkit.plots import PlotStyle
from toolkit.report import read_results, write_page, write_results
from toolkit.report.combination_pages import combination_jobs, combination_page
from toolkit.report.drawing import draw_all
from toolkit.report.hepdata import hepdata_tables
from toolkit.report.interpretation import combination_views
from toolkit.report.wording import method_name, number, probability
from toolkit.typing import JsonObject, Progress, silent_progress

MANIFEST, UNFINISHED, HEPDATA = "manifest.json", ".combine", "hepdata"
KIND = "combination"
"""What the manifest of a combination says it is; that of a run has no such entry."""


@dataclass(frozen=True)
class CombinationOutcome:
    """What became of a combination.

    Attributes:
        results: The results.
        first: Name of the fit of the results themselves.
        ran: Whether it was made now; otherwise it was finished and unchanged.
    """

    results: Results
    first: str
    ran: bool


def run_combination(config: CombineConfig, out: Path, *, progress: Progress = silent_progress) -> CombinationOutcome:
    """Combine, and write `workspace/`, `plots/`, `hepdata/`, the page, results.json and manifest.json.

    Args:
        config: The combination.
        out: Output folder.
        progress: Told how far it is.

    Raises:
        InputFileError, SchemaError, ArtifactMismatchError: A part is missing, damaged, or does not fit the others.
    """
    if (out / MANIFEST).is_file() and _manifest(out).get("kind") != KIND:
        raise SchemaError("--out", got=f"{out}, the folder of a run", expected="a folder of its own", remedy="name another folder")
    combination = Combination.open(config)
    first, luminosity = combination.fits[0].name, combination.luminosity_ifb
    inputs = {part.name: [_described(path) for path in part.files] for part in combination.parts}
    key = stage_key({"config": _content(config), "inputs": inputs, "code": code_digest(module_digests([__name__]))})
    make_folder(out)
    with folder_lock(out / ".lock"):
        if _manifest(out).get("key") == key and _complete(out):
            return CombinationOutcome(read_results(out / RESULTS), first, ran=False)
        folder = folder_of_key(out / UNFINISHED, key)
        work, tasks = make_folder(folder / "files"), FinishedTasks(folder / "tasks")
        workspaces = _workspaces(combination, out, work)
        results, agreements = measure_combination(combination, workspaces, tasks=tasks, progress=progress)
        _write_pages(combination, results, agreements, work, luminosity, progress=progress)
        written = sorted(str(path.relative_to(work)) for path in work.rglob("*") if path.is_file())
        (out / MANIFEST).unlink(missing_ok=True)
        _publish(work, out)
        write_json(out / MANIFEST, _provenance(config, inputs, key, {name: file_sha256(out / name) for name in written}))
        shutil.rmtree(folder.parent, ignore_errors=True)
    return CombinationOutcome(results, first, ran=True)


def _workspaces(combination: Combination, out: Path, work: Path) -> dict[tuple[str, bool], Workspace]:
    """Write the joint workspaces, whose file names are relative to where they end up."""
    make_folder(work / WORKSPACE)
    make_folder(out / WORKSPACE)  # a path through it is one only if it is there
    found = {}
    for method in combination.methods:
        for observed in (False, True) if combination.config.observed else (False,):
            joint = combination.workspace(method, observed=observed, folder=out / WORKSPACE)
            write_checked_json(work / WORKSPACE / f"{method}{'_observed' * observed}.json", joint.document)
            found[method, observed] = Workspace(joint.document, (out / WORKSPACE).resolve())
    return found


def _write_pages(
    combination: Combination, results: Results, agreements: Sequence[Agreement], work: Path, luminosity: float, *, progress: Progress
) -> None:
    """Write plots, tables, the page and the results."""
    config, first = combination.config, combination.fits[0].name
    views = combination_views(results, first)
    look = config.report
    style = PlotStyle(
        look.style,
        status=look.status,
        note=look.status,
        luminosity_ifb=luminosity,
        energy_tev=look.energy_tev,
        parameters=_symbols(combination),
    )
    figures = draw_all(tuple(combination_jobs(views, style=style)), folder=work / PLOTS, progress=progress)
    for name, view in views.items():
        for file, text in hepdata_tables(view, binned={}, edges={}, title=f"{config.name}, {name}").items():
            write_text(make_folder(work / HEPDATA / name) / file, text)
    page = combination_page(
        results,
        first=first,
        express={fit.name: fit.express for fit in combination.fits},
        figures=figures,
        parts=[_row(combination, part) for part in combination.parts],
        agreement=[_compared(a) for a in agreements],
        scales={fit.name: fit.lambda_tev for fit in combination.fits if fit.lambda_tev is not None},
        title=config.name,
        gamma_sm_mev=config.gamma_sm_mev,
        made=__version__,
    )
    write_page(work / REPORT, page)
    own = {f.name: {"express": dict(f.express), "interest": list(f.interest), "linear": f.linear} for f in combination.fits}
    extras = {"fit": first, "combined_fits": own, "gamma_sm_mev": config.gamma_sm_mev, "parts": list(config.parts)}
    extras["agreement"] = [a.to_json() for a in agreements]
    write_results(work / RESULTS, results, extras=extras)


def _symbols(combination: Combination) -> dict[str, str]:
    """Return the symbols of parameters in plots, in TeX: those of the config, and those of strengths and ready-made parameters."""
    ready = {p.name: p.label for fit in combination.fits for p in fit.parameters if p.label}
    strengths = {name: symbol for name, symbol in SYMBOLS.items() if name in combination.parameters}
    return {**strengths, **ready, **{name: section.label for name, section in combination.config.parameters.items() if section.label}}


def _row(combination: Combination, part: Part) -> tuple[str, str, str, str]:
    """Describe a part: name, kind, observed and expected events; those of data that are blinded stay unknown."""
    section = combination.config.parts[part.name]
    seen, expected = part.counts(combination.own_truth(part))
    return part.name, section.kind, str(seen) if combination.config.observed else "-", f"{expected:.1f}" if expected else "-"


def _compared(agreement: Agreement) -> tuple[str, ...]:
    data = "observed" if agreement.observed else "expected"
    numbers = (number(agreement.twice_delta_nll), str(agreement.degrees), probability(agreement.p_value))
    return (agreement.fit, method_name(agreement.method), data, *numbers)


def _content(config: CombineConfig) -> JsonObject:
    """Return what the results depend on: files count by their content, not by where they are."""
    document = config.model_dump(mode="json")
    for part in document["parts"].values():
        part["run"] = part["workspace"] = ""
        part["runs"] = list(part["runs"])
        if part["events"] is not None:
            part["events"]["folder"] = ""
    return document


def _described(path: Path) -> JsonObject:
    return {"name": path.name, "sha256": file_sha256(path)}


def _manifest(out: Path) -> JsonObject:
    """Return the manifest of a finished combination; empty if there is none that can be read."""
    try:
        found: Any = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _complete(out: Path) -> bool:
    """Return whether all files of a finished combination are as they were written."""
    return all((out / name).is_file() and file_sha256(out / name) == digest for name, digest in _manifest(out)["files"].items())


def _publish(work: Path, out: Path) -> None:
    """Move the finished files to their places, in place of older ones."""
    for path in sorted(work.iterdir()):
        target = out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)


def _provenance(config: CombineConfig, inputs: Mapping[str, Any], key: str, files: Mapping[str, str]) -> JsonObject:
    versions = {"h4l-toolkit": __version__, "python": platform.python_version()}
    made = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return {
        "kind": KIND,
        "key": key,
        "config": _content(config),
        "inputs": dict(inputs),
        "versions": versions,
        "made": made,
        "files": dict(files),
    }
