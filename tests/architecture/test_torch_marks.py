"""Tests that import torch are listed as such, so that the others run where it is not installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import WITH_TORCH

TESTS = Path(__file__).resolve().parents[1]
NEED_TORCH = ("torch", "exports", "toolkit.ratios")


def _imported(body: list[ast.stmt]) -> Iterator[str]:
    """Yield what a module imports when it is imported itself."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_tests_that_import_torch_are_listed() -> None:
    unlisted = []
    for file in sorted(TESTS.rglob("test_*.py")):
        names = list(_imported(ast.parse(file.read_text(encoding="utf-8")).body))
        needs = any(f"{name}.".startswith(f"{package}.") for name in names for package in NEED_TORCH)
        if needs and not any(file.is_relative_to(TESTS / part) for part in WITH_TORCH):
            unlisted.append(str(file.relative_to(TESTS)))
    assert unlisted == []


def test_what_is_listed_is_there() -> None:
    assert [part for part in WITH_TORCH if not (TESTS / part).exists()] == []
