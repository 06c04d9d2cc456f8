"""docs/onnx.md says what the code does; its C++ for SOFIE is compiled where SOFIE and a compiler are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from exports import OnnxExport
from exports.onnx_graph import IR_VERSION, OPSET, PORTABLE_OPERATORS

PAGE = (Path(__file__).parents[3] / "docs" / "onnx.md").read_text(encoding="utf-8")

BLAS = """
// Fortran BLAS as the generated code calls it, column-major, written out.
extern "C" void sgemm_(const char *ta, const char *tb, const int *m, const int *n, const int *k, const float *alpha, const float *a,
                       const int *lda, const float *b, const int *ldb, const float *beta, float *c, const int *ldc) {
   for (int i = 0; i < *m; ++i)
      for (int j = 0; j < *n; ++j) {
         float sum = 0;
         for (int l = 0; l < *k; ++l) {
            const float left = *ta == 't' ? a[l + i * *lda] : a[i + l * *lda];
            const float right = *tb == 't' ? b[j + l * *ldb] : b[l + j * *ldb];
            sum += left * right;
         }
         c[i + j * *ldc] = *alpha * sum + (*beta == 0 ? 0 : *beta * c[i + j * *ldc]);
      }
}
"""


def test_operators() -> None:
    listed = re.search(r"<!-- operators -->(.*?)<!-- end -->", PAGE, flags=re.DOTALL)
    assert listed is not None
    assert listed[1].split() == sorted(PORTABLE_OPERATORS)


def test_versions_and_keys(written: tuple[nn.Module, OnnxExport]) -> None:
    reference = json.loads(written[1].reference_path.read_text(encoding="utf-8"))
    assert f"| {OPSET} and IR {IR_VERSION}:" in PAGE
    for key in (*reference["largest_differences"], *reference):
        assert f"`{key}`" in PAGE or key in {"schema", "model", "n_rows", "opset", "ir_version", "largest_differences"}, key


def test_sofie_code_compiles_and_agrees(written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    pytest.importorskip("sofie", reason="SOFIE is not installed")
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    for path in (written[1].path, written[1].reference_path):
        shutil.copy(path, tmp_path)
    generate = re.search(r"```python\n(import sofie\n.*?)```", PAGE, flags=re.DOTALL)
    program = re.search(r"<!-- sofie -->\n```cpp\n(.*?)```", PAGE, flags=re.DOTALL)
    compare = re.search(r"```python\n(import json.*?)```", PAGE, flags=re.DOTALL)
    assert generate is not None
    assert program is not None
    assert compare is not None
    subprocess.run([sys.executable, "-c", generate[1]], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "check.cpp").write_text(program[1] + BLAS)
    subprocess.run([compiler, "-O1", "-std=c++20", "check.cpp", "-o", "check"], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", compare[1]], cwd=tmp_path, check=True, capture_output=True, text=True)
    difference, close = done.stdout.split()
    assert 0.0 < float(difference) < 1e-4
    assert close == str(np.True_)
