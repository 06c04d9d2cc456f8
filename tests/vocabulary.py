"""The words for a closure test: what no output may say in the place of `compatible`, `biased` and `not_tested`."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from toolkit.diagnostics.closure import SHOWN
from toolkit.report import Comparison, read_results

OTHER_WORDS = re.compile(
    r"imprecise|inflated|deflated|unsure|untested|\btrivial|\bcloses\b|not_closed|(did|does) not (pass|close)|must not be quoted|"
    r"closure (fails|failed|imprecise)|\"status\": \"(biased|ok)\"",
    re.IGNORECASE,
)


def terminal(path: Path) -> str:
    """Return what the terminal shows of results.json, as running text."""
    console = Console(file=io.StringIO(), width=250)
    console.print(Comparison(read_results(path)))
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def check_words(results: Path, page: Path) -> dict[str, str]:
    """Check terminal, page and JSON of one run for other words, and that they agree; return the verdicts by method."""
    document: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    words = {name: str(method["verdict"]) for name, method in document["methods"].items()}
    assert set(words.values()) <= set(SHOWN)
    text = {"terminal": terminal(results), "page": page.read_text(encoding="utf-8"), "json": json.dumps(document)}
    assert "\\n" not in text["terminal"], "a line break of a cell is written out"
    text["page"] = re.sub(r"data:[a-z/+-]*;base64,[A-Za-z0-9+/=]*", "", text["page"])
    for where, found in text.items():
        other = OTHER_WORDS.search(found)
        assert other is None, f"{where}: {found[max(0, other.start() - 80) : other.end() + 40]}"
    for name, word in words.items():
        assert f"{name}: {SHOWN[word]}," in text["terminal"] or word == "compatible", name  # type: ignore[index]
        shown = SHOWN[word].replace(" (", "\n(")  # type: ignore[index]
        assert shown.partition("\n")[0] in text["page"]
    return words
