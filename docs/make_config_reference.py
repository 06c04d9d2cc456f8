"""Write docs/config.md from the config models: `python docs/make_config_reference.py`.

The tests check that the file is current.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
import typing
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from toolkit.config import CombineConfig, Config

TARGET = Path(__file__).with_name("config.md")
HEAD = """# Config reference

Written by `docs/make_config_reference.py` from the models in `toolkit/config`; do not edit by hand.

One YAML file describes an analysis. Unknown keys, NaN and infinity are rejected, with the nearest known key in the
message. `h4l validate CONFIG` checks a file and its inputs without running anything, `h4l inspect FILE` prints a
snippet to start from. Energies are in GeV, angles in radians, cross-sections in pb, luminosity in 1/fb.

## The keys that matter

A first analysis needs the first five; the rest have defaults that hold.

| key | what for |
|---|---|
| `luminosity_ifb` | to what simulation is scaled |
| `samples[].name`, `files` | which files, and the name of the process |
| `samples[].benchmarks` | names of the entries of the benchmark weight vector, where events know their weight under several hypotheses |
| `samples[].xsec_pb`, `k_factor` | cross-section, where no file states it, and what multiplies it |
| `morphing` | which samples are S, SBI and B; `parameters` and `processes` in its place where there are several |
| `selection` | cuts on leptons, jets and pairs, and `where`: any condition |
| `observables` | what is written to the event tables, drawn and tested |
| `parameter` | name, allowed range and value of the Asimov set; `interval: neyman` asks for intervals from toys |
| `ratios.features` | what the networks read |
| `ratios.epochs`, `composition_epochs`, `ensemble` | how long they train, and how many |
| `systematics`, `likelihood.luminosity_uncertainty` | what varies, by how much |
| `histograms` | histogram fits beside the unbinned one |
| `likelihood.closure` | true values of the closure test |
| `likelihood.observed` | `true` fits the data |
"""


COMBINATION = """
# Combinations

The config of `h4l combine CONFIG` ([Combine](combine.md)); the same rules hold. Sections that stand above are not repeated.
"""


def reference() -> str:
    """Return the content of docs/config.md."""
    done: set[type[BaseModel]] = set()
    return "\n".join([HEAD, *_sections(Config, done), COMBINATION, *_sections(CombineConfig, done)])


def _sections(root: type[BaseModel], done: set[type[BaseModel]]) -> list[str]:
    """Describe all models below one that are not done."""
    parts: list[str] = []
    queue: list[tuple[str, type[BaseModel]]] = [("", root)]
    while queue:
        path, model = queue.pop(0)
        if model in done:
            continue
        done.add(model)
        parts.append(_section(path, model))
        for name, field in model.model_fields.items():
            queue += [(_child_path(path, name, field, kind), kind) for kind in _models(field.annotation)]
    return parts


def _section(path: str, model: type[BaseModel]) -> str:
    title = f"`{path}`" if path else "Top level"
    lines = [f"\n## {title}\n", inspect.cleandoc(model.__doc__ or ""), "", "| key | type | default | meaning |", "|---|---|---|---|"]
    notes = _attribute_docstrings(model)
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", _type(field), _default(field), notes.get(name, ""))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def _child_path(path: str, name: str, field: FieldInfo, kind: type[BaseModel]) -> str:
    origin = typing.get_origin(field.annotation)
    suffix = "[]" if origin is tuple else ".<name>" if origin is dict else ""
    key = next((key for key in ("kind", "estimator", "architecture") if key in kind.model_fields), "")
    kinds = typing.get_args(kind.model_fields[key].annotation) if key else ()
    choice = f" ({key}: {kinds[0]})" if len(kinds) == 1 else ""
    return f"{path}.{name}{suffix}{choice}".lstrip(".")


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models(argument)]


def _type(field: FieldInfo) -> str:
    limits = [f"{sign} {getattr(m, name):g}" for m in field.metadata for name, sign in _SIGNS.items() if hasattr(m, name)]
    return ", ".join([_type_name(field.annotation), *limits])


_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def _type_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    named = [a for a in arguments if isinstance(a, type | types.UnionType | types.GenericAlias) or typing.get_origin(a) is not None]
    names = [_type_name(argument) for argument in named]
    if origin is typing.Annotated:
        name = _type_name(arguments[0])
    elif origin is Literal:
        name = " or ".join(f"`{value}`" for value in arguments)
    elif origin in (typing.Union, types.UnionType):
        name = " or ".join(dict.fromkeys(_type_name(argument) for argument in arguments))
    elif origin is tuple:
        name = f"list of {names[0]}" if arguments[-1] is Ellipsis else f"[{', '.join(names)}]"
    elif origin is dict:
        name = f"mapping of name to {names[1]}"
    else:
        is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        name = "section" if is_section else _SCALARS.get(annotation, str(annotation))
    return name


_SCALARS = {str: "text", float: "number", int: "integer", bool: "`true` or `false`", types.NoneType: "`null`"}


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else _yaml(field.get_default(call_default_factory=True))
    return _yaml(field.default)


def _yaml(value: Any) -> str:
    if isinstance(value, BaseModel):
        return f"kind `{value.kind}`" if hasattr(value, "kind") else "see its section"
    if isinstance(value, dict):
        return f"`{', '.join(value)}`" if value else "none"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(item) for item in value)}]`"
    words = {None: "null", True: "true", False: "false"}
    return f"`{words[value] if value is None or isinstance(value, bool) else value}`"


def _attribute_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Collect the string literals that stand below the fields of a model and of its parents."""
    notes: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if not issubclass(parent, BaseModel) or parent is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(parent))).body[0]
        assert isinstance(body, ast.ClassDef)
        for node, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
                value = after.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    notes[node.target.id] = " ".join(value.value.split())
    return notes


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
