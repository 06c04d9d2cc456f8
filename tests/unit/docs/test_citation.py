"""CITATION.cff has what the format requires, and the version of the package."""

from __future__ import annotations

from pathlib import Path

import yaml

import toolkit

CITATION = Path(__file__).resolve().parents[3] / "CITATION.cff"


def test_citation_is_complete_and_current() -> None:
    document = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(document)
    assert document["cff-version"] == "1.2.0"
    assert document["version"] == toolkit.__version__
    assert document["license"] == "BSD-3-Clause"
    for entry in (document, *document["references"]):
        assert entry["title"]
        assert all("name" in author or {"family-names", "given-names"} <= set(author) for author in entry["authors"])
    for reference in document["references"]:
        assert reference["type"] == "article"
        assert all(i["value"].startswith("arXiv:") for i in reference["identifiers"])
