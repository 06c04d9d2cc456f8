"""Lists of files: texts, datasets as coffea writes them, patterns; what is named twice is said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from processors.filelists import expand
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a_0.root", "a_1.root", "b.root"):
        (tmp_path / name).touch()
    return tmp_path


def _names(folder: Path, *patterns: str, dataset: str | None = None) -> list[str]:
    return [one.file.name for one in expand([str(folder / p) for p in patterns], what="FILES", dataset=dataset)[0]]


def test_patterns_and_files_are_read_once_and_repetitions_named(folder: Path) -> None:
    assert _names(folder, "a_*.root", "b.root") == ["a_0.root", "a_1.root", "b.root"]
    files, notes = expand([str(folder / "a_*.root"), str(folder / "a_1.root")], what="FILES")
    assert len(files) == 2
    assert len(notes) == 1
    assert "a_1.root" in notes[0]
    assert "a_0.root" not in notes[0]


def test_a_text_lists_one_location_per_line(folder: Path) -> None:
    (folder / "files.txt").write_text("# signal\nb.root\n\na_*.root # both\nroot://host//store/c.root\n")
    found, _ = expand([str(folder / "files.txt")], what="FILES")
    assert [str(one.file) for one in found] == [*(str(folder / n) for n in ("b.root", "a_0.root", "a_1.root")), "root://host//store/c.root"]


def test_a_line_that_stands_twice_is_named_with_both_numbers(folder: Path) -> None:
    (folder / "files.txt").write_text("b.root\na_0.root\nb.root\n")
    with pytest.raises(ArtifactMismatchError, match="lines 1 and 3"):
        _names(folder, "files.txt")
    (folder / "files.txt").write_text("# nothing\n")
    with pytest.raises(SchemaError, match="no line"):
        _names(folder, "files.txt")
    (folder / "files.txt").write_text("b.root\nnone.root\n")
    with pytest.raises(InputFileError, match="line 2 of"):
        _names(folder, "files.txt")


FORMS: list[Any] = [
    {"files": {"a_0.root": "Events", "a_1.root": "Events"}},
    {"files": {"a_0.root": {"object_path": "Events", "steps": None}, "a_1.root": {"object_path": "Events"}}, "metadata": {}},
    {"treename": "Events", "files": ["a_0.root", "a_1.root"]},
    {"files": {"a_*.root": "Events"}},
]


@pytest.mark.parametrize("section", FORMS)
def test_datasets_in_every_form_of_coffea(folder: Path, section: Any) -> None:
    (folder / "sets.json").write_text(json.dumps({"ggF_S": section, "other": ["b.root"]}))
    found, _ = expand([str(folder / "sets.json")], what="FILES", dataset="ggF_S")
    assert [(one.file.name, one.tree, one.dataset) for one in found] == [(f"a_{i}.root", "Events", "ggF_S") for i in range(2)]
    assert _names(folder, "sets.json#other") == ["b.root"]
    assert _names(folder, "sets.json") == ["a_0.root", "a_1.root", "b.root"]
    (folder / "sets.json.gz").write_bytes(gzip.compress((folder / "sets.json").read_bytes()))
    assert _names(folder, "sets.json.gz#other") == ["b.root"]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('{"a": {"files": {"b.root": "T", "b.root": "T"}}}', ArtifactMismatchError, "b.root twice"),
        ('{"a": ["b.root", "b.root"]}', ArtifactMismatchError, "b.root twice"),
        ("[" * 100_000, SchemaError, "no JSON"),
        ("[1]", SchemaError, "list"),
        ('{"a": {"files": {}}}', SchemaError, "without files"),
        ('{"a": {"files": {"b.root": 3}}}', SchemaError, "tree .3"),
        ('{"a": ["b.root"], "c": ["b.root"]}', SchemaError, "no dataset 'missing'"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(folder: Path, text: str, error: type[Exception], says: str) -> None:
    (folder / "sets.json").write_text(text)
    with pytest.raises(error, match=says):
        _names(folder, "sets.json", dataset="missing")
