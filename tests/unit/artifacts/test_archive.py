"""Bundles as archives: the same bytes every time, and nothing believed that is read from one."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from toolkit.artifacts.archive import INDEX, extract_archive, write_archive
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError

FILES = {"results.json": b'{"mu": 1}', "models/mixture.onnx": b"\x08\x07network"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "result.tar.gz"
    write_archive(path, FILES, description={"title": "mu"})
    return path


def _members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}


def _pack(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_what_was_packed_comes_out(bundle: Path, tmp_path: Path) -> None:
    index = extract_archive(bundle, tmp_path / "out")
    assert index["title"] == "mu"
    assert [entry["path"] for entry in index["files"]] == sorted(FILES)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    assert json.loads((tmp_path / "out" / INDEX).read_text()) == index


def test_the_same_content_gives_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar.gz"
    write_archive(again, dict(reversed(FILES.items())), description={"title": "mu"})
    assert again.read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", ".", "C:drive", "back\\slash", "zero\0byte", ""])
def test_names_that_lead_out_are_neither_written_nor_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="a relative name inside the bundle"):
        write_archive(tmp_path / "a.tar.gz", {name: b""}, description={})
    assert not (tmp_path / "a.tar.gz").exists()
    if "\0" not in name and name:
        bad = _pack(tmp_path / "bad.tar.gz", [(tarfile.TarInfo(name), b"x")])
        with pytest.raises(SchemaError, match="do not use this file"):
            extract_archive(bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(InputFileError, match="link of the bundle") as error:
        extract_archive(_pack(tmp_path / "bad.tar.gz", [(link, b"")]), tmp_path / "out")
    assert "regular files, each once" in error.value.expected
    assert not (tmp_path / "out").exists()


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    twice = [(tarfile.TarInfo("a"), b"1"), (tarfile.TarInfo("a"), b"2")]
    with pytest.raises(InputFileError, match="each once"):
        extract_archive(_pack(tmp_path / "bad.tar.gz", twice), tmp_path / "out")


def test_an_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    member = tarfile.TarInfo("huge")
    member.size = 1 << 40
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(gzip.compress(member.tobuf()))
    with pytest.raises(InputFileError, match="huge of the bundle"):
        extract_archive(path, tmp_path / "out")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.9])
def test_a_truncated_archive_is_refused(bundle: Path, tmp_path: Path, kept: float) -> None:
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(InputFileError, match="compare sizes"):
        extract_archive(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"nowhere\.tar\.gz"):
        extract_archive(tmp_path / "nowhere.tar.gz", tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.update({"results.json": b'{"mu": 2}'}), r"results\.json of the bundle"),
        (lambda files: files.pop("results.json"), "in the index only"),
        (lambda files: files.update(extra=b""), "not in the index"),
    ],
)
def test_files_that_differ_from_the_index_are_refused(bundle: Path, tmp_path: Path, change, message: str) -> None:
    files = _members(bundle)
    change(files)
    bad = _pack(tmp_path / "bad.tar.gz", [(tarfile.TarInfo(name), data) for name, data in files.items()])
    with pytest.raises(ArtifactMismatchError, match=message):
        extract_archive(bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "index", [None, b"{", b"[]", b'{"format": "other", "schema": 1, "files": []}', b'{"format": "h4l-bundle", "schema": 1}']
)
def test_an_index_of_another_form_is_refused(tmp_path: Path, index: bytes | None) -> None:
    members = [] if index is None else [(tarfile.TarInfo(INDEX), index)]
    with pytest.raises(SchemaError, match="write it with h4l bundle"):
        extract_archive(_pack(tmp_path / "bad.tar.gz", [*members, (tarfile.TarInfo("a"), b"1")]), tmp_path / "out")


def test_a_bundle_of_another_version_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    index = b'{"format": "h4l-bundle", "schema": 2, "archives": []}'
    with pytest.raises(SchemaError, match=r"(?s)schema 2, written by another version.*schema 1.*open it with the version that wrote it"):
        extract_archive(_pack(tmp_path / "new.tar.gz", [(tarfile.TarInfo(INDEX), index)]), tmp_path / "out")
