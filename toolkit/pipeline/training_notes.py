"""What trainings noticed about their events: of density ratios, classifiers and variations, for the terminal and the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.analysis.layout import CLASSIFIERS_REPORT, TRAINING, VARIATIONS_REPORT

Noticed = tuple[str, Sequence[str]]
"""What was trained, and the sentences of all its members."""


def training_notes(out: Path) -> tuple[str, ...]:
    """Return a sentence per network of the density ratios, with what its first member noticed."""
    found: dict[str, list[str]] = {}
    for part in (part for member in _read(out / TRAINING).get("members", ()) for part in member):
        found.setdefault(part["network"], []).extend(part.get("warnings", ()))
    return _sentences(found.items())


def further_training_notes(out: Path) -> tuple[str, ...]:
    """Return a sentence per classifier and per learned variation, likewise."""
    return _sentences((*_of_classifiers(_read(out / CLASSIFIERS_REPORT)), *_of_variations(_read(out / VARIATIONS_REPORT))))


def _of_classifiers(document: Mapping[str, Any]) -> Iterator[Noticed]:
    for name, entry in document.get("classifiers", {}).items():
        yield f"classifier {name}", [text for member in entry["members"] for text in member.get("warnings", ())]


def _of_variations(document: Mapping[str, Any]) -> Iterator[Noticed]:
    for name, processes in document.get("variations", {}).items():
        entries = [item for process in processes.values() for item in process["directions"].items()]
        learned = {direction: entry["warnings"] for direction, entry in entries if "warnings" in entry}
        yield from ((f"{name}_{direction}", texts) for direction, texts in learned.items())


def _sentences(found: Iterable[Noticed]) -> tuple[str, ...]:
    return tuple(
        f"training of {name}: {texts[0]}" + (f"; {len(texts) - 1} more like it" if len(texts) > 1 else "") for name, texts in found if texts
    )


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return document
