"""Configs come back from the values that a manifest holds of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.config import load_combination, load_config
from toolkit.config.restored import restore_config
from toolkit.errors import SchemaError

ROOT = Path(__file__).parents[3]
COMBINATIONS = [ROOT / "examples" / name for name in ("eft_estimators.yaml", "eft_limits.yaml", "width.yaml")]
CONFIGS = [*(path for path in sorted((ROOT / "examples").glob("*.yaml")) if path not in COMBINATIONS), ROOT / "toolkit/example/demo.yaml"]


@pytest.mark.parametrize("path", COMBINATIONS, ids=lambda path: path.name)
def test_a_combination_is_read(path: Path) -> None:
    config = load_combination(path, runs="/runs")
    for part in config.parts.values():
        folders = (part.run, *part.runs.values(), "" if part.events is None else part.events.folder)
        assert any(folders)
        assert all(folder.startswith("/runs/") for folder in folders if folder)
    assert config.parameterisations or config.fits


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_comes_back(path: Path) -> None:
    config = load_config(path, data="/data")
    restored = restore_config(config.model_dump(mode="json"))
    assert restored == config
    assert restored.model == config.model


def test_another_version_is_refused() -> None:
    with pytest.raises(SchemaError, match="config in manifest"):
        restore_config({"name": "a", "samples": 3, "gone": {}}, source="manifest.json")
