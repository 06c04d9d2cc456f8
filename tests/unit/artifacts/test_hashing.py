from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from toolkit.artifacts import code_hash, file_sha256, sampled_digest, stage_key
from toolkit.errors import InputFileError


def test_the_hash_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000  # more than one block
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="nothing_here"):
        file_sha256(tmp_path / "nothing_here")


def test_the_key_depends_on_values_and_not_on_order() -> None:
    key = stage_key({"a": [1, 2], "b": {"x": None, "y": 0.5}})
    assert key == stage_key({"b": {"y": 0.5, "x": None}, "a": [1, 2]})
    assert key != stage_key({"a": [2, 1], "b": {"x": None, "y": 0.5}})
    assert len(key) == 32


def test_the_code_hash_follows_every_file_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "hashed_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = code_hash("hashed_package")
    assert before == code_hash("hashed_package")
    (package / "inner" / "a.py").write_text("x = 2\n")
    assert code_hash("hashed_package") != before


def test_an_unknown_module_cannot_be_hashed() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        code_hash("no_such_module")


@pytest.mark.parametrize("size", [0, 1, 16_384, 1_048_576, 1_048_577, 5_000_000])
def test_a_sampled_digest_sees_every_stretch_of_a_64th(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    content = bytes(size)
    path.write_bytes(content)
    before = sampled_digest(path)
    assert sampled_digest(path) == before
    stretch = size // 64 + 1
    for start in range(0, max(size - stretch, 1), max(size // 7, 1)) if size else ():
        path.write_bytes(content[:start] + b"x" * min(stretch, size - start) + content[start + stretch :])
        assert path.stat().st_size == size
        assert sampled_digest(path) != before
    path.write_bytes(content + b"x")
    assert sampled_digest(path) != before
