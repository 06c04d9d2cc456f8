"""The examples of docs/diagnostics.md run, and print what they should."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "diagnostics.md"


@pytest.fixture(scope="module")
def run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {"print": lambda *words: None}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.mark.torch
def test_numbers_of_the_examples(run):
    area = run["area"]
    assert abs(area.value - 0.7602) < 4 * area.error
    useful, noise = run["importance"].loss
    assert useful > 0.2
    assert abs(noise) < 0.01
    assert abs(run["result"].width - 1) < 4 * run["result"].width_error
    assert run["curve"].low[0] < 0.683 < run["curve"].high[0] or abs(run["curve"].coverage[0] - 0.683) < 0.06
    assert run["after"].mean_residual < 0.5 * run["before"].mean_residual


def test_every_function_of_the_table_exists():
    import toolkit.diagnostics

    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| question") : text.index("Errors are those")]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row)} - {"review"}
    assert named <= set(toolkit.diagnostics.__all__)
    assert len(named) > 12
