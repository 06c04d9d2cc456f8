"""The commands that look without running: inspect, validate and version."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from toolkit.cli.doubts import doubts
from toolkit.cli.screen import Screen
from toolkit.cli.wording import count, size
from toolkit.errors import SchemaError
from toolkit.typing import JsonObject

if TYPE_CHECKING:
    from processors.inputs import SampleInputs
    from processors.inspect import FileReport, TreeReport
    from processors.snippets import Findings
    from toolkit.config import Config


def inspect_file(file: str, screen: Screen) -> None:
    """Print what an ntuple holds.

    Args:
        file: The ntuple: a path, a URL, or a pattern or list that holds one.
        screen: How much is shown, and in which form.
    """
    with screen.explained():
        from processors.filelists import expand
        from processors.inspect import inspect_file as inspect_ntuple

        listed, _ = expand([file], what=f"input file {file}")
        if len(listed) > 1:
            raise SchemaError(
                f"FILE {file}", got=f"{len(listed)} files", expected="one file", remedy=f"h4l inspect {shlex.quote(str(listed[0].file))}"
            )
        report = inspect_ntuple(listed[0].file)
        if screen.as_json:
            screen.document(report_document(report))
        else:
            screen.show(*_report_text(report))


def report_document(report: FileReport) -> JsonObject:
    """Return what was found in a file as JSON-like values."""
    found = report.findings
    document: JsonObject = {
        "path": report.path,
        "size_bytes": report.size,
        "layout": report.layout,
        "tree": report.tree,
        "missing": report.missing,
        "normalisation": report.normalisation,
        "trees": report.trees,
        "config": report.snippet,
        "first_events": None,
    }
    if found is not None:
        document["first_events"] = {
            "read": found.looked_at,
            "kind": "unknown" if found.candidates else "data" if found.data else "simulation",
            "weight_candidates": found.candidates,
            "momentum_unit": _momentum_unit(found),
            "with_four_leptons": found.census.four,
            "pass_default_selection": found.selected[0],
            "pass_open_selection": found.selected[1],
        }
    return document


def _report_text(report: FileReport) -> Iterator[RenderableType]:
    yield f"{report.path}: {size(report.size)}, layout: {report.layout}"
    if report.missing:
        yield f"not the nanoaod layout, which also has: {', '.join(report.missing)}"
    if report.findings is not None:
        yield _first_events(report.findings)
    yield from (_branch_table(tree) for tree in report.trees)
    yield from (f"{name}: {value:g}" for name, value in report.normalisation.items())
    yield Text("\nconfig to start from (`h4l init` writes a complete one, for several files):\n")
    yield Text(report.snippet)


def _momentum_unit(findings: Findings) -> str:
    return str(getattr(findings.layout, "momentum_unit", "GeV"))


def _first_events(findings: Findings) -> str:
    kind = "data (no weights)" if findings.data else "simulation"
    if findings.candidates:
        kind = f"simulation or data: which branch is the weight? {', '.join(findings.candidates)}, or none"
    four, n = findings.census.four, findings.looked_at
    leptons = f"{four} of the first {n} events have four leptons, {findings.selected[0]} pass the default selection"
    return f"{kind}, momenta in {_momentum_unit(findings)}; {leptons}"


def _branch_table(tree: TreeReport) -> Table:
    title = f"{tree.name or 'events'}: {count(tree.entries, 'entry')}, {count(len(tree.branches), 'branch')}"
    table = Table(title=title, title_justify="left")
    for column in ("branch", "type", "remark"):
        table.add_column(column, overflow="fold")
    for name, kind in tree.branches.items():
        lengths = tree.weight_lengths.get(name)
        remark = f"weight vector of length {' or '.join(str(n) for n in lengths)}" if lengths else ""
        remark += f": {' '.join(tree.weight_names[name])}" if name in tree.weight_names else ""
        table.add_row(name, kind, remark + (", all zero" if name in tree.zero_weights else ""))
    return table


def validate_config(config_file: Path, *, data: str | None, screen: Screen) -> None:
    """Check a config and its input files, and print what was found.

    Args:
        config_file: YAML file.
        data: Folder that replaces `{data}` in the config.
        screen: How much is shown, and in which form.
    """
    with screen.explained():
        from toolkit.config import load_config

        config = load_config(config_file, data=data)
        samples, observables = check_config(config)
        found = doubts(config)
        text = f"{count(len(observables), 'observable')}, {count(len(config.ratios.features), 'feature')}. {config_file} is valid"
        text += f", but look at {'this' if len(found) == 1 else 'these'} again:" if found else "."
        notes = [note for sample in samples for note in sample.notes]
        document = {**validation_document(config, samples, observables), "doubts": found, "notes": notes}
        screen.result(
            document, samples_table(config, samples), text, *(f"  {sentence}" for sentence in found), *(f"note: {note}" for note in notes)
        )


def check_config(config: Config) -> tuple[tuple[SampleInputs, ...], Sequence[str]]:
    """Open every input file and check it against the config.

    Returns:
        What was found for each sample, and the observables that are written.
    """
    from processors.inputs import inspect_inputs
    from processors.observables import written_observables

    config.require_supported()
    if any(region.kind == "workspace" for region in config.regions.values()):
        from toolkit.analysis.others import workspaces_of_others

        workspaces_of_others(config)
    observables = written_observables(config)
    return inspect_inputs(config), observables


def validation_document(config: Config, samples: Sequence[SampleInputs], observables: Sequence[str]) -> JsonObject:
    """Return what `validate` found as JSON-like values."""
    from processors.inputs import with_varied

    return {
        "valid": True,
        "name": config.name,
        "luminosity_ifb": config.luminosity_used,
        "observables": observables,
        "features": config.ratios.features,
        "samples": [
            {
                "name": sample.config.name,
                "kind": sample.config.kind,
                "files": [file.path for file in sample.files],
                "entries": sample.entries,
                "xsec_pb": sample.xsec_pb,
                "k_factor": sample.config.k_factor,
                "sumw": sample.sumw,
                "benchmarks": sample.config.benchmarks,
                "variation": sample.variation,
            }
            for sample in with_varied(samples)
        ],
    }


def samples_table(config: Config, samples: Sequence[SampleInputs]) -> Table:
    """Lay out the samples of a config and their normalisation, with the files of variations."""
    from processors.inputs import with_varied

    at = "" if config.luminosity_used is None else f": {config.luminosity_used:g}/fb"
    table = Table(title=f"{config.name}{at}", title_justify="left")
    for column in ("sample", "files", "entries", "xsec (pb)", "k-factor", "sum of weights", "benchmarks"):
        text = column in {"sample", "benchmarks"}
        table.add_column(column, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for sample in with_varied(samples):
        table.add_row(
            sample.name + ("" if sample.config.kind == "simulation" else f" ({sample.config.kind})"),
            str(len(sample.files)),
            str(sample.entries),
            _number(sample.xsec_pb),
            f"{sample.config.k_factor:g}",
            _number(sample.sumw),
            " ".join(sample.config.benchmarks) or "-",
        )
    return table


def show_version(screen: Screen) -> None:
    """Print the versions of the toolkit, Python and the libraries that results depend on."""
    with screen.explained():
        from toolkit.pipeline.stages.provenance import library_versions

        versions = library_versions()
        table = Table(show_header=False, box=None, pad_edge=False)
        for name, version in versions.items():
            table.add_row(name, version)
        screen.result({"versions": versions}, table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
