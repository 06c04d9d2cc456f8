"""What a run has done: a table of its stages, the comparison of the methods, and where the files are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from toolkit.cli.wording import duration, size
from toolkit.typing import JsonObject

if TYPE_CHECKING:
    from toolkit.likelihood.results import MethodResult, Results
    from toolkit.pipeline import StageOutcome

FILES = {
    "report": "report.html",
    "results": "results.json",
    "plots": "plots",
    "workspaces": "workspace",
    "networks": "models/mixture.onnx",
    "classifiers": "models/classifiers.json",
    "event tables": "events",
    "provenance": "manifest.json",
}
"""What a reader looks for first, by name; relative to the output folder."""


def stage_table(out: Path, outcomes: Sequence[StageOutcome]) -> Table:
    """Lay out the stages of a run: what became of each, the time that its result took, and its size on disk."""
    from toolkit.pipeline.stamps import read_stamp

    table = Table(title="stages", title_justify="left")
    for name in ("stage", "this run", "time", "files", "size"):
        table.add_column(name, justify="left" if name in {"stage", "this run"} else "right", no_wrap=True)
    for outcome in outcomes:
        stamp = read_stamp(out, outcome.stage)
        sizes = [entry.size for entry in stamp.outputs.values()] if stamp else []
        done = "done" if outcome.status == "ran" else "unchanged"
        table.add_row(outcome.stage, done, duration(outcome.seconds), str(len(sizes)), size(sum(sizes)))
    spent = sum(outcome.seconds for outcome in outcomes if outcome.status == "ran")
    table.add_section()
    table.add_row("all", f"{sum(o.status == 'ran' for o in outcomes)} of {len(outcomes)} ran", duration(spent), "", "")
    return table


def results_text(out: Path, outcomes: Sequence[StageOutcome]) -> Iterator[RenderableType]:
    """Yield the comparison of all methods or, after one stage alone, cut flow or classifiers; then where the results are."""
    last = outcomes[-1].stage
    if last == "report":
        from toolkit.report import Comparison, read_results

        results = read_results(out / "results.json")
        yield Comparison(results)
        notes = (*_cutflow_notes(out), *_training_notes(out), *results.notes, *_left_out_notes(out))
        yield from (Text(f"note: {note}") for note in notes)
        found = {name: out / path for name, path in FILES.items() if (out / path).exists()}
        yield from (f"{name + ':':<13} {path}" for name, path in found.items())
        return
    if last == "process" and (out / "cutflow.json").is_file():
        from toolkit.report import CutflowTables

        yield CutflowTables.read(out / "cutflow.json")
    if last == "classify":
        yield from _classifier_tables(out / FILES["classifiers"])
    if last in ("classify", "train"):
        yield from (Text(f"note: {note}") for note in _training_notes(out))
    yield f"results of {last}: {out}"


def _classifier_tables(path: Path) -> Iterator[RenderableType]:
    """Yield a table of scores for every question that classifiers answer; nothing where the config has none."""
    if not path.is_file():
        return
    from toolkit.diagnostics.score_comparison import ScoreComparison
    from toolkit.report.classifier_pages import comparison_table

    for part in json.loads(path.read_text(encoding="utf-8"))["comparisons"]:
        page = comparison_table(ScoreComparison.from_json(part))
        table = Table(title=page.title, title_justify="left")
        for k, name in enumerate(page.columns):
            table.add_column(name, justify="right" if k else "left", no_wrap=True)
        for row in page.rows:
            table.add_row(*row)
        yield table


def _cutflow_notes(out: Path) -> Sequence[str]:
    """Return what the input files leave open."""
    from toolkit.report import CutflowTables

    if not (out / "cutflow.json").is_file():
        return ()
    notes: Sequence[str] = CutflowTables.read(out / "cutflow.json").document.get("notes", ())
    return notes


def _training_notes(out: Path) -> Sequence[str]:
    """Return what the trainings noticed first; the report lists what they noticed of each member."""
    from toolkit.pipeline.training_notes import further_training_notes, training_notes

    return (*training_notes(out), *further_training_notes(out))


def _left_out_notes(out: Path) -> Sequence[str]:
    """Return what the unbinned fit does not know of the variations."""
    from toolkit.report.left_out import left_out_notes

    path = out / "workspace" / "left_out.json"
    return left_out_notes(json.loads(path.read_text(encoding="utf-8"))["variations"]) if path.is_file() else ()


def results_document(out: Path, outcomes: Sequence[StageOutcome]) -> JsonObject:
    """Return what a run has done as JSON-like values: the stages, the files, and the headline of every method.

    Args:
        out: The output folder.
        outcomes: What became of the stages.

    Returns:
        `{"out", "stages", "files", "summary"}`; the summary is null unless the report is among the stages.
    """
    document: JsonObject = {
        "out": out,
        "stages": outcomes,
        "files": {name.replace(" ", "_"): out / path for name, path in FILES.items() if (out / path).exists()},
        "summary": None,
    }
    if outcomes[-1].stage == "report":
        from toolkit.report import read_results

        document["summary"] = _headlines(read_results(out / "results.json"))
    return document


def _headlines(results: Results) -> JsonObject:
    from toolkit.report import judge

    closures = {(verdict.method, verdict.parameter): verdict.word for verdict in judge(results)}
    methods = {name: {**_headline(result), "closure": closures.get((name, results.poi))} for name, result in results.methods.items()}
    for parameter in results.interest if len(results.interest) > 1 else ():
        for name, result in results.of(parameter).methods.items():
            own = {**_headline(result), "closure": closures.get((name, parameter))}
            methods[name].setdefault("parameters", {})[parameter] = own
    document = {"poi": results.poi, "asimov": dict(results.asimov), "luminosity_ifb": results.luminosity_ifb, "methods": methods}
    if results.observed is None:
        return document
    observed = {name: _headline(result) for name, result in results.observed.methods.items()}
    return {**document, "observed": {"n_events": results.observed.n_events, "methods": observed}}


def _headline(result: MethodResult) -> JsonObject:
    intervals = {f"interval_{level}": [[i.low, i.high] for i in getattr(result, f"interval_{level}")] for level in (68, 95)}
    return {"best_fit": result.mu_hat, "twice_nll_at_0": result.twice_nll_at_0, **intervals}
