"""Fixtures that several parts of the suite share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def ntuples() -> ModuleType:
    """The module that makes small four-lepton events and writes them as ntuples."""
    name = "h4l_test_ntuples"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("ntuples.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Real files of other people: path of one, or skip where the checkout has no ../shared/data beside it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"needs ../shared/data/{name}, which is not part of the repository")
        return folder / name

    return find
