"""Fixtures that several parts of the suite share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests import ntuples as ntuple_module


@pytest.fixture(scope="session")
def ntuples() -> ModuleType:
    """The module that makes small four-lepton events and writes them as ntuples."""
    return ntuple_module


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Real files of other people: path of one, or skip where the checkout has no ../shared/data beside it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"needs ../shared/data/{name}, which is not part of the repository")
        return folder / name

    return find
