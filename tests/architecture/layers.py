"""The layer rule as data and as functions from source text to complaints."""

from __future__ import annotations

import ast
from collections.abc import Iterator

LEAVES = {"errors", "units", "typing", "text", "locations", "clusters", "expressions", "model", "config"}
KERNEL_LAYERS = {"kinematics", "weights"}
CHAIN = ("kinematics", "weights", "ratios", "likelihood", "diagnostics", "plots", "report")
"""Each layer of the toolkit may import those to its left."""


def _of_toolkit(*units: str) -> set[str]:
    return {f"toolkit.{unit}" for unit in units}


_AFTER_LIKELIHOOD = LEAVES | KERNEL_LAYERS | {"artifacts", "likelihood"}
ALLOWED: dict[str, set[str]] = {
    "toolkit": set(),
    "toolkit.errors": set(),
    "toolkit.units": set(),
    "toolkit.typing": set(),
    "toolkit.text": set(),
    "toolkit.locations": _of_toolkit("errors"),
    "toolkit.clusters": _of_toolkit("errors", "typing"),
    "toolkit.expressions": _of_toolkit("errors", "typing"),
    "toolkit.model": _of_toolkit("errors", "units", "typing", "text", "expressions"),
    "toolkit.config": _of_toolkit("errors", "units", "typing", "text", "locations", "expressions", "model"),
    "toolkit.example": _of_toolkit("errors", "config"),
    "toolkit.artifacts": _of_toolkit(*LEAVES),
    "toolkit.kinematics": _of_toolkit(*LEAVES),
    "toolkit.weights": _of_toolkit(*LEAVES, "kinematics"),
    "toolkit.ratios": _of_toolkit(*LEAVES, *KERNEL_LAYERS, "artifacts"),
    "toolkit.likelihood": _of_toolkit(*LEAVES, *KERNEL_LAYERS, "artifacts"),
    "toolkit.diagnostics": _of_toolkit(*_AFTER_LIKELIHOOD),
    "toolkit.plots": _of_toolkit(*_AFTER_LIKELIHOOD, "diagnostics"),
    "toolkit.report": _of_toolkit(*_AFTER_LIKELIHOOD, "diagnostics", "plots"),
    "toolkit.analysis": _of_toolkit(*_AFTER_LIKELIHOOD, "diagnostics"),
    "processors": _of_toolkit(*LEAVES, *KERNEL_LAYERS, "artifacts", "likelihood", "example"),
    "exports": _of_toolkit(*LEAVES, *CHAIN, "artifacts"),
    "toolkit.pipeline": {"processors", "exports", *_of_toolkit(*LEAVES, *CHAIN, "artifacts", "analysis", "example")},
    "toolkit.cli": {"processors", "exports", *_of_toolkit(*LEAVES, *CHAIN, "artifacts", "analysis", "example", "pipeline")},
}
"""What each unit may import of ours, besides itself and the version in the root package. Likelihood and everything
after it run without torch, so they do not import `ratios`; only pipeline and cli know all three packages."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "torch": ("toolkit.ratios", "exports"),
    "coffea": ("processors",),
    "onnxruntime": ("toolkit.likelihood", "toolkit.kinematics.gg_network", "exports"),
    "typer": ("toolkit.cli",),
    "pyhf": ("toolkit.likelihood", "exports"),
}
"""Third-party packages that only some packages of ours may import."""

FILE_MODULES = {"pathlib", "os", "io", "shutil", "tempfile", "uproot", "pyarrow", "h5py", "json", "yaml"}
KERNELS = ("toolkit.kinematics", "toolkit.weights")
SHAPELESS_NAMES = {"utils", "util", "helpers", "helper", "misc"}


def inside(module: str, package: str) -> bool:
    """Whether `module` is `package` or below it."""
    return module == package or module.startswith(package + ".")


def unit_of(module: str) -> str:
    """Return the unit that a module belongs to: `toolkit.likelihood.binned` -> `toolkit.likelihood`, `exports.onnx` -> `exports`."""
    parts = module.split(".")
    if parts[0] != "toolkit" or len(parts) == 1 or parts[1].startswith("__"):
        return parts[0]
    return f"toolkit.{parts[1]}"


def import_complaint(module: str, imported: str) -> str | None:
    """Say what is wrong when `module` imports `imported` (a module of ours), or None."""
    source, target = unit_of(module), unit_of(imported)
    if target in {source, "toolkit"}:
        return None
    if source not in ALLOWED:
        return f"{module}: {source!r} is no layer; give it a place in the table of layers"
    if target not in ALLOWED[source]:
        return f"{module} imports {imported}: {source} may import {sorted(ALLOWED[source])} only"
    return None


def third_party_complaint(module: str, imported: str) -> str | None:
    """Say what is wrong when `module` imports the third-party or standard module `imported`, or None."""
    root = imported.split(".", maxsplit=1)[0]
    homes = ONLY_IN.get(root)
    if homes is not None and not any(inside(module, home) for home in homes):
        return f"{module} imports {root}, which belongs in {' and '.join(homes)} only"
    if root in FILE_MODULES and any(inside(module, kernel) for kernel in KERNELS):
        return f"{module} imports {root}: kernels take arrays and return arrays, without file access"
    return None


def init_complaints(module: str, tree: ast.Module) -> Iterator[str]:
    """Yield the statements of an `__init__` that are neither docstring, import, `__all__` nor `__version__`."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if targets and all(isinstance(t, ast.Name) and t.id in {"__all__", "__version__"} for t in targets):
            continue
        yield f"{module}/__init__.py:{node.lineno}: an __init__ only re-exports"


def size_complaints(module: str, text: str, *, file_limit: int, function_limit: int) -> Iterator[str]:
    """Yield files and functions that are longer than the limits (lines)."""
    n_lines = len(text.splitlines())
    if n_lines > file_limit:
        yield f"{module}: {n_lines} lines, more than {file_limit}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
            if length > function_limit:
                yield f"{module}:{node.lineno}: {node.name} has {length} lines of code, more than {function_limit}"


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function's docstring."""
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return one import cycle per strongly connected component with more than one module (Tarjan, recursive)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph.get(node, set())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component: list[str] = []
            while True:
                component.append(stack.pop())
                if component[-1] == node:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found
