"""The benchmarks run by hand; here only that each imports, and that the functions whose time they take are still called."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks import processing
from benchmarks.ntuple import find_source, replicate
from benchmarks.sections import find

NAMES = sorted(path.stem for path in Path(processing.__file__).parent.glob("[!_]*.py"))


@pytest.mark.torch
@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_imports(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def test_every_part_of_processing_that_is_timed_takes_time(tmp_path: Path) -> None:
    ntuple = replicate(find_source(None), tmp_path / "events.root", events=200)
    seconds = processing.measure(ntuple, events=200, chunksize=None)["sections_s"]
    assert {*processing.TARGETS, "other"} == seconds.keys()
    assert all(seconds[name] > 0.0 for name in seconds), seconds


def test_a_name_that_moved_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_longer_here"):
        find("processors.runner:no_longer_here")
