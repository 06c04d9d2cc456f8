"""Every snippet and every config of docs/weights.md works."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import yaml

from toolkit.config import MorphingConfig
from toolkit.config.model import short_process

PAGE = Path(__file__).resolve().parents[2] / "docs" / "weights.md"


def test_snippets_give_what_the_page_says():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 30
    assert found.failed == 0


def test_configs_are_read():
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        document = yaml.safe_load(block)
        section = MorphingConfig.model_validate(document["morphing"])
        name = document.get("parameter", {}).get("name", "mu")
        section.require_parameter(name)
        assert len(short_process(section, name).benchmark_names) == 3
        assert section.two_amplitudes
