"""docs/config.md says what the models say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "make_config_reference.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_config_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_config_reference_is_current(script: ModuleType) -> None:
    written = SCRIPT.with_name("config.md").read_text(encoding="utf-8")
    assert written == script.reference(), "run: python docs/make_config_reference.py"


def test_every_key_of_the_example_is_documented(script: ModuleType) -> None:
    text = script.reference()
    for key in ("luminosity_ifb", "k_factor", "benchmarks", "closure_mu", "momentum_unit", "abs_eta_max"):
        assert f"| `{key}` |" in text


def test_limits_and_defaults_are_shown(script: ModuleType) -> None:
    row = next(line for line in script.reference().splitlines() if line.startswith("| `scan_points`"))
    assert ">= 11" in row
    assert "`121`" in row
