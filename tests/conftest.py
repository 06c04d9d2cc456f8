"""Fixtures that several parts of the suite share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests import ntuples as ntuple_module

HERE = Path(__file__).parent
WITH_TORCH = (
    "browser",
    "faults/disturbed.py",
    "faults/test_bits.py",
    "faults/test_real_stages.py",
    "golden/test_train_member.py",
    "integration",
    "physics/test_estimator_laws.py",
    "runtimes",
    "unit/analysis/test_learned.py",
    "unit/cli/test_roofit.py",
    "unit/exports",
    "unit/likelihood/parameterised_toy.py",
    "unit/likelihood/test_parameterised.py",
    "unit/likelihood/test_workspace_onnx.py",
    "unit/pipeline/test_export.py",
    "unit/pipeline/test_threads.py",
    "unit/pipeline/test_validation.py",
    "unit/ratios",
)
"""What imports torch or trains: carries the marker `torch`, and is left out where torch is not installed."""
HAS_TORCH = importlib.util.find_spec("torch") is not None
collect_ignore = ["runtimes/in_root.py", *(() if HAS_TORCH else WITH_TORCH)]
"""A script that runs in a Python with ROOT, and what needs torch."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs torch, and skip single tests that do where it is not installed."""
    for item in items:
        if any(item.path.is_relative_to(HERE / part) for part in WITH_TORCH):
            item.add_marker(pytest.mark.torch)
        if not HAS_TORCH and item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.skip(reason="torch is not installed"))


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
