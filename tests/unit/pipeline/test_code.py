"""The closure of a module's imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.pipeline import code
from toolkit.pipeline.code import code_digest, module_closure, module_digests, module_file


def test_closure_follows_imports_through_packages() -> None:
    found = set(module_closure(["toolkit.config.loader"]))
    assert {"toolkit", "toolkit.config", "toolkit.config.loader", "toolkit.config.base", "toolkit.errors"} <= found
    assert "toolkit.units" not in found
    assert not any(name.startswith("pydantic") for name in found)


def test_digest_changes_with_code_but_not_with_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "errors.py"
    original = Path(str(module_file("toolkit.errors"))).read_text(encoding="utf-8")
    monkeypatch.setattr(code, "module_file", lambda name: copy if name == "toolkit.errors" else module_file(name))

    def digest(text: str) -> str:
        copy.write_text(text, encoding="utf-8")
        return code_digest(module_digests(["toolkit.config.loader"]))

    assert digest(original) == digest("# a comment\n" + original) != digest(original + "\nEXTRA = 1\n")


def test_unknown_modules_are_no_modules_of_ours() -> None:
    assert module_file("numpy") is None
    assert module_file("toolkit.nothing") is None
