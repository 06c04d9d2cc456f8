"""The blocks of docs/ecosystem.md run one after the other, and print what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ecosystem.md"


@pytest.fixture(scope="module")
def printed() -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    said: list[tuple[Any, ...]] = []
    names: dict[str, Any] = {"print": lambda *words: said.append(words)}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    return names, said


def test_the_blocks_print_what_the_page_says(printed: tuple[dict[str, Any], list[tuple[Any, ...]]]) -> None:
    names, (momenta, selected, read, fitted, ratio) = printed
    assert momenta == ([True, True],)
    assert selected[0] > 14_000
    assert read[0] == pytest.approx(names["m4l"][{"hypothesis": "own"}].sum().value)
    assert read[1] is True
    assert fitted[0] == pytest.approx(1.0, abs=1e-6)
    assert np.asarray(ratio[0]) == pytest.approx([-1.0, 0.0, 1.0], abs=0.25)
