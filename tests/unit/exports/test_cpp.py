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
from exports.cpp_project import CppProject, write_cpp_project
from tests.unit.exports.cpp_tools import consumer_says, needs_tools, run
from toolkit.cli import main
from toolkit.errors import InputFileError, SchemaError
from toolkit.likelihood import OnnxRatio


@pytest.fixture(scope="module")
def built(written: tuple[nn.Module, OnnxExport], tmp_path_factory: pytest.TempPathFactory) -> CppProject:
    code = write_cpp_project(written[1].path, tmp_path_factory.mktemp("cpp") / "project")
    # Little optimisation: the numbers are tested here, their speed in benchmarks.
    run("cmake", "-S", code.folder, "-B", code.folder / "build", "-DCMAKE_BUILD_TYPE=None", "-DH4L_FLAGS=-O1;-ffast-math;-mno-recip")
    targets = ("h4l-table", "h4l-check", "h4l-momenta", "h4l_ratio", "h4l-benchmark")
    run("cmake", "--build", code.folder / "build", "--parallel", 2, "--target", *targets)
    return code


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")
    return path


@needs_tools
def test_reference_rows_agree(built: CppProject) -> None:
    done = run(built.folder / "build" / "h4l-check", built.weights, built.onnx.with_name("ratio.reference.json"))
    found = json.loads(done.stdout)
    assert found["rows"] == 1000
    assert found["good"]
    for name in ("absolute", "spread", "one_by_one"):
        assert 0.0 < found[name] < 1e-4
    assert found["relative"] < 1e-5


@needs_tools
def test_events_from_momenta_to_log_ratios(built: CppProject, tmp_path: Path) -> None:
    events = built.onnx.with_name("ratio.momenta.json")
    found = json.loads(run(built.folder / "build" / "h4l-momenta", built.weights, events).stdout)
    assert (found["events"], found["good"]) == (200, True)
    assert found["observables"] < 1e-9
    for key, shift in (("observables", 1e-4), ("log_ratio", 0.1)):
        other = json.loads(events.read_text(encoding="utf-8"))
        other[key][7][0] *= 1.0 + shift
        (tmp_path / "other.json").write_text(json.dumps(other))
        assert '"good": false' in run(built.folder / "build" / "h4l-momenta", built.weights, tmp_path / "other.json", expect=1).stdout


@needs_tools
def test_ctest_knows_the_files_beside_the_model(built: CppProject) -> None:
    said = run("ctest", "--test-dir", built.folder / "build", "-N").stdout
    for name in ("observables_ratio", "reference_ratio.dat", "momenta_ratio.dat"):
        assert f": {name}\n" in said
    alone = run(built.folder / "build" / "h4l-momenta", built.onnx.with_name("ratio.momenta.json")).stdout
    assert json.loads(alone)["good"]


@needs_tools
def test_check_fails_on_other_numbers(built: CppProject, tmp_path: Path) -> None:
    reference = json.loads(built.onnx.with_name("ratio.reference.json").read_text())
    reference["torch_float64"]["log_ratio"][5][0] += 0.001
    (tmp_path / "other.json").write_text(json.dumps(reference))
    assert '"good": false' in run(built.folder / "build" / "h4l-check", built.weights, tmp_path / "other.json", expect=1).stdout


@needs_tools
def test_table_of_events(built: CppProject, written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    ratio = OnnxRatio(written[1].path, threads=1)
    rows = np.array(json.loads(written[1].reference_path.read_text())["rows"][:40])
    order = [3, 1, 4, 0, 2]
    header = [f"{ratio.features[i]}[{ratio.units[i]}]" if i == 3 else ratio.features[i] for i in order]
    source = table(tmp_path / "events.csv", ["event", *header], [[k, *map(repr, row[order].tolist())] for k, row in enumerate(rows)])
    printed = list(csv.reader(run(built.folder / "build" / "h4l-table", built.weights, source).stdout.splitlines()))
    assert printed[0] == [*(f"log_ratio_{n}" for n in ratio.numerators), *(f"log_ratio_spread_{n}" for n in ratio.numerators)]
    expected = np.hstack([ratio(rows), ratio.spread(rows)])
    np.testing.assert_allclose(np.array(printed[1:], dtype=float), expected, rtol=0, atol=1e-4)


@needs_tools
@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (["m4l", "m_z1", "cos_theta_star", "phi"], ["300", "91", "0.1", "0.2"], "no column pt4l"),
        (["m4l[MeV]", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "91", "0.1", "0.2", "5"], 'm4l in "GeV"'),
        (["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "nan", "0.1", "0.2", "5"], "line 2: m_z1 is NaN"),
        (["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "x", "0.1", "0.2", "5"], "is no number"),
        (["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"], ["300", "91", "0.1"], "3 cells, expected 5"),
    ],
)
def test_wrong_tables(built: CppProject, tmp_path: Path, header: list[str], row: list[str], message: str) -> None:
    done = run(built.folder / "build" / "h4l-table", built.weights, table(tmp_path / "events.csv", header, [row]), expect=2)
    assert message in done.stderr
    assert not done.stdout


@needs_tools
def test_installed_package_refuses_wrong_files(built: CppProject, tmp_path: Path) -> None:
    run("cmake", "--install", built.folder / "build", "--prefix", tmp_path / "prefix")
    (tmp_path / "prefix").rename(tmp_path / "moved")
    said = consumer_says(tmp_path / "moved", tmp_path)
    for words in ("truncated", "damaged", 'm4l in "MeV"'):
        assert words in said


def test_wrong_files_in_python(tmp_path: Path) -> None:
    (tmp_path / "ratio.onnx").write_bytes(b"nothing")
    with pytest.raises(InputFileError, match="not a complete ONNX file"):
        write_cpp_project(tmp_path / "ratio.onnx", tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_names_that_cpp_does_not_take(written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    for name in ("3l", "a-b", "model"):
        with pytest.raises(SchemaError, match="--name"):
            write_cpp_project(written[1].path, tmp_path / "project", name=name)


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
    assert sorted(p.name for p in (tmp_path / "project" / "models" / "ratio").iterdir()) == [
        "ratio.momenta.json",
        "ratio.onnx",
        "ratio.reference.json",
    ]
