"""Checksums beside files: what coreutils writes and checks, and no changed content passes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from toolkit.artifacts.checksums import check_file, checked_path, checksum_path, read_checked, write_checked_json
from toolkit.errors import ArtifactMismatchError, InputFileError

CONTENT = b"twelve bytes"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with checked_path(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(CONTENT)
    return tmp_path / "a.bin"


def test_the_line_is_that_of_sha256sum(file: Path) -> None:
    assert checksum_path(file).read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  a.bin\n"
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--quiet", "a.bin.sha256"], cwd=file.parent, check=True)


def test_unchanged_content_is_read(file: Path) -> None:
    assert read_checked(file) == (CONTENT, True)
    assert check_file(file)


def test_every_bit_counts(file: Path) -> None:
    for bit in range(8 * len(CONTENT)):
        changed = bytearray(CONTENT)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        with pytest.raises(ArtifactMismatchError, match=r"sha256sum a\.bin > a\.bin\.sha256"):
            read_checked(file)
        with pytest.raises(ArtifactMismatchError):
            check_file(file)


def test_a_file_without_a_checksum_is_read_and_told_apart(file: Path) -> None:
    checksum_path(file).unlink()
    assert read_checked(file) == (CONTENT, False)
    assert not check_file(file)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"abc  a.bin\n", b"0" * 65])
def test_a_damaged_checksum_is_refused(file: Path, content: bytes) -> None:
    checksum_path(file).write_bytes(content)
    with pytest.raises(InputFileError, match="64 hexadecimal digits"):
        read_checked(file)


def test_a_checksum_of_another_tool_or_name_counts(file: Path) -> None:
    checksum_path(file).write_text(hashlib.sha256(CONTENT).hexdigest().upper() + " *elsewhere.bin")
    assert read_checked(file) == (CONTENT, True)


def test_a_file_that_is_written_again_gets_a_new_checksum(file: Path) -> None:
    with checked_path(file) as temporary:
        temporary.write_bytes(b"other")
    assert read_checked(file) == (b"other", True)


def test_a_failure_leaves_the_former_file_and_its_checksum(file: Path) -> None:
    with pytest.raises(TypeError), checked_path(file) as temporary:
        temporary.write_bytes("text")  # type: ignore[arg-type]
    assert read_checked(file) == (CONTENT, True)


def test_a_json_document(tmp_path: Path) -> None:
    write_checked_json(tmp_path / "a.json", {"b": 1})
    assert read_checked(tmp_path / "a.json") == (b'{\n "b": 1\n}\n', True)
