"""The project as shared libraries without a BLAS, installed and moved: numbers, warnings, memory, and columns of an RDataFrame."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import uproot
from torch import nn

from exports import OnnxExport
from exports.cpp_project import CppProject, write_cpp_project
from exports.roofit import ROOT_PYTHON
from tests.unit.exports.cpp_tools import STRICT, consumer_says, needs_tools, run
from tests.unit.exports.networks import FEATURES, make_events
from tests.unit.exports.test_roofit import in_root
from toolkit.likelihood import OnnxRatio

PEAK = """
import resource, subprocess, sys
with open(sys.argv[-1], "w") as out:
    subprocess.run(sys.argv[1:-1], stdout=out, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a program from a small process, whose own memory a child would count as its own."""
pytestmark = needs_tools


@pytest.fixture(scope="module")
def moved(written: tuple[nn.Module, OnnxExport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of an installed package, moved, its project and its build gone."""
    folder = tmp_path_factory.mktemp("package")
    project: CppProject = write_cpp_project(written[1].path, folder / "project")
    options = ("-DBUILD_SHARED_LIBS=ON", "-DH4L_BLAS=OFF", "-DCMAKE_CXX_STANDARD=17", "-DCMAKE_BUILD_TYPE=None")
    flags = f"-DCMAKE_CXX_FLAGS=-O1 {' '.join(STRICT)}"
    run("cmake", "-S", project.folder, "-B", folder / "build", *options, flags, "-DH4L_FLAGS=-O1;-ffast-math;-mno-recip")
    run("cmake", "--build", folder / "build", "--parallel", 2)
    said = run("ctest", "--test-dir", folder / "build").stdout
    assert "reference_ratio.dat" in said
    run("cmake", "--install", folder / "build", "--prefix", folder / "first")
    for name, other in (("first", "second"), ("build", "old"), ("project", "older")):
        (folder / name).rename(folder / other)
    return folder / "second"


def test_the_moved_package_gives_the_reference_rows(moved: Path) -> None:
    data = moved / "share" / "h4l"
    assert '"good": true' in run(moved / "bin" / "h4l-check", data / "ratio.dat", data / "ratio.reference.json").stdout
    assert (data / "ratio.onnx").is_file()
    assert (data / "frameworks" / "README.md").is_file()
    assert "openblas" not in run("ldd", next(moved.glob("lib*/libh4l_ratio.so"))).stdout
    seen = run("nm", "-D", "--defined-only", "-C", next(moved.glob("lib*/libh4l_ratio.so"))).stdout
    assert "h4l::load_ratio" in seen
    assert "sgemm" not in seen


def test_exceptions_of_the_moved_libraries_reach_another_project(moved: Path, tmp_path: Path) -> None:
    said = consumer_says(moved, tmp_path, f"-DCMAKE_CXX_FLAGS={' '.join(STRICT)}")
    assert "truncated" in said
    assert "damaged" in said


def test_memory_does_not_grow_with_the_table(moved: Path, tmp_path: Path) -> None:
    peaks, names = [], [f.name for f in FEATURES]
    for n in (5000, 60_000):
        source, target = tmp_path / f"{n}.csv", tmp_path / f"{n}.out"
        np.savetxt(source, make_events(n, seed=2), delimiter=",", header=",".join(names), comments="")
        words = [moved / "bin" / "h4l-table", moved / "share" / "h4l" / "ratio.dat", source, target]
        peaks.append(int(run(sys.executable, "-I", "-S", "-c", PEAK, *words).stdout))
        assert target.read_text(encoding="utf-8").count("\n") == n + 1
    assert peaks[1] - peaks[0] < 1000  # kB; the rows alone are 1200, the results 1900


def test_blocks_are_in_order(moved: Path, written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    rows = make_events(9000, seed=4).astype(np.float32)
    np.savetxt(tmp_path / "events.csv", rows, delimiter=",", header=",".join(f.name for f in FEATURES), comments="")
    said = run(moved / "bin" / "h4l-table", moved / "share" / "h4l" / "ratio.dat", tmp_path / "events.csv").stdout
    found = np.array(list(csv.reader(said.splitlines()))[1:], dtype=float)
    expected = OnnxRatio(written[1].path, threads=1)(rows)
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, rtol=0, atol=1e-4)


@in_root
@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "cpp"])
def test_columns_of_a_data_frame(language: str, moved: Path, written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    rows = make_events(3000, seed=6).astype(np.float32)
    with uproot.recreate(tmp_path / "events.root") as file:
        file["events"] = {f.name: column for f, column in zip(FEATURES, rows.T, strict=True)}
    python, data = os.environ[ROOT_PYTHON], moved / "share" / "h4l"
    model, example = data / "ratio.dat", data / "frameworks" / "rdataframe"
    paths = {"ROOT_INCLUDE_PATH": str(moved / "include"), "LD_LIBRARY_PATH": str(next(moved.glob("lib*")))}
    if language == "python":
        run(python, example / "log_ratios.py", moved, model, "events", tmp_path / "events.root", tmp_path / "out.root")
    else:
        call = f'log_ratios("events", "{tmp_path / "events.root"}", "{model}", "{tmp_path / "out.root"}")'
        code = f"import ROOT; ROOT.gROOT.LoadMacro({str(example / 'log_ratios.C')!r}); ROOT.gInterpreter.ProcessLine({call!r})"
        run(python, "-c", code, **paths)
    with uproot.open(tmp_path / "out.root") as file:
        found = np.array(file["events"]["log_ratio"].array().to_list())
    expected = OnnxRatio(written[1].path, threads=1)(rows)
    # Threads write their events in any order.
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), rtol=0, atol=1e-4)
