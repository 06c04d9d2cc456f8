"""docs/commands.md says what the command line says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "make_commands_reference.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_commands_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_commands_reference_is_current(script: ModuleType) -> None:
    written = SCRIPT.with_name("commands.md").read_text(encoding="utf-8")
    assert written == script.reference(), "run: python docs/make_commands_reference.py"


def test_options_arguments_and_defaults_are_shown(script: ModuleType) -> None:
    lines = script.reference().splitlines()
    section = lines[lines.index("## h4l run") : lines.index("## h4l status")]
    assert "| `--workers` | `N` |  | Worker processes of futures and dask; default: one per core. |" in section
    assert any(line.startswith("| `--executor` | `iterative` or `futures` or `dask` |  | Where ntuples are processed") for line in section)
    assert "| `CONFIG` |  | required | YAML file of the analysis. |" in section
    assert not any(line.startswith("| `--json`") for line in section)
