"""Hashes of input files are remembered, and made again when a file changes in whatever way."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from toolkit.pipeline import fingerprints
from toolkit.pipeline.fingerprints import Fingerprints


def test_a_hash_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.root"
    path.write_bytes(b"first")
    known = Fingerprints(tmp_path / "inputs.json")
    described = known.describe(path)
    assert described == {"name": "a.root", "size": 5, "sha256": hashlib.sha256(b"first").hexdigest()}
    known.save()
    monkeypatch.setattr(fingerprints, "file_sha256", lambda path: pytest.fail(f"{path} is hashed again"))
    assert Fingerprints(tmp_path / "inputs.json").describe(path) == described


def test_a_change_that_keeps_size_and_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    path.write_bytes(b"first")
    before = path.stat()
    known = Fingerprints(tmp_path / "inputs.json")
    known.describe(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert known.describe(path)["sha256"] == hashlib.sha256(b"other").hexdigest()
