"""The command validate on the output folder of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from toolkit.cli.screen import Screen
from toolkit.cli.wording import count
from toolkit.errors import SchemaError

if TYPE_CHECKING:
    from toolkit.pipeline.validation import RunCheck


def validate_run(folder: Path, *, data: str | None, screen: Screen) -> None:
    """Compare the files of a run with their checksums, evaluate the reference rows of its networks, and print what was found.

    Args:
        folder: Output folder of a run, or an unpacked bundle.
        data: Must be None: a finished run has no `{data}`.
        screen: How much is shown, and in which form.
    """
    with screen.explained():
        from toolkit.pipeline.validation import check_run

        if data is not None:
            raise SchemaError("--data", got=str(data), expected="no --data with the folder of a run", remedy="leave it out")
        reporter = screen.reporter()
        try:
            found = check_run(folder, progress=reporter.progress)
        finally:
            reporter.close()
        screen.result({"valid": True, "path": folder, **_document(found)}, *_text(folder, found))


def _document(found: RunCheck) -> dict[str, object]:
    return {
        "files": found.files,
        "references": found.references,
        "without_checksum": found.without_checksum,
        "without_reference": found.without_reference,
    }


def _text(folder: Path, found: RunCheck) -> Iterator[RenderableType]:
    if found.references:
        table = Table(title="reference rows", title_justify="left")
        for column in ("network", "rows", "largest difference", "tolerance"):
            table.add_column(column, justify="left" if column == "network" else "right")
        for name, check in found.references.items():
            largest = max(check.log_ratio, check.log_ratio_spread or 0.0)
            table.add_row(name, str(check.rows), f"{largest:.2g}", f"{check.tolerance:g}")
        yield table
    yield f"{count(found.files, 'file')} of {folder} unchanged, {count(len(found.references), 'network')} as in training."
    for names, lacks in ((found.without_checksum, "no checksum: nothing says whether"), (found.without_reference, "no reference rows:")):
        if names:
            what = f"{lacks} they are as they were written" if lacks.startswith("no checksum") else f"{lacks} not evaluated"
            yield f"look at {'this' if len(names) == 1 else 'these'} again, {what}: {', '.join(names)}"
