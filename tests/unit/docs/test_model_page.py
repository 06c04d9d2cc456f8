"""The config and every snippet of docs/model.md work."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import yaml

from toolkit.config import parse_config

PAGE = Path(__file__).resolve().parents[3] / "docs" / "model.md"


def test_snippets_give_what_the_page_says() -> None:
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 8
    assert found.failed == 0


def test_the_config_is_read(tmp_path: Path) -> None:
    block, windows, classifiers = (
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    )
    model = parse_config(block, folder=tmp_path, data=tmp_path).model
    assert model.densities[:6] == ("ggF_S", "ggF_SBI", "ggF_B", "EW_S", "EW_SBI1", "EW_B")
    assert model.expressions()[-1] == "t0 * t1 * t2"
    assert [r.kind for r in model.regions] == ["unbinned", "histogram"]
    config = parse_config(block | classifiers, folder=tmp_path, data=tmp_path)
    assert config.classifiers["D_pre"].densities == ("ggF_S", "EW_S", "ggF_B", "EW_B", "qqZZ")
    assert set(config.scored_conditions) == {"SR", "CR"}
    wide = parse_config(block | classifiers | windows, folder=tmp_path, data=tmp_path)
    assert [r.kind for r in wide.model.regions] == ["unbinned", "histogram", "counting"]
