"""The types of the package reach its users: mypy reads them from the installed package, without our sources or settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy comes with the extra `dev`")

CONSUMER = """\
import numpy as np

from toolkit.kinematics import decay_angles
from toolkit.weights import Morphing

momenta = np.zeros((1, 4))
angles = decay_angles(momenta, momenta, momenta, momenta)
reveal_type(angles.phi)
ggf = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks={"S": "mu", "SBI": 1.0, "B": 0.0})
reveal_type(ggf.coefficients(4.0))
reveal_type(ggf.parameter_names)
decay_angles(momenta, momenta, momenta, momenta, recoil="nonsense")
ggf.coefficient(4.0)
"""
SETTINGS = """\
[mypy]
strict = True
[mypy-awkward.*,vector.*]
follow_imports = skip
ignore_missing_imports = True
"""


def test_mypy_sees_the_types_of_the_installed_package(tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    (tmp_path / "settings.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "mypy", "--config-file=settings.ini", "--cache-dir=cache", "consumer.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = said.stdout.splitlines()
    for found, line in zip(lines, (8, 10), strict=False):
        assert found.startswith(f'consumer.py:{line}: note: Revealed type is "numpy.ndarray['), said.stdout + said.stderr
        assert "float64" in found
    assert lines[2].startswith('consumer.py:11: note: Revealed type is "tuple[')
    assert lines[2].endswith('str, ...]"')
    assert lines[3].startswith('consumer.py:12: error: Argument "recoil" to "decay_angles" has incompatible type')
    assert lines[4].startswith('consumer.py:13: error: "Morphing" has no attribute "coefficient"')
    assert lines[5] == "Found 2 errors in 1 file (checked 1 source file)"
