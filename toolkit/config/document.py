"""Read a YAML document within limits, and say in one line what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from toolkit.errors import InputFileError, SchemaError

MOST_BYTES = 1 << 20
DEEPEST = 40
"""Sections inside sections."""
MOST_VALUES = 50_000
"""Values once every reference is replaced by what it refers to: references to references multiply."""
LONGEST_NUMBER = 100
"""Characters of a number or a date."""
LARGEST_INTEGER = 2**53
"""Above it a double cannot tell two neighbours apart."""
_OCTAL = re.compile(r"[-+]?0[0-9_]")
_STANDARD_TAG = "tag:yaml.org,2002:"
_KINDS = {"int": "integer", "float": "number", "timestamp": "date"}


def read_document(path: Path) -> Any:
    """Read a YAML file in which no key stands twice in one section.

    Args:
        path: The file, UTF-8.

    Returns:
        The document; None for an empty file.

    Raises:
        InputFileError: The file cannot be read.
        SchemaError: See `parse_document`.
    """
    what = f"config {path}"
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise InputFileError(what, got=error.strerror, expected="a readable YAML file", remedy="check the path") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise InputFileError(what, got=str(error), expected="a YAML file in UTF-8", remedy="check the path and the encoding") from error
    if len(content) > MOST_BYTES:
        raise SchemaError(what, got=f"more than {MOST_BYTES} bytes", expected="a config", remedy="check the path; name files by patterns")
    return parse_document(text, what)


def parse_document(text: str, what: str) -> Any:
    """Parse a YAML document in which no key stands twice in one section.

    Args:
        text: The document.
        what: What messages call it.

    Returns:
        The document; None for an empty text.

    Raises:
        SchemaError: It is not YAML, is nested or refers to itself beyond the limits, holds a value that is none of its kind (the date
            2001-99-99), or a key repeats; YAML itself would take the last one and drop the others in silence.

    Examples:
        >>> parse_document("samples: [{name: qqZZ}]", "config")
        {'samples': [{'name': 'qqZZ'}]}
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.compose_root()
            if root is None:
                return None
            _refuse_repeated_keys(root, what)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise SchemaError(what, got=_problem(error), expected="valid YAML", remedy=_remedy(error)) from error


class _Loader(yaml.SafeLoader):
    """A loader that stops before a document grows beyond the limits, and names the place of every value that it cannot read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._extents: dict[int, tuple[int, int]] = {}
        """Values and levels of each finished node, with what it refers to."""

    def compose_root(self) -> yaml.Node | None:
        """Compose the whole document; None if it is empty."""
        try:
            return self.get_single_node()
        except ValueError as error:  # an escape beyond the last character of Unicode
            raise yaml.scanner.ScannerError(None, None, f"an escape that is no character: {error}", self.get_mark()) from error

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node; refuse one that holds itself, is nested too deeply, or holds too many values."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # yaml has no types here
        is_reference = self.check_event(yaml.AliasEvent)
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, f"sections nested more than {DEEPEST} deep", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if is_reference and id(node) not in self._extents:
            raise yaml.composer.ComposerError(None, None, "a reference to the section in which it stands", mark)
        if node is not None and not is_reference:
            values, levels = self._extents[id(node)] = self._extent(node)
            if levels > DEEPEST:
                raise yaml.composer.ComposerError(None, None, f"sections nested more than {DEEPEST} deep, references replaced", mark)
            if max(values, len(self._extents)) > MOST_VALUES:
                raise yaml.composer.ComposerError(None, None, f"more than {MOST_VALUES} values, references replaced", mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Turn a node into a value; one that does not fit its kind is refused with its place."""
        tag = str(node.tag).removeprefix(_STANDARD_TAG)
        kind, scalar = _KINDS.get(tag, tag), isinstance(node, yaml.ScalarNode) and tag != "str"
        if scalar and len(node.value) > LONGEST_NUMBER:
            self._refuse(node, f"{kind} of {len(node.value)} characters")
        old = scalar and ((tag == "int" and _OCTAL.match(node.value)) or (tag in {"int", "float"} and ":" in node.value))
        if old:
            self._refuse(node, f"{node.value!r} is no {kind} that everyone reads alike: YAML takes it for base 8 or 60")
        try:
            value = super().construct_object(node, deep)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
            self._refuse(node, f"{node.value!r} is no {kind}" if scalar else f"no {kind}")
        if isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            self._refuse(node, "a text with a character that no program takes, NUL or half of a pair")
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            self._refuse(node, f"the integer {node.value} is larger than 2**53")
        return value

    @staticmethod
    def _refuse(node: yaml.Node, problem: str) -> None:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def _extent(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        else:
            children = node.value if isinstance(node, yaml.SequenceNode) else []
        found = [self._extents[id(child)] for child in children]
        return 1 + sum(values for values, _ in found), 1 + max((levels for _, levels in found), default=0)


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
    problem = (error.problem or "") if isinstance(error, yaml.MarkedYAMLError) else ""
    if "'\\t'" in problem:
        return "indent with spaces, not with tabs"
    if isinstance(error, yaml.constructor.ConstructorError) and ("is no" in problem or "tag" in problem):
        return "put it in quotes if it is a text, and leave tags (!) out"
    return "correct the place named above"
