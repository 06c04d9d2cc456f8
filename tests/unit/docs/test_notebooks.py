"""The notebooks run from top to bottom, and print what they hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "notebooks"
RUNNER = """
import json, pathlib, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell, printed = InteractiveShell.instance(), []
for cell in json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        with capture_output() as captured:
            done = shell.run_cell("".join(cell["source"]), silent=True)
        done.raise_error()
        assert not captured.stderr, captured.stderr
        printed.append(captured.stdout)
print(json.dumps(printed))
"""


def run(notebook: Path, folder: Path) -> list[str]:
    """Execute the cells in one process and return what each printed."""
    environment = {**os.environ, "IPYTHONDIR": str(folder), "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(notebook)], capture_output=True, text=True, check=False, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [str(text) for text in json.loads(done.stdout.splitlines()[-1])]


def stored(notebook: Path) -> list[str]:
    """Return what the cells printed when the notebook was executed last."""
    cells = [c for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    return ["".join("".join(o["text"]) for o in cell["outputs"] if o.get("name") == "stdout") for cell in cells]


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+\.\d+|-?\d+", text)]


@pytest.mark.parametrize("notebook", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_outputs_are_small_and_name_no_path(notebook: Path) -> None:
    text = notebook.read_text(encoding="utf-8")
    assert len(text) < 200_000
    outputs = [o for c in json.loads(text)["cells"] for o in c.get("outputs", [])]
    assert outputs
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert not re.search(r"/(tmp|home|root|work|usr)/", text)


@pytest.mark.torch
def test_the_likelihoods(tmp_path: Path) -> None:
    notebook = FOLDER / "likelihood.ipynb"
    found, expected = run(notebook, tmp_path), stored(notebook)
    assert len(found) == len(expected)
    for now, then in zip(found, expected, strict=True):
        assert numbers(now) == pytest.approx(numbers(then), abs=0.011), now


@pytest.mark.slow
@pytest.mark.torch
def test_the_whole_chain(tmp_path: Path) -> None:
    """Yields and histogram fits are the stored ones; what comes from trained networks differs by the processor."""
    notebook = FOLDER / "chain.ipynb"
    found, expected = run(notebook, tmp_path), stored(notebook)
    for now, then in zip(found, expected, strict=True):
        lines = [(a, b) for a, b in zip(now.splitlines(), then.splitlines(), strict=True) if not a.startswith(("nsbi", "true"))]
        for a, b in lines:
            assert a == b
    fits = next(text for text in found if "nsbi" in text)
    best, t0 = (float(re.split(word, fits.split("nsbi")[1])[1].split()[0]) for word in ("best fit", r"t\(0\)"))
    assert abs(best - 1.0) < 0.8
    assert 0.6 < t0 < 2.2
