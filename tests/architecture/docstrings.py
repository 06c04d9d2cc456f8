"""The docstring rule as functions from syntax trees to names: what is public, and what could show a number and does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SCALARS = {"str", "int", "float", "bool", "bytes", "ArrayLike", "FloatArray", "IntArray", "BoolArray"}
CONTAINERS = {"Sequence", "Mapping", "tuple", "dict", "list", "Iterable", "frozenset", "set", "Collection"}
WITHOUT_LIMITS = {"NDArray", "Literal"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Public:
    """A public function, class or method, by its module and its name in it."""

    module: str
    name: str
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def public_names(module: str, tree: ast.Module) -> Iterator[Public]:
    """Yield the public functions and classes of a module, and the public methods of the classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield Public(module, node.name, node)
            for part in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(part, Function) and not part.name.startswith("_"):
                    yield Public(module, f"{node.name}.{part.name}", part)


def aliases(tree: ast.Module) -> set[str]:
    """Return the names that a module gives to plain types, for example `Bounds = tuple[float, float]`."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp) and is_plain(node.value, found):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


def data_classes(tree: ast.Module) -> set[str]:
    """Return the names of the data classes of a module."""
    return {n.name for n in tree.body if isinstance(n, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in n.decorator_list)}


def is_plain(kind: ast.expr | None, names: set[str]) -> bool:
    """Whether values of a type can be typed in: numbers, text, arrays, and containers of them."""
    if isinstance(kind, ast.Constant):
        return kind.value is None or kind.value is ...
    if isinstance(kind, ast.Name):
        return kind.id in SCALARS | names
    if isinstance(kind, ast.BinOp):
        return is_plain(kind.left, names) and is_plain(kind.right, names)
    if isinstance(kind, ast.Subscript):
        container = ast.unparse(kind.value)
        parts = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
        return container in WITHOUT_LIMITS or (container in CONTAINERS and all(is_plain(p, names) for p in parts))
    return False


def arguments(node: Function, *, bound: bool) -> list[ast.expr | None]:
    """Return the types of the arguments of a function, without that of the object that a method belongs to."""
    taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [a.annotation for a in taken[1 if bound else 0 :]]


def shows_a_number(node: ast.ClassDef | Function) -> bool:
    """Whether a docstring has an executed example; for a class also that of one of its methods."""
    nodes = [node, *(n for n in node.body if isinstance(n, Function))] if isinstance(node, ast.ClassDef) else [node]
    return any(">>>" in (ast.get_docstring(n) or "") for n in nodes)


def could_show_a_number(node: ast.ClassDef | Function, *, names: set[str], results: set[str]) -> bool:
    """Whether plain arguments lead to a plain result: of a function, or of a method of a class that plain arguments make.

    Args:
        node: The function or class.
        names: Aliases of plain types.
        results: Data classes: plain enough as a result, and shown where they are made.
    """
    if isinstance(node, Function):
        given = arguments(node, bound=False)
        returned = node.returns
        told = is_plain(returned, names) or (isinstance(returned, ast.Name) and returned.id in results)
        return bool(given) and all(is_plain(a, names) for a in given) and told and ast.unparse(returned) != "None"
    if node.name in results:
        return False
    made = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    if not made or not all(is_plain(a, names) for a in arguments(made[0], bound=True)):
        return False
    methods = [n for n in node.body if isinstance(n, Function) and not n.name.startswith("_")]
    return any(is_plain(m.returns, names) and all(is_plain(a, names) for a in arguments(m, bound=True)) for m in methods)


def exported(package: str, tree: ast.Module, modules: Mapping[str, ast.Module], *, results: set[str]) -> Iterator[Public]:
    """Yield the functions, and the classes with methods that are no results, that the `__init__` of a package hands on."""
    for statement in tree.body:
        if not isinstance(statement, ast.ImportFrom) or statement.module not in modules:
            continue
        wanted = {alias.name for alias in statement.names}
        for node in modules[statement.module].body:
            named = isinstance(node, ast.ClassDef | Function) and node.name in wanted
            if named and (isinstance(node, Function) or (node.name not in results and _does_something(node))):
                yield Public(package, node.name, node)


def _does_something(node: ast.ClassDef) -> bool:
    """Whether a class has a method of its own beside the JSON form, and is no protocol."""
    if any(ast.unparse(base) in {"Protocol", "ABC", "Section"} for base in node.bases):
        return False
    names = [n.name for n in node.body if isinstance(n, Function) and not n.name.startswith("_")]
    return any(name not in {"to_json", "from_json"} for name in names)
