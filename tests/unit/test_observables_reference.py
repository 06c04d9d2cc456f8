"""docs/observables.md says what the registry holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from toolkit.config.loader import parse_config
from toolkit.kinematics import OBSERVABLES

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "make_observables_reference.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_observables_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_observables_reference_is_current(script: ModuleType) -> None:
    written = SCRIPT.with_name("observables.md").read_text(encoding="utf-8")
    assert written == script.reference(), "run: python docs/make_observables_reference.py"


def test_every_observable_is_documented_with_its_definition(script: ModuleType) -> None:
    rows = {line.split("|")[1].strip(" `"): line for line in script.reference().splitlines() if line.startswith("| `")}
    for name, entry in OBSERVABLES.items():
        assert f"| {entry.function.__doc__.split(' ')[0]}" in rows[name], name


def test_the_yaml_of_the_page_is_valid(script: ModuleType) -> None:
    import yaml

    blocks = script.reference().split("```yaml\n")[1:]
    sections = {key: value for block in blocks for key, value in yaml.safe_load(block.partition("```")[0]).items()}
    sample = {"name": "ggF_S", "files": ["x"], "benchmarks": ["ggF_S", "ggF_SBI", "ggF_B"]}
    config = parse_config({"luminosity_ifb": 1.0, "samples": [sample], **sections}, folder=SCRIPT.parent)
    assert config.columns["met"].scale == 0.001
    assert "vbf" in config.observables
