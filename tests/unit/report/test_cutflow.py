from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from toolkit.errors import InputFileError
from toolkit.report import CutflowTables

DOCUMENT = {
    "schema": 1,
    "luminosity_ifb": 140.0,
    "samples": {
        "ggF_S": {"all": {"events": 100, "sumw": 50.0, "sumw2": 25.0}, "m4l": {"events": 40, "sumw": 30.0, "sumw2": 16.0}},
        "data": {"all": {"events": 7, "sumw": 7.0, "sumw2": 7.0}, "m4l": {"events": 3, "sumw": 3.0, "sumw2": 3.0}},
    },
}


def _printed(document: dict) -> list[str]:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(CutflowTables(document))
    return capture.get().splitlines()


def _row(lines: list[str], start: str) -> list[str]:
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    return next(row for row in rows if row and row[0] == start)


def test_cuts_are_rows_with_weighted_and_unweighted_sums() -> None:
    lines = _printed(DOCUMENT)
    assert _row(lines, "all") == ["all", "50.00 (100)", "7.00 (7)"]
    assert _row(lines, "m4l") == ["m4l", "30.00 (40)", "3.00 (3)"]
    assert "140/fb" in lines[0]
    assert not any("region" in line or "variation" in line for line in lines)


def test_regions_and_variations_follow() -> None:
    up = {"cutflow": {"all": {"events": 100, "sumw": 60.0}, "m4l": {"events": 40, "sumw": 33.0}}, "regions": {}}
    regions = {"ggF_S": {"SR": {"events": 4, "sumw": 2.0, "sumw2": 1.0}}, "data": {"SR": {"events": 1, "sumw": 1.0, "sumw2": 1.0}}}
    lines = _printed({**DOCUMENT, "regions": regions, "variations": {"ggF_S": {"scale_up": up}, "data": {}}})
    assert _row(lines, "SR") == ["SR", "2.00 (4)", "1.00 (1)"]
    assert _row(lines, "scale_up") == ["scale_up", "+10.00 %", "-"]


def test_the_file_is_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "cutflow.json"
    path.write_text(json.dumps(DOCUMENT))
    assert CutflowTables.read(path).document == DOCUMENT
    path.write_text("{")
    with pytest.raises(InputFileError, match=r"cutflow\.json"):
        CutflowTables.read(path)
