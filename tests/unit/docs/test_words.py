"""One word for one thing: no page, message, label or comment has the words that the glossary replaced."""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OLD = {
    r"\bdialects?\b": "format",
    r"\brecorded (event|data)": "data",
    r"\b(the|a|test and|finite|simulated) pool\b(?! ?[.=(\[:`])": "training sample",
    r"\bpool (event|and test)": "training events",
    r"\bcertified\b": "expected bound",
    r"\b(inward|outward)\b": "to_internal, to_external",
}
SOURCES = ("toolkit", "processors", "exports", "benchmarks", "examples")


def words_of_python(file: Path) -> Iterator[str]:
    """Yield comments and strings, docstrings included; a thread pool of the library in a call is code."""
    with tokenize.open(file) as source:
        for token in tokenize.generate_tokens(io.StringIO(source.read()).readline):
            if token.type in {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}:
                yield token.string


def texts() -> Iterator[tuple[str, str]]:
    for folder in SOURCES:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix == ".py":
                yield str(file.relative_to(ROOT)), " ".join(words_of_python(file))
            elif file.suffix in {".yaml", ".j2", ".h"}:
                yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
    for file in (*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")
    for file in sorted((ROOT / "docs").rglob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        yield str(file.relative_to(ROOT)), " ".join("".join(cell["source"]) for cell in cells)


def test_old_words_are_gone() -> None:
    found = [
        f"{name}: {text[max(0, hit.start() - 40) : hit.end() + 20]!r}, say {new}"
        for name, text in ((name, re.sub(r"\s+", " ", text)) for name, text in texts())
        for old, new in OLD.items()
        for hit in re.finditer(old, text, re.IGNORECASE)
    ]
    assert found == []


def test_the_glossary_has_the_new_words() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    first = [cell.split(" | ")[0].strip("| ") for cell in glossary.splitlines() if cell.startswith("| ")]
    for word in ("format", "data", "training sample, training events", "background-only", "total", "expected bound", "class network"):
        assert word in first
