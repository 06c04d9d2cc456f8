"""No module that nobody reaches: neither the command line, nor an example, nor the code of a documentation page.

A name taken from a package leads to the module that defines it, not to everything that the package re-exports.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from toolkit.pipeline.code import OWN_PACKAGES

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    ".".join(parts[:-1] if parts[-1] == "__init__" else parts): file
    for package in OWN_PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
    if (parts := file.relative_to(ROOT).with_suffix("").parts)
}
STARTS = ("toolkit.cli", "toolkit.__main__", "processors", "exports", "exports.cpp.frameworks.rdataframe.log_ratios")
"""Where programs begin; the last one is a script for another Python."""


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _is_package(module: str) -> bool:
    return MODULES[module].name == "__init__.py"


def _imports(tree: ast.AST, module: str = "", *, package: bool = False) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) of every import, deferred ones included; texts that are the name of a module count, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".") if package else module.split(".")[:-1]
            base = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
            yield from ((".".join(filter(None, (base, node.module))), alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODULES:
            yield node.value, None


def _defining(module: str, name: str | None) -> str | None:
    """Return the module of ours that an import leads to."""
    if name is not None and f"{module}.{name}" in MODULES:
        return f"{module}.{name}"
    if module not in MODULES:
        return None
    if name is not None and _is_package(module):
        for source, original in _imports(_tree(module), module, package=True):
            if original == name and source != module:
                return _defining(source, original)
    return module


def reached(starts: Iterator[tuple[str, str | None]]) -> set[str]:
    """Return all modules that imports lead to, transitively."""
    found: set[str] = set()
    waiting = [m for m in (_defining(*start) for start in starts) if m is not None]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        if not _is_package(module) or module in STARTS:  # a package that re-exports leads nowhere by itself
            waiting += [m for m in (_defining(*i) for i in _imports(_tree(module), module, package=_is_package(module))) if m is not None]
    return found


def shown_code() -> Iterator[str]:
    """Yield the Python code of examples and pages."""
    for file in (ROOT / "examples").rglob("*.py"):
        yield file.read_text(encoding="utf-8")
    for file in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"):
        for block in re.findall(r"```(?:\{code-cell\}|python|pycon)\n(.*?)```", file.read_text(encoding="utf-8"), flags=re.DOTALL):
            yield re.sub(r"^(>>>|\.\.\.) ?", "", block, flags=re.MULTILINE)
    for file in (ROOT / "docs").rglob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        yield from ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def starts() -> Iterator[tuple[str, str | None]]:
    yield from ((name, None) for name in (*STARTS, *(m for m in MODULES if m.startswith("toolkit.pipeline.stages."))))
    for code in shown_code():
        for statement in re.findall(r"^\s*((?:from [\w.]+ )?import (?:\([^)]*\)|[^\n(]+))", code, flags=re.MULTILINE):
            yield from _imports(ast.parse(statement))


def test_every_module_is_reached() -> None:
    found = reached(starts())
    modules = {m for m in MODULES if not _is_package(m)}
    assert sorted(modules - found) == []


def test_a_name_of_a_package_leads_to_its_own_module_only() -> None:
    assert _defining("toolkit.ratios.architectures", "MLP") == "toolkit.ratios.architectures.mlp"
    assert "toolkit.ratios.architectures.recurrent" not in reached(iter([("toolkit.ratios.architectures", "MLP")]))
