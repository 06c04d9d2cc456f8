"""The C++ project: generated, compiled, run against the reference rows, and every wrong file refused."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from exports import OnnxExport
from exports.sofie import SofieCode, generate_cpp
from tests.unit.exports.cpp_tools import needs_tools, run
from toolkit.cli import main
from toolkit.errors import InputFileError, SchemaError
from toolkit.likelihood import OnnxRatio

CONSUMER = """
#include <h4l/ratio.h>
#include <cstdio>

template <class Expected, class Call> bool throws(Call call)
{
   try { call(); } catch (const Expected &error) { std::puts(error.what()); return true; }
   return false;
}

int main(int, char **argv)
{
   auto model = h4l::open_ratio(argv[1]);
   auto columns = model.columns();
   model.require(columns);
   std::vector<h4l::Column> swapped = columns, other = columns, fewer(columns.begin(), columns.end() - 1);
   std::swap(swapped[0], swapped[1]);
   other[0].unit = "MeV";
   bool good = throws<h4l::MismatchError>([&] { model.require(swapped); }) && throws<h4l::MismatchError>([&] { model.require(other); })
      && throws<h4l::MismatchError>([&] { model.require(fewer); });
   const std::vector<double> row{300.0, 91.0, 0.1, 0.2, 20.0};
   std::vector<double> bad = row, wide(7, 1.0), huge = row;
   bad[2] = std::nan("");
   huge[0] = 1e300;
   good = good && throws<h4l::ValueError>([&] { model.evaluate(bad); }) && throws<h4l::ValueError>([&] { model.evaluate(huge); })
      && throws<h4l::ShapeError>([&] { model.evaluate(wide); }) && throws<h4l::ShapeError>([&] { model.evaluate(std::vector<double>()); });
   good = good && throws<h4l::FileError>([&] { h4l::open_ratio(argv[2]); }) && throws<h4l::FileError>([&] { h4l::open_ratio("absent"); })
      && throws<h4l::FileError>([&] { h4l::open_ratio(argv[3]); });
   good = good && model.evaluate(row).size() == model.numerators().size() && model.columns()[0].unit == "GeV";
   return good ? 0 : 1;
}
"""
CONSUMER_CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(consumer CXX)
find_package(h4l REQUIRED)
add_executable(consumer consumer.cpp)
target_link_libraries(consumer PRIVATE h4l::ratio)
"""


@pytest.fixture(scope="module")
def built(written: tuple[nn.Module, OnnxExport], tmp_path_factory: pytest.TempPathFactory) -> SofieCode:
    code = generate_cpp(written[1].path, tmp_path_factory.mktemp("cpp") / "project")
    assert isinstance(code, SofieCode)
    # Little optimisation: the numbers are tested here, their speed in benchmarks.
    run("cmake", "-S", code.project, "-B", code.project / "build", "-DCMAKE_BUILD_TYPE=None", "-DH4L_FLAGS=-O1;-ffast-math;-mno-recip")
    targets = ("h4l-table", "h4l-check", "h4l-momenta", "h4l_ratio", "h4l-benchmark")
    run("cmake", "--build", code.project / "build", "--parallel", 2, "--target", *targets)
    return code


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")
    return path


@needs_tools
def test_reference_rows_agree(built: SofieCode) -> None:
    done = run(built.project / "build" / "h4l-check", built.weights, built.weights.with_name("ratio.reference.json"))
    found = json.loads(done.stdout)
    assert found["rows"] == 1000
    assert found["good"]
    for name in ("absolute", "spread", "one_by_one"):
        assert 0.0 < found[name] < 1e-4
    assert found["relative"] < 1e-5


@needs_tools
def test_events_from_momenta_to_log_ratios(built: SofieCode, tmp_path: Path) -> None:
    events = built.weights.with_name("ratio.momenta.json")
    found = json.loads(run(built.project / "build" / "h4l-momenta", built.weights, events).stdout)
    assert (found["events"], found["good"]) == (200, True)
    assert found["observables"] < 1e-9
    for key, shift in (("observables", 1e-4), ("log_ratio", 0.1)):
        other = json.loads(events.read_text(encoding="utf-8"))
        other[key][7][0] *= 1.0 + shift
        (tmp_path / "other.json").write_text(json.dumps(other))
        assert '"good": false' in run(built.project / "build" / "h4l-momenta", built.weights, tmp_path / "other.json", expect=1).stdout


@needs_tools
def test_check_fails_on_other_numbers(built: SofieCode, tmp_path: Path) -> None:
    reference = json.loads(built.weights.with_name("ratio.reference.json").read_text())
    reference["torch_float64"]["log_ratio"][5][0] += 0.001
    (tmp_path / "other.json").write_text(json.dumps(reference))
    assert '"good": false' in run(built.project / "build" / "h4l-check", built.weights, tmp_path / "other.json", expect=1).stdout


@needs_tools
def test_table_of_events(built: SofieCode, written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    ratio = OnnxRatio(written[1].path, threads=1)
    rows = np.array(json.loads(written[1].reference_path.read_text())["rows"][:40])
    order = [3, 1, 4, 0, 2]
    header = [f"{ratio.features[i]}[{ratio.units[i]}]" if i == 3 else ratio.features[i] for i in order]
    source = table(tmp_path / "events.csv", ["event", *header], [[k, *map(repr, row[order].tolist())] for k, row in enumerate(rows)])
    printed = list(csv.reader(run(built.project / "build" / "h4l-table", built.weights, source).stdout.splitlines()))
    assert printed[0] == [*(f"log_ratio_{n}" for n in ratio.numerators), *(f"log_ratio_spread_{n}" for n in ratio.numerators)]
    expected = np.hstack([ratio(rows), ratio.spread(rows)])
    np.testing.assert_allclose(np.array(printed[1:], dtype=float), expected, rtol=0, atol=1e-4)


@needs_tools
@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (["m4l", "m_z1", "cos_theta_star", "phi"], ["300", "91", "0.1", "0.2"], "no column pt4l"),
        (["m4l[MeV]", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "91", "0.1", "0.2", "5"], 'm4l in "GeV"'),
        (["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "nan", "0.1", "0.2", "5"], "m_z1 in row 0 is NaN"),
        (["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "x", "0.1", "0.2", "5"], "is no number"),
        (["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "91", "0.1"], "3 cells, expected 5"),
    ],
)
def test_wrong_tables(built: SofieCode, tmp_path: Path, header: list[str], row: list[str], message: str) -> None:
    done = run(built.project / "build" / "h4l-table", built.weights, table(tmp_path / "events.csv", header, [row]), expect=2)
    assert message in done.stderr
    assert not done.stdout


@needs_tools
def test_installed_package_refuses_wrong_files(built: SofieCode, tmp_path: Path) -> None:
    prefix, build = tmp_path / "prefix", tmp_path / "build"
    run("cmake", "--install", built.project / "build", "--prefix", prefix)
    (tmp_path / "consumer.cpp").write_text("#include <cmath>\n" + CONSUMER)
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER_CMAKE)
    run("cmake", "-S", tmp_path, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=None")
    run("cmake", "--build", build)
    weights = (prefix / "share" / "h4l" / "ratio.dat").read_bytes()
    (tmp_path / "short.dat").write_bytes(weights[:-4])
    (tmp_path / "changed.dat").write_bytes(weights[:500] + bytes([weights[500] ^ 1]) + weights[501:])
    said = run(build / "consumer", prefix / "share" / "h4l" / "ratio.dat", tmp_path / "short.dat", tmp_path / "changed.dat").stdout
    assert "truncated" in said
    assert "damaged" in said
    assert 'm4l in "MeV"' in said


def test_wrong_files_in_python(tmp_path: Path) -> None:
    (tmp_path / "ratio.onnx").write_bytes(b"nothing")
    with pytest.raises(InputFileError, match="not a complete ONNX file"):
        generate_cpp(tmp_path / "ratio.onnx", tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_names_that_cpp_does_not_take(written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    for name in ("3l", "a-b", "model"):
        with pytest.raises(SchemaError, match="--name"):
            generate_cpp(written[1].path, tmp_path / "project", name=name)


def test_without_sofie(
    written: tuple[nn.Module, OnnxExport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sofie", None)
    for options, code in (([], 2), (["--no-sofie"], 0)):
        with pytest.raises(SystemExit) as stop:
            main(["cpp", str(written[1].path), "--out", str(tmp_path / "project"), *options])
        assert stop.value.code == code
        assert (tmp_path / "project" / "CMakeLists.txt").is_file() == (code == 0)
    said = capsys.readouterr()
    assert 'pip install "h4l-toolkit[cpp]"' in said.err
    assert said.out.startswith(f"cmake -S {tmp_path / 'project'}")
    assert (tmp_path / "project" / "src" / "onnxruntime.cpp").is_file()
    assert not (tmp_path / "project" / "models").exists()
