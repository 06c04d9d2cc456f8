"""The check of reference rows that .ci/run gives to several releases of onnxruntime can fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from torch import nn

from exports import OnnxExport
from tests.runtimes.check_rows import main
from tests.runtimes.write_models import write_models


@pytest.fixture
def folder(written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> Path:
    for path in (written[1].path, written[1].reference_path):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_rows_of_this_runtime_agree(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(folder)) == 0
    assert "ratio " in capsys.readouterr().out


@pytest.mark.parametrize("output", ["log_ratio", "log_ratio_spread"])
@pytest.mark.parametrize("shift", [3e-5, float("nan")])
def test_another_number_is_found(folder: Path, output: str, shift: float) -> None:
    path = folder / "ratio.reference.json"
    reference = json.loads(path.read_text(encoding="utf-8"))
    reference["torch_float64"][output][7][1] += shift
    path.write_text(json.dumps(reference), encoding="utf-8")
    assert main(str(folder)) == 1


def test_empty_folder_is_no_success(tmp_path: Path) -> None:
    assert main(str(tmp_path)) == 1


@pytest.mark.slow
def test_every_kind_of_file_agrees(tmp_path: Path) -> None:
    write_models(tmp_path / "models")
    names = {path.stem for path in (tmp_path / "models").glob("*.onnx")}
    assert len(names) == 11
    assert {"mixture", "mixture.fused"} <= names
    assert main(str(tmp_path / "models")) == 0
