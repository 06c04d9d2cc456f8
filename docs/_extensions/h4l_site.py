"""What the site needs beyond Sphinx: formulas without scripts, page titles as link texts, plain text in docstrings."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.docstrings import prepare_docstring

LINK_BY_FILE = re.compile(r"\[(?:docs/)?([\w/]+\.md)\]\(((?:\.\./|\./)*[\w/]+\.md)\)")
LITERAL = re.compile(r"(^[ ]*>>>(?:[^\n]|\n(?![ ]*(?:\n|$)))*|``.+?``|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"(<mi>(?:ln|log|exp)</mi>)(?!<mo)")
ARRAY = re.compile(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[([\w.\[\]]+?)\]\]")
STAR = re.compile(r"(?<!\w)\*(?=\w)")


def mathml(formula: str, display: str) -> str:
    """Write a formula as MathML, which browsers draw themselves, with the space that TeX puts after a function's name."""
    return NAME.sub(r'\1<mspace width="0.17em"/>', convert(formula, display=display))


def write_inline(translator: Any, node: nodes.math) -> None:
    """Write a formula inside a line."""
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def write_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on its own line."""
    translator.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def name_links(_app: Any, _page: str, source: list[str]) -> None:
    """Let links that are called after their file, for readers of the plain file, show the title of the page."""
    source[0] = LINK_BY_FILE.sub(lambda link: f"[]({link[2]})" if link[2].endswith(link[1]) else link[0], source[0])


def as_plain_text(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Keep |w| and *backgrounds of a docstring from being read as markup."""
    parts = LITERAL.split("\n".join(lines))
    parts[::2] = [STAR.sub(r"\\*", part.replace("|", "\\|")) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def shorten_arrays(*event: Any) -> tuple[str | None, str | None]:
    """Write the type of an array as users do."""
    signature, returned = event[-2:]
    return tuple(None if text is None else ARRAY.sub(r"NDArray[\1]", text) for text in (signature, returned))


def as_property(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: PLR0917  # Sphinx calls it
    """Read the docstring of a property like that of a function: napoleon takes the words before the first colon for a type."""
    if what == "property":
        lines[:] = prepare_docstring(obj.__doc__ or "")
        as_plain_text(app, what, name, obj, options, lines)
        lines[:] = GoogleDocstring(lines, app.config).lines()


def setup(app: Any) -> dict[str, bool]:
    """Register everything with Sphinx."""
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    app.connect("source-read", name_links)
    app.connect("autodoc-process-docstring", as_plain_text, priority=400)
    app.connect("autodoc-process-signature", shorten_arrays)
    app.connect("autodoc-process-docstring", as_property, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
