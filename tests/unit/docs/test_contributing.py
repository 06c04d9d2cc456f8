"""The change that CONTRIBUTING.md shows as an example: it applies to the code as it is, to four files, and does what the text says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DIFF = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("<!-- kind:begin -->\n```diff\n")[1].split("```\n<!-- kind:end -->")[0]
PROGRAM = """
import numpy as np
from pathlib import Path
from processors.observables import written_observables
from tests.unit.analysis import two_regions as toy
from toolkit.config import parse_config

document = toy.document_of()
document["regions"]["CR"] = {"kind": "quantiles", "condition": "m4l <= 112", "quantiles": ["y4l", 3]}
config = parse_config(document, folder=Path())
assert "y4l" in written_observables(config)
events = [toy.simulate(seed) for seed in (1, 2)]
for seed, e in enumerate(events):
    e.observables["y4l"] = np.random.default_rng(seed).normal(size=len(e))
method = toy.methods_of(config, *events)[-1]
[region] = [part.method for part in method.parts if part.region.name == "CR"]
expected = region.templates.values.sum(axis=0)
assert expected.shape == (3,), expected
np.testing.assert_allclose(expected, expected.mean(), rtol=0.01)
fit = method.likelihood(events[1].weights.sum(axis=1)).fit()
assert abs(fit.parameters["t"] - 1.0) < 0.05, fit
print("fitted")
"""


def changes() -> dict[str, list[tuple[str, str]]]:
    """Return (old, new) of every hunk, by file."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in re.split(r"^--- a/", DIFF, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        hunks = [h.splitlines() for h in re.split(r"^@@[^\n]*@@\n", rest, flags=re.MULTILINE)[1:]]
        sides = [["\n".join(line[1:] for line in h if line[:1] != mark) + "\n" for mark in "+-"] for h in hunks]
        found[name] = [(old, new) for old, new in sides]
    return found


def test_a_new_kind_of_region_touches_four_source_files(tmp_path: Path) -> None:
    assert len(changes()) == 4
    for package in ("toolkit", "processors", "exports", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.root", "__pycache__"))
    for name, hunks in changes().items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        for old, new in hunks:
            assert text.count(old) == 1, f"{name} no longer has\n{old}"
            text = text.replace(old, new)
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "fitted", done.stderr
