"""What source code a stage depends on: the transitive closure of its own imports, deferred ones included.

A stage is stale when any file in that closure changed, so an edit of a plot reruns the report and nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OWN_PACKAGES = ("toolkit", "processors", "exports")


def imported_names(tree: ast.AST, *, module: str, is_package: bool) -> Iterator[str]:
    """Yield every dotted name that a syntax tree imports, deferred imports included, relative ones made absolute.

    Args:
        tree: The parsed module.
        module: Its dotted name, to which relative imports refer.
        is_package: Whether the module is an `__init__`.

    Yields:
        For `import a.b`: `a.b`. For `from a.b import c`: `a.b` and `a.b.c` (c may be a module or an attribute).

    Examples:
        >>> sorted(set(imported_names(ast.parse("from . import x"), module="toolkit.config.base", is_package=False)))
        ['toolkit.config', 'toolkit.config.x']
    """
    package = module if is_package else module.rpartition(".")[0]
    for node in statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = ".".join(parts[: len(parts) - node.level + 1])
                base = f"{above}.{base}" if base else above
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def module_file(name: str) -> Path | None:
    """Return the source file of one of our modules, or None where `name` is no module of ours.

    Nothing is imported: asking Python for a module would run the packages above it, torch included.
    """
    package, _, rest = name.partition(".")
    if package not in OWN_PACKAGES:
        return None
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*rest.split(".")) if rest else Path(spec.origin).parent
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def module_closure(names: Iterable[str]) -> dict[str, Source]:
    """Find all of our modules that the named ones import, directly or through others.

    Args:
        names: Dotted names of modules of ours.

    Returns:
        Module name -> source, the named modules and their parent packages included.
    """
    found: dict[str, Source] = {}
    stack = list(names)
    while stack:
        name = stack.pop()
        if name in found:
            continue
        file = module_file(name)
        if file is None:
            continue
        found[name] = read_source(name, file, file.stat().st_mtime_ns)
        stack.append(name.rpartition(".")[0])
        stack.extend(found[name].imports)
    return found


@dataclass(frozen=True)
class Source:
    """One module of ours: what it imports, and the hash of what it does."""

    imports: frozenset[str]
    digest: str


@cache
def read_source(name: str, file: Path, mtime_ns: int) -> Source:
    """Parse a module once, as long as its file does not change."""
    del mtime_ns
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    imports = imported_names(tree, module=name, is_package=file.name == "__init__.py")
    own = frozenset(target for target in imports if target.partition(".")[0] in OWN_PACKAGES)
    return Source(own, hashlib.blake2b(bare_source(tree).encode(), digest_size=16).hexdigest())


def module_digests(names: Iterable[str]) -> dict[str, str]:
    """Hash the source of the named modules and of everything of ours that they import, the engine that runs them excepted.

    Args:
        names: Dotted names of modules of ours.

    Returns:
        Hexadecimal digests by module, in the order of the names.
    """
    found = sorted(module_closure(names).items(), key=lambda item: item[0])
    return {name: source.digest for name, source in found if not _of_the_engine(name)}


def code_digest(modules: Mapping[str, str]) -> str:
    """Hash the digests of modules into one.

    Args:
        modules: As `module_digests` returns them.

    Returns:
        Hexadecimal digest; independent of where the package is installed.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, own in modules.items():
        digest.update(f"{name} {own}\n".encode())
    return digest.hexdigest()


def _of_the_engine(module: str) -> bool:
    return module.startswith("toolkit.pipeline") and not module.startswith("toolkit.pipeline.stages.")


def bare_source(tree: ast.Module) -> str:
    r"""Return a module's syntax tree as text, without comments, layout and docstrings: what can change a result.

    Args:
        tree: Parsed Python source; its docstrings are removed.

    Returns:
        One line.

    Examples:
        >>> bare_source(ast.parse("x = 1  # one")) == bare_source(ast.parse("'''Doc.'''\nx  =  1"))
        True
        >>> bare_source(ast.parse("x = 1")) == bare_source(ast.parse("x = 2"))
        False
    """
    for node in statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [item for item in node.body if not _is_bare_string(item)]
    return ast.dump(tree)


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield a syntax tree and all statements in it, those inside others included; expressions, most of a tree, are left out.

    Examples:
        >>> [type(node).__name__ for node in statements(ast.parse("if x: y = lambda: 1"))]
        ['Module', 'If', 'Assign']
    """
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        for part in _BLOCKS:
            inside = getattr(node, part, None)
            if isinstance(inside, list):
                stack.extend(inside)


_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where statements hold others."""


def _is_bare_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
