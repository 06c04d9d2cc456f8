"""The change that CONTRIBUTING.md shows as an example: it applies to the code as it is, to four files, and does what the text says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
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
ESTIMATOR = """
import tempfile
from pathlib import Path
import numpy as np
from pydantic import TypeAdapter
from tests.unit.ratios.toy import MODEL, toy
from toolkit.config import AnyRatioConfig
from toolkit.ratios import feature_matrix, fit_ratios, load_ratios

network = {"epochs": 8, "batch_size": 100, "learning_rate": 0.02, "splits": {"folds": 2}}
section = {"estimator": "linear", "features": ["x", "y"], "fold_beam_axis": False, **network}
config = TypeAdapter(AnyRatioConfig).validate_python(section)
events, folder = toy(1000, seed=1), Path(tempfile.mkdtemp())
x = feature_matrix(events.observables, config.features)
trained = fit_ratios(events, config=config, model=MODEL, folder=folder)
np.testing.assert_array_equal(load_ratios(folder, config=config, training=events, model=MODEL).log_ratio(x), trained.log_ratio(x))
print(trained.estimator)
"""


def changes(name: str) -> dict[str, list[tuple[str, str]]]:
    """Return (old, new) of every hunk of a diff of the page, by file."""
    diff = PAGE.split(f"<!-- {name}:begin -->\n```diff\n")[1].split(f"```\n<!-- {name}:end -->")[0]
    found: dict[str, list[tuple[str, str]]] = {}
    for part in re.split(r"^--- a/", diff, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        hunks = [h.splitlines() for h in re.split(r"^@@[^\n]*@@\n", rest, flags=re.MULTILINE)[1:]]
        sides = [["\n".join(line[1:] for line in h if line[:1] != mark) + "\n" for mark in "+-"] for h in hunks]
        found[name] = [(old, new) for old, new in sides]
    return found


def result_of(name: str, program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Apply a diff to a copy of the sources and run a program there."""
    for package in ("toolkit", "processors", "exports", "tests"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.root", "__pycache__"))
    for file, hunks in changes(name).items():
        path = folder / file
        text = path.read_text(encoding="utf-8") if path.exists() else "\n"
        for old, new in hunks:
            assert text.count(old) == 1, f"{file} no longer has\n{old}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_new_kind_of_region_touches_four_source_files(tmp_path: Path) -> None:
    assert len(changes("kind")) == 4
    done = result_of("kind", PROGRAM, tmp_path)
    assert done.stdout.strip() == "fitted", done.stderr


@pytest.mark.torch
def test_a_new_estimator_touches_three_source_files(tmp_path: Path) -> None:
    assert len(changes("estimator")) == 3
    done = result_of("estimator", ESTIMATOR, tmp_path)
    assert done.stdout.strip() == "linear", done.stderr[-3000:]
