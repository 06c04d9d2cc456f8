"""Execute the notebooks of the site and keep small outputs in them: `python docs/execute_notebooks.py` after changing one.

Needs the extra `docs`. Execution counts, timestamps and names of temporary folders are removed, so that a notebook
changes only where its code or its results do.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent / "notebooks"
PATHS = re.compile(r"(?:/[\w.+-]+)+/(?=[\w.+-])")


def execute(path: Path) -> None:
    """Execute one notebook in place."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, resources={"metadata": {"path": FOLDER}}).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            clean(cell)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(notebook, path)


def clean(cell: nbformat.NotebookNode) -> None:
    """Remove what differs from run to run from the outputs of a cell."""
    cell.execution_count = None
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = None
        if "text" in output:
            output.text = PATHS.sub("", output.text)
        for kind in ("text/plain", "text/html"):
            if kind in output.get("data", {}):
                output.data[kind] = PATHS.sub("", output.data[kind])


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(FOLDER.glob("*.ipynb")):
        execute(Path(name))
