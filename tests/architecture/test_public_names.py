"""The public API: what the packages export, at most 500 names, and no function that nobody outside its module reaches."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.test_reachable import MODULES, ROOT, shown_code

MOST = 500


def exported(tree: ast.Module) -> Iterator[str]:
    """Yield the names in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" and isinstance(node.value, ast.List | ast.Tuple):
            yield from (str(element.value) for element in node.value.elts if isinstance(element, ast.Constant))


PUBLIC = sorted({name for file in MODULES.values() if file.name == "__init__.py" for name in exported(ast.parse(file.read_text("utf-8")))})
SOURCES = {module: file.read_text(encoding="utf-8") for module, file in MODULES.items() if file.name != "__init__.py"}


def test_the_api_is_small() -> None:
    assert 100 < len(PUBLIC) <= MOST


def test_every_public_function_is_used_or_shown() -> None:
    """By another module of ours (all of these are reached from the command line or an example), by an example, or by a page."""
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = " ".join(word for page in pages for word in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")))
    shown = set(re.findall(r"[A-Za-z_]\w*", " ".join((*shown_code(), named))))
    words = {module: set(re.findall(r"[A-Za-z_]\w*", text)) for module, text in SOURCES.items()}
    defined = {node.name: module for module, text in SOURCES.items() for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    unused = [
        name
        for name in PUBLIC
        if name in defined and name not in shown and not any(name in found for module, found in words.items() if module != defined[name])
    ]
    assert unused == [], "make it private to its package, or show in an example what it is for"
