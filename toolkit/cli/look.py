"""The commands that look without running: inspect and validate."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from toolkit.cli.failures import explained
from toolkit.cli.tables import output_console
from toolkit.config import load_config


def inspect_file(file: Path, *, debug: bool) -> None:
    """Print what an ntuple holds.

    Args:
        file: The ntuple.
        debug: Show tracebacks.
    """
    with explained(debug=debug):
        raise NotImplementedError


def validate_config(config_file: Path, *, data: Path | None, debug: bool) -> None:
    """Check a config and its input files, and print what was found.

    Args:
        config_file: YAML file.
        data: Folder that replaces `{data}` in the config.
        debug: Show tracebacks.
    """
    with explained(debug=debug):
        from processors.inputs import inspect_inputs, written_observables

        config = load_config(config_file, data=data)
        observables = written_observables(config)
        samples = inspect_inputs(config)
        table = Table(title=f"{config.name}: {config.luminosity_ifb:g}/fb")
        for column in ("sample", "files", "entries", "cross-section [pb]", "k-factor", "sum of weights", "benchmarks"):
            table.add_column(column, justify="left" if column in {"sample", "benchmarks"} else "right")
        for sample in samples:
            table.add_row(
                sample.config.name,
                str(len(sample.files)),
                str(sample.entries),
                f"{sample.xsec_pb:.6g}",
                f"{sample.config.k_factor:g}",
                f"{sample.sumw:.6g}",
                " ".join(sample.config.benchmarks) or "-",
            )
        console = output_console()
        console.print(table)
        console.print(f"{len(observables)} observables, {len(config.ratios.features)} features. {config_file} is valid.", soft_wrap=True)
