"""The commands that look without running: inspect and validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from toolkit.cli.console import output_console
from toolkit.cli.failures import explained
from toolkit.config import load_config

if TYPE_CHECKING:
    from processors.inspect import TreeReport
    from processors.snippets import Findings


def inspect_file(file: Path, *, debug: bool) -> None:
    """Print what an ntuple holds.

    Args:
        file: The ntuple.
        debug: Show tracebacks.
    """
    with explained(debug=debug):
        from processors.inspect import inspect_file as inspect_ntuple

        report = inspect_ntuple(file)
        console = output_console()
        console.print(f"{report.path}: {report.size / 1e6:.1f} MB, layout: {report.layout}", soft_wrap=True, highlight=False)
        if report.missing:
            console.print(f"not the nanoaod layout, which also has: {', '.join(report.missing)}", soft_wrap=True, highlight=False)
        if report.findings is not None:
            console.print(_first_events(report.findings), soft_wrap=True, highlight=False)
        for tree in report.trees:
            console.print(_branch_table(tree))
        for name, value in report.normalisation.items():
            console.print(f"{name}: {value:g}", highlight=False)
        console.print("\nconfig to start from:\n", highlight=False)
        console.print(Text(report.snippet), soft_wrap=True)


def _first_events(findings: Findings) -> str:
    unit = getattr(findings.layout, "momentum_unit", "GeV")
    kind = "recorded data (no weights)" if findings.data else "simulation"
    four, n = findings.census.four, findings.looked_at
    return f"{kind}, momenta in {unit}; {four} of the first {n} events have four leptons, {findings.selected[0]} pass the default selection"


def _branch_table(tree: TreeReport) -> Table:
    table = Table(title=f"{tree.name or 'events'}: {tree.entries} entries, {len(tree.branches)} branches", title_justify="left")
    for column in ("branch", "type", "remark"):
        table.add_column(column, overflow="fold")
    for name, kind in tree.branches.items():
        lengths = tree.weight_lengths.get(name)
        remark = f"weight vector of length {' or '.join(str(n) for n in lengths)}" if lengths else ""
        remark += f": {' '.join(tree.weight_names[name])}" if name in tree.weight_names else ""
        table.add_row(name, Text(kind), remark + (", all zero" if name in tree.zero_weights else ""))
    return table


def validate_config(config_file: Path, *, data: Path | None, debug: bool) -> None:
    """Check a config and its input files, and print what was found.

    Args:
        config_file: YAML file.
        data: Folder that replaces `{data}` in the config.
        debug: Show tracebacks.
    """
    with explained(debug=debug):
        from processors.inputs import inspect_inputs
        from processors.observables import written_observables
        from toolkit.weights.configured import configured_morphing

        config = load_config(config_file, data=data)
        configured_morphing(config.morphing, parameter=config.parameter.name)
        observables = written_observables(config)
        samples = inspect_inputs(config)
        table = Table(title=f"{config.name}: {config.luminosity_ifb:g}/fb")
        for column in ("sample", "files", "entries", "cross-section [pb]", "k-factor", "sum of weights", "benchmarks"):
            table.add_column(column, justify="left" if column in {"sample", "benchmarks"} else "right")
        for sample in samples:
            table.add_row(
                sample.config.name + (" (data)" if sample.config.kind == "data" else ""),
                str(len(sample.files)),
                str(sample.entries),
                _number(sample.xsec_pb),
                f"{sample.config.k_factor:g}",
                _number(sample.sumw),
                " ".join(sample.config.benchmarks) or "-",
            )
        console = output_console()
        console.print(table)
        console.print(f"{len(observables)} observables, {len(config.ratios.features)} features. {config_file} is valid.", soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
