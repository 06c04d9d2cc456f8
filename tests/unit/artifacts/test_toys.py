from __future__ import annotations

import pytest

from toolkit.artifacts.toys import ToyFile
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError

ROW = (0.1 + 0.2, 1e-300, 0.0, 1.0)


def test_numbers_come_back_with_all_bits(tmp_path):
    path = tmp_path / "deep" / "toys.jsonl"
    written = ToyFile(path, "a")
    written.add({"mu": 0.1, "t": 2.0}, {3: ROW, 1: (1 / 3, 2.0, 1.0, 1.0)})
    assert ToyFile(path, "a").finished({"t": 2.0, "mu": 0.1}) == {3: ROW, 1: (1 / 3, 2.0, 1.0, 1.0)}
    assert ToyFile(path, "a").finished({"mu": 0.2, "t": 2.0}) == {}


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    path = tmp_path / "toys.jsonl"
    store = ToyFile(path, "a")
    store.add({"mu": 1.0}, {0: ROW})
    store.add({"mu": 1.0}, {1: ROW})
    path.write_bytes(path.read_bytes()[:-7])
    again = ToyFile(path, "a")
    assert again.finished({"mu": 1.0}) == {0: ROW}
    again.add({"mu": 1.0}, {1: ROW})
    assert ToyFile(path, "a").finished({"mu": 1.0}) == {0: ROW, 1: ROW}


def test_a_file_that_was_cut_off_at_once_begins_again(tmp_path):
    path = tmp_path / "toys.jsonl"
    path.write_text('{"sche')
    ToyFile(path, "a").add({"mu": 1.0}, {0: ROW})
    assert ToyFile(path, "a").finished({"mu": 1.0}) == {0: ROW}


def test_another_campaign_is_refused(tmp_path):
    path = tmp_path / "toys.jsonl"
    ToyFile(path, "a")
    with pytest.raises(ArtifactMismatchError, match="campaign a"):
        ToyFile(path, "b")


def test_toys_of_another_version_are_told_from_another_campaign(tmp_path):
    path = tmp_path / "toys.jsonl"
    path.write_text('{"schema": 2, "campaign": "a"}\n')
    with pytest.raises(SchemaError, match=r"(?s)schema 2, written by another version.*remove the file"):
        ToyFile(path, "a")


@pytest.mark.parametrize("text", ["not json\n", '{"schema": 1, "campaign": "a"}\n[1, 2]\n'])
def test_a_damaged_file_is_refused(tmp_path, text):
    path = tmp_path / "toys.jsonl"
    path.write_text(text)
    with pytest.raises(InputFileError, match="line"):
        ToyFile(path, "a")


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(InputFileError, match="can be read"):
        ToyFile(tmp_path, "a")
