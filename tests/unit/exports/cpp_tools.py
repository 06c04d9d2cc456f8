"""What the C++ tests need, and how they run it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

MISSING = [
    *(tool for tool in ("g++", "cmake") if shutil.which(tool) is None),
    *(["sofie"] if importlib.util.find_spec("sofie") is None else []),
    *([] if any(Path("/usr").glob("lib*/**/libopenblas.so")) else ["OpenBLAS"]),
    *([] if any(Path("/usr").glob("**/include/nlohmann/json.hpp")) else ["nlohmann-json"]),
]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def run(*words: object, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must end with this exit code, with BLAS on one thread."""
    variables = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == expect, done.stdout + done.stderr
    return done
