"""Every config of docs/ntuples.md is valid, and runs on a file of its format."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from processors import run
from toolkit.config import parse_config

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "ntuples.md"
YAML = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)]
BLOCKS = [block for block in YAML if "luminosity_ifb" in block]
"""The complete configs; other blocks show a section."""
LOOSE = {"m_z1": [1.0, 200.0], "m_z2": [1.0, 200.0], "m4l": [1.0, 5000.0], "n_leptons_exact": False}


def _kind(block: dict[str, Any]) -> str:
    sample = block["samples"][0]
    return "csv" if sample["files"][0].endswith("csv") else str(sample.get("layout", {}).get("kind", "nanoaod"))


def test_every_format_has_a_config() -> None:
    assert [_kind(block) for block in BLOCKS] == ["nanoaod", "atlas", "flat", "csv", "mapping", "lhe"]


@pytest.mark.parametrize("block", [b for b in BLOCKS if _kind(b) != "csv"], ids=_kind)
def test_the_config_runs(block: dict[str, Any], tmp_path: Path, ntuples: ModuleType) -> None:
    writers: dict[str, Callable[..., Path]] = {
        "nanoaod": ntuples.write_nano,
        "atlas": ntuples.write_atlas,
        "flat": ntuples.write_flat,
        "mapping": ntuples.write_cartesian,
        "lhe": ntuples.write_lhe,
    }
    events = ntuples.make_events(40, seed=2)
    (pattern,) = block["samples"][0]["files"]
    writers[_kind(block)](tmp_path / pattern.replace("*", "0"), events)
    result = run(parse_config(block | {"selection": LOOSE}, folder=tmp_path), tmp_path / "out")
    assert sum(result.selected.values()) > 20


def test_the_config_of_the_csv_candidates_runs(tmp_path: Path, ntuples: ModuleType, shared_data: Callable[[str], Path]) -> None:
    (block,) = (b for b in BLOCKS if _kind(b) == "csv")
    for year in (2011, 2012):
        (tmp_path / f"4mu_{year}.csv").write_bytes(shared_data(f"cms_open_data/4mu_{year}.csv").read_bytes())
    result = run(parse_config(block, folder=tmp_path), tmp_path / "out")
    assert result.yields["candidates"] == result.selected["candidates"] > 90
    assert np.isfinite(result.yields["candidates"])
