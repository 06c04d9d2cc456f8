"""The benchmarks run by hand; here only that each imports, and that the functions whose time they take still exist."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks import processing
from benchmarks.sections import find

NAMES = sorted(path.stem for path in Path(processing.__file__).parent.glob("[!_]*.py"))


@pytest.mark.torch
@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_imports(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").__doc__


@pytest.mark.parametrize("place", [place for places in processing.TARGETS.values() for place in places])
def test_the_functions_that_are_timed_exist(place: str) -> None:
    assert callable(find(place)[2])


def test_a_name_that_moved_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_longer_here"):
        find("processors.runner:no_longer_here")
