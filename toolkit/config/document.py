"""Read a YAML document, and say in one line what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from toolkit.errors import InputFileError, SchemaError


def read_document(path: Path) -> Any:
    """Read a YAML file in which no key stands twice in one section.

    Args:
        path: The file, UTF-8.

    Returns:
        The document; None for an empty file.

    Raises:
        InputFileError: The file cannot be read.
        SchemaError: It is not YAML, or a key repeats; YAML itself would take the last one and drop the others in silence.
    """
    what = f"config {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputFileError(what, got=error.strerror, expected="a readable YAML file", remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise InputFileError(what, got=str(error), expected="a YAML file in UTF-8", remedy="check the path and the encoding") from error
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _refuse_repeated_keys(root, what)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise SchemaError(what, got=_problem(error), expected="valid YAML", remedy=_remedy(error)) from error


def _refuse_repeated_keys(root: yaml.Node, what: str) -> None:
    waiting, visited = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            waiting.extend((key, value))
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                got = f"the key {key.value!r} twice in one section, in lines {lines[name]} and {line}"
                raise SchemaError(what, got=got, expected="every key once", remedy="join the two entries")
            lines[name] = line


def _problem(error: yaml.YAMLError) -> str:
    """Write what the parser says in one line, with the place."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        return f"{said} (line {mark.line + 1}, column {mark.column + 1})"
    return " ".join(str(error).split())


def _remedy(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and "'\\t'" in (error.problem or ""):
        return "indent with spaces, not with tabs"
    return "correct the place named above"
